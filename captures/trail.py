"""The captures' part of a thread: a capture's row is the decision that owed it, and says what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from captures.models import Capture
from media_jobs.audit import Step

State = Capture.State


def steps(correlation_id: str, most: int) -> Iterable[Step]:
    """The steps of the captures that belong to this deed."""
    rows = Capture.objects.filter(correlation_id=correlation_id).select_related("timelapse").order_by("slot")
    for capture in rows[:most]:
        yield from _steps_of(capture)


def _steps_of(capture: Capture) -> Iterable[Step]:
    topic, pk = capture.timelapse.topic, str(capture.pk)
    slot: dict[str, Any] = {"slot": capture.slot.isoformat()}
    yield Step(capture.slot, "capture", "owed", topic, capture.requested_by, capture.rule, pk, slot)
    if capture.claimed_at:
        worked = slot | {"worker": capture.worker, "attempt": capture.attempt}
        yield Step(capture.claimed_at, "capture", "claimed", topic, pk=pk, facts=worked)
    if capture.state == State.OWED:
        return
    ended = slot | {"reason": capture.reason, "message": capture.detail}
    if capture.state == State.STORED:
        ended = slot | {"bytes": capture.bytes, "lateness_ms": capture.lateness_ms}
    at = capture.taken_at or capture.claimed_at or capture.give_up_at
    yield Step(at, "capture", capture.state, topic, pk=pk, facts=ended)
