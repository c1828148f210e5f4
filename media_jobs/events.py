"""What happened, in words that clients know: a row for those who were away, a push for those who are here."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from threading import Lock
from typing import Any

from django.db import transaction
from django.db.models import Max, Min

from media_jobs import clock, correlation, push
from media_jobs.models import Event, MediaJob
from media_jobs.tail import MOST_AT_ONCE, Tail

_tail = Tail(Event.objects.only("id"))
_lock = Lock()


class EventType(StrEnum):
    """Every type of event; docs/events.md describes the payloads."""

    CAMERA_CREATED = "camera_created"
    CAMERA_UPDATED = "camera_updated"
    CAMERA_DELETED = "camera_deleted"
    CAMERA_HEALTH_CHANGED = "camera_health_changed"
    ALERT_RAISED = "alert_raised"
    ALERT_CLEARED = "alert_cleared"
    SETTINGS_CHANGED = "settings_changed"
    WEATHER_UPDATED = "weather_updated"
    TIMELAPSE_CREATED = "timelapse_created"
    TIMELAPSE_STARTED = "timelapse_started"
    TIMELAPSE_PAUSED = "timelapse_paused"
    TIMELAPSE_RESUMED = "timelapse_resumed"
    TIMELAPSE_COMPLETED = "timelapse_completed"
    TIMELAPSE_ARCHIVED = "timelapse_archived"
    TIMELAPSE_UPDATED = "timelapse_updated"
    TIMELAPSE_DELETED = "timelapse_deleted"
    SCHEDULE_CHANGED = "schedule_changed"
    CAPTURE_NOW_REQUESTED = "capture_now_requested"
    CAPTURE_STORED = "capture_stored"
    CAPTURE_FAILED = "capture_failed"
    CAPTURE_MISSED = "capture_missed"
    CAPTURE_DISCARDED = "capture_discarded"
    CAPTURE_RESTORED = "capture_restored"
    CAPTURE_FLAGGED = "capture_flagged"
    THUMBNAIL_READY = "thumbnail_ready"
    JOB_CREATED = "job_created"
    JOB_STARTED = "job_started"
    JOB_WAITING = "job_waiting"
    JOB_QUEUED = "job_queued"
    JOB_RETRY_SCHEDULED = "job_retry_scheduled"
    JOB_COMPLETED = "job_completed"
    JOB_FAILED = "job_failed"
    JOB_CANCELLED = "job_cancelled"
    JOB_PARKED = "job_parked"
    JOB_PROGRESS = "job_progress"
    BACKFILL_SHED = "backfill_shed"
    VIDEO_CREATED = "video_created"
    VIDEO_UPDATED = "video_updated"
    VIDEO_DELETED = "video_deleted"
    VIDEO_READY = "video_ready"
    VIDEO_FAILED = "video_failed"
    VIDEO_CANCELLED = "video_cancelled"
    SCHEDULER_WAS_DOWN = "scheduler_was_down"
    CLOCK_SET_BACK = "clock_set_back"
    SCHEDULER_IS_BACK = "scheduler_is_back"
    QUEUE_WITHOUT_WORKER = "queue_without_worker"
    QUEUE_SERVED_AGAIN = "queue_served_again"


_OF_JOBS = {
    MediaJob.State.QUEUED: EventType.JOB_CREATED,
    MediaJob.State.RUNNING: EventType.JOB_STARTED,
    MediaJob.State.WAITING: EventType.JOB_WAITING,
    MediaJob.State.DONE: EventType.JOB_COMPLETED,
    MediaJob.State.FAILED: EventType.JOB_FAILED,
    MediaJob.State.CANCELLED: EventType.JOB_CANCELLED,
    MediaJob.State.PARKED: EventType.JOB_PARKED,
}

ENDS = frozenset(
    {EventType.JOB_COMPLETED, EventType.JOB_FAILED, EventType.JOB_CANCELLED, EventType.JOB_PARKED}
)


def job_event(job: MediaJob) -> EventType:
    """What has happened to a job that has just come into its present state."""
    if job.state == MediaJob.State.QUEUED and job.attempt:
        return EventType.JOB_RETRY_SCHEDULED if job.error else EventType.JOB_QUEUED
    return _OF_JOBS[MediaJob.State(job.state)]


def emit(
    type_: EventType,
    topic: str,
    payload: dict[str, Any],
    *,
    now: datetime | None = None,
    correlation_id: str | None = None,
) -> None:
    """Records the event in the caller's transaction; clients hear of it after the commit.

    Two events about one thing reach every client in their order where the thing's row is changed first, in the same
    transaction.
    It belongs to the deed that is under way, unless another `correlation_id` is given.
    """
    drafted(
        type_,
        topic,
        payload,
        now=now or clock.now(),
        correlation_id=correlation.current() if correlation_id is None else correlation_id,
    ).save(force_insert=True)
    announce_after_commit()


def drafted(
    type_: EventType, topic: str, payload: dict[str, Any], *, now: datetime, correlation_id: str
) -> Event:
    """The event's row, for whoever writes it together with what it tells of, and announces it then."""
    return Event(
        topic=topic, type=type_.value, payload=payload, created_at=now, correlation_id=correlation_id
    )


def announce_after_commit() -> None:
    """Clients hear that there is news once the caller's transaction has made it true."""
    transaction.on_commit(push.announce)


def hint(type_: EventType, topic: str, payload: dict[str, Any]) -> None:
    """Pushes what is not worth a row: the next one says it all again."""
    push.push({"type": type_.value, "topic": topic, "payload": payload})


def as_message(event: Event) -> dict[str, Any]:
    """The form in which a client receives `event`."""
    return {
        "id": event.pk,
        "type": event.type,
        "topic": event.topic,
        "at": event.created_at.isoformat(),
        "payload": event.payload,
    }


def latest() -> int:
    """The id from which a client that has just looked at everything can go on: what is missing below was rolled back.

    Asked before the look: what appears meanwhile is then told once more, and never missed.
    """
    with _lock:
        _tail.look()
        return _tail.safe


def since(
    event_id: int,
    topics: Collection[str],
    *,
    until: int | None = None,
    without: Collection[int] = (),
    limit: int = MOST_AT_ONCE,
) -> tuple[list[Event], bool]:
    """The events after `event_id` on `topics` (the fleet follows all), oldest first, and whether they are all.

    `until` (inclusive) and `without` leave out what the caller will tell by other means.

    They are not all where the oldest ones have been forgotten, where more than `limit` wait, and where `event_id` is
    none of this database: the client then loads anew.
    """
    rows = Event.objects.filter(id__gt=event_id).exclude(id__in=without).order_by("id")
    if until is not None:
        rows = rows.filter(id__lte=until)
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
