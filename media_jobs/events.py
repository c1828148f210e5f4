"""What happened, in words that clients know: a row for those who were away, a push for those who are here."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import Max, Min, Q

from media_jobs import clock, push
from media_jobs.models import Event, MediaJob

SLOWEST_COMMIT = timedelta(seconds=5)
MOST_AT_ONCE = 200


class EventType(StrEnum):
    """Every type of event; docs/events.md describes the payloads."""

    CAMERA_HEALTH_CHANGED = "camera_health_changed"
    CAPTURE_STORED = "capture_stored"
    CAPTURE_FAILED = "capture_failed"
    CAPTURE_MISSED = "capture_missed"
    THUMBNAIL_READY = "thumbnail_ready"
    TIMELAPSE_STATE_CHANGED = "timelapse_state_changed"
    SCHEDULER_WAS_DOWN = "scheduler_was_down"
    JOB_CHANGED = "job_changed"
    JOB_PROGRESS = "job_progress"
    VIDEO_READY = "video_ready"
    VIDEO_FAILED = "video_failed"


def emit(type_: EventType, topic: str, payload: dict[str, Any], *, now: datetime | None = None) -> None:
    """Records the event in the caller's transaction and pushes it after the commit."""
    event = Event.objects.create(
        topic=topic, type=type_.value, payload=payload, created_at=now or clock.now()
    )
    transaction.on_commit(lambda: push.push(topic, as_message(event)))


def hint(type_: EventType, topic: str, payload: dict[str, Any]) -> None:
    """Pushes what is not worth a row: the next one says it all again."""
    push.push(topic, {"type": type_.value, "topic": topic, "payload": payload})


def as_message(event: Event) -> dict[str, Any]:
    """The form in which a client receives `event`."""
    return {
        "id": event.pk,
        "type": event.type,
        "topic": event.topic,
        "at": event.created_at.isoformat(),
        "payload": event.payload,
    }


def since(event_id: int, topics: list[str], *, limit: int = 1000) -> tuple[list[Event], bool]:
    """The events after `event_id` on `topics` (the fleet follows all), oldest first, and whether they are all.

    An id is given out before its transaction commits, so one that was slow may appear behind ids that a client has
    seen: the events of the last seconds are therefore told again, and clients know them by their ids.

    They are not all where the oldest ones have been forgotten, where more than `limit` wait, and where `event_id` is
    none of this database: the client then loads anew.
    """
    may_have_been_slow = Q(id__gt=event_id - MOST_AT_ONCE, created_at__gte=clock.now() - SLOWEST_COMMIT)
    rows = Event.objects.filter(Q(id__gt=event_id) | may_have_been_slow).order_by("id")
    if push.FLEET not in topics:
        rows = rows.filter(topic__in=topics)
    found = list(rows[: limit + 1])
    ends = Event.objects.aggregate(oldest=Min("id"), newest=Max("id"))
    oldest, newest = ends["oldest"] or 1, ends["newest"] or 0
    return found[:limit], len(found) <= limit and oldest - 1 <= event_id <= newest


def job_payload(job: MediaJob, now: datetime) -> dict[str, Any]:
    """What a page needs to draw one job's bar."""
    return {
        "id": str(job.pk),
        "task": job.task,
        "title": job.title,
        "state": job.state,
        "done": job.progress_done,
        "total": job.progress_total,
        "unit": job.progress_unit,
        "percent": job.percent,
        "eta_s": job.eta_s(now),
        "error": job.error,
    }
