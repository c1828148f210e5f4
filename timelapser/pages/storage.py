"""The files behind the rows, of all timelapses or of one: how it stands, what is wrong, and what can be done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from captures import backfill
from captures.backfill import MANY, topic_of
from captures.figures import Figures, by_timelapse, figures
from captures.inventory import requests
from captures.inventory.report import WORDS, Shelf, Trouble
from captures.inventory.requests import Deed
from captures.models import Timelapse
from media_jobs import clock, roles
from media_jobs.models import MediaJob
from media_jobs.roles import CONFIGURE, OPERATE, SEE
from timelapser.pages.access import answer, page, show, show_parts

PARTS = {
    "figures": "storage/_figures.html",
    "work": "storage/_work.html",
    "report": "storage/_report.html",
    "clean-up": "storage/_clean_up.html",
    "timelapses": "storage/_timelapses.html",
}
KINDS = (*Deed, MANY)
SHOWN_TIMELAPSES = 50
SHOWN_ENDED = 3
REHEARSED_FOR = timedelta(hours=1)
SHELF_WORDS: dict[str, str] = {
    Shelf.FRAME: "Pictures",
    Shelf.THUMBNAIL: "Thumbnails",
    Shelf.SMALL: "Small pictures",
    Shelf.ORIGINAL: "Originals",
    Shelf.DISCARDED: "Discarded pictures",
    Shelf.MAKING: "Unfinished files",
    Shelf.SET_ASIDE: "Set aside by a repair",
}
ACTION_WORDS: dict[str, str] = {
    "healed": "pictures taken into the ledger whose row was never written",
    "found_again": "pictures found in another place",
    "restated": "rows that say now what their file is",
    "flagged": "pictures flagged because their file is not the one that was stored",
    "lost": "rows that say now that their picture is gone",
    "broken": "damaged pictures set aside",
    "made": "thumbnails and small pictures made",
    "not_made": "could not be made",
    "adopted": "thumbnails and small pictures given back to their row",
    "set_aside": "files without a row set aside",
    "removed": "small pictures removed that are not wanted any more",
    "forgotten": "originals and discarded pictures that are gone",
    "cleared": "unfinished files removed",
    "held_back": "missing pictures left as they are, because a whole disk may be away",
}
# What a button asks for: the deed, its wish, and who may.
DEEDS: dict[str, tuple[Deed, dict[str, bool], str]] = {
    "verify": (Deed.VERIFY, {}, OPERATE),
    "verify-deep": (Deed.VERIFY, {"deep": True}, OPERATE),
    "repair": (Deed.REPAIR, {}, CONFIGURE),
    "repair-deep": (Deed.REPAIR, {"deep": True}, CONFIGURE),
    "rehearse": (Deed.CLEAN_UP, {"dry_run": True}, OPERATE),
    "clean-up": (Deed.CLEAN_UP, {"dry_run": False}, CONFIGURE),
    "delete": (Deed.DELETE_ALL, {}, CONFIGURE),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of a report."""

    shelf: str
    words: str
    count: int
    bytes: int
    examples: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Finished:
    """A verify, a repair or a clean-up that has ended, as a page shows it."""

    job: MediaJob
    faults: list[Fault]
    actions: list[tuple[int, str]]

    @classmethod
    def of(cls, job: MediaJob | None) -> Finished | None:
        if job is None:
            return None
        report = job.result
        faults = [
            Fault(
                shelf=SHELF_WORDS.get(key.partition(".")[0], key),
                words=WORDS[Trouble(key.partition(".")[2])],
                count=count,
                bytes=report["bytes"].get(key, 0),
                examples=report["examples"].get(key, []),
            )
            for key, count in report["faults"].items()
        ]
        actions = [(count, ACTION_WORDS.get(name, name)) for name, count in report["actions"].items()]
        return cls(job, faults, actions)

    @property
    def bytes(self) -> int:
        return sum(fault.bytes for fault in self.faults)


class StoragePage:
    """What the page shows, each thing read when a template asks for it. `timelapse` is None for all."""

    def __init__(self, timelapse: Timelapse | None, now: datetime) -> None:
        self.timelapse = timelapse
        self.now = now

    @cached_property
    def figures(self) -> Figures:
        return figures(self.timelapse)

    @cached_property
    def jobs(self) -> list[MediaJob]:
        """What is being done, and what ended last."""
        rows = self._jobs(*KINDS)
        active = list(rows.active().order_by("requested_at"))
        return active + list(rows.ended().order_by("-finished_at")[:SHOWN_ENDED])

    @property
    def has_active_jobs(self) -> bool:
        return any(job.is_active for job in self.jobs)

    @cached_property
    def report(self) -> Finished | None:
        """Of the last verify or repair that came to its end."""
        return Finished.of(self._last(Q(task__in=[Deed.VERIFY, Deed.REPAIR])))

    @cached_property
    def clean_up(self) -> Finished | None:
        return Finished.of(self._last(Q(task=Deed.CLEAN_UP)))

    @property
    def is_rehearsed(self) -> bool:
        """Whether somebody has just seen what would be deleted."""
        last = self.clean_up
        if last is None or last.job.finished_at is None:
            return False
        return bool(last.job.result["dry_run"]) and last.job.finished_at > self.now - REHEARSED_FOR

    @cached_property
    def timelapses(self) -> list[tuple[Timelapse, Figures]]:
        rows = list(Timelapse.objects.select_related("camera").order_by("-pk")[:SHOWN_TIMELAPSES])
        counted = by_timelapse(rows)
        return [(row, counted.get(row.pk, Figures())) for row in rows]

    def _jobs(self, *kinds: str) -> Any:
        return MediaJob.objects.filter(task__in=kinds, topic=topic_of(self.timelapse))

    def _last(self, which: Q) -> MediaJob | None:
        ended: MediaJob | None = (
            self._jobs(*KINDS).filter(which, state=MediaJob.State.DONE).order_by("-finished_at").first()
        )
        return ended


@page(SEE)
def storage(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    timelapse = _timelapse(pk)
    context = {"page": StoragePage(timelapse, clock.now()), "timelapse": timelapse}
    return show(request, "storage.html", context)


@page(SEE)
def parts(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    timelapse = _timelapse(pk)
    context = {"page": StoragePage(timelapse, clock.now()), "timelapse": timelapse}
    return show_parts(request, PARTS, context)


@page(OPERATE, "POST")
def act(request: HttpRequest, deed: str, pk: int | None = None) -> HttpResponse:
    """Asks for one of DEEDS, or for thumbnails; deleting all of them wants a cross in the box."""
    timelapse, by = _timelapse(pk), request.user.get_username()
    here = reverse("timelapse-storage", args=[pk]) if pk else reverse("storage")
    if deed in {"thumbnails", "thumbnails-again"}:
        job, is_new = backfill.request_thumbnails(timelapse, by=by, again=deed == "thumbnails-again")
    else:
        if deed not in DEEDS:
            raise Http404
        kind, wish, needed = DEEDS[deed]
        if not roles.may(request.user, needed):
            raise PermissionDenied
        if kind == Deed.DELETE_ALL and request.POST.get("confirm") != "yes":
            words = "Nothing was deleted: set the cross that says that you mean it."
            return answer(request, words, here, is_error=True)
        job, is_new = requests.request(kind, timelapse, by=by, **wish)
    words = f"“{job.title}” has been asked for." if is_new else f"“{job.title}” is being done already."
    return answer(request, words, here)


def _timelapse(pk: int | None) -> Timelapse | None:
    return get_object_or_404(Timelapse.objects.select_related("camera"), pk=pk) if pk else None
