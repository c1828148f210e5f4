"""The pictures of one timelapse, or of all, a page at a time from any place on: what long work walks along.

Newest first, so that what is added meanwhile lies behind the walk. A place is JSON: the timelapse and the slot that it
has reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from captures.models import Capture, Timelapse

PAGE = 200
STORED = (Capture.State.STORED.value,)
PICTURES = (*STORED, Capture.State.DISCARDED.value)
WITH_DERIVED = (*PICTURES, Capture.State.FAILED.value)  # a picture that was lost keeps its thumbnail


@dataclass(slots=True)
class Place:
    """Behind which picture the walk is. Both are empty at its beginning."""

    timelapse: int | None = None
    slot: str = ""

    @classmethod
    def of(cls, document: dict[str, Any] | None) -> Place:
        return cls(**document) if document else cls()

    def to_document(self) -> dict[str, Any]:
        return {"timelapse": self.timelapse, "slot": self.slot}

    def reach(self, capture: Capture) -> None:
        self.timelapse, self.slot = capture.timelapse_id, capture.slot.isoformat()


def count(timelapse_id: int | None, states: tuple[str, ...]) -> int:
    """How many pictures the walk has; None is all timelapses."""
    rows = Capture.objects.filter(state__in=states)
    return (rows if timelapse_id is None else rows.filter(timelapse=timelapse_id)).count()


def pages(
    timelapse_id: int | None, place: Place, states: tuple[str, ...]
) -> Iterator[tuple[Timelapse, list[Capture]]]:
    """At most PAGE pictures of one timelapse at a time, each with its timelapse and camera, as they are just now."""
    timelapses = Timelapse.objects.select_related("camera").order_by("-pk")
    if timelapse_id is not None:
        timelapses = timelapses.filter(pk=timelapse_id)
    if place.timelapse is not None:
        timelapses = timelapses.filter(pk__lte=place.timelapse)
    for pk in list(timelapses.values_list("pk", flat=True)):
        before = datetime.fromisoformat(place.slot) if place.slot and place.timelapse == pk else None
        while True:
            timelapse = timelapses.filter(pk=pk).first()
            if timelapse is None:
                break
            rows = Capture.objects.filter(timelapse=pk, state__in=states).order_by("-slot")
            page = list((rows if before is None else rows.filter(slot__lt=before))[:PAGE])
            for capture in page:
                capture.timelapse = timelapse
            if page:
                yield timelapse, page
            if len(page) < PAGE:
                break
            before = page[-1].slot
