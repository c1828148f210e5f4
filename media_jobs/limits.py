"""How much work may wait: people are told to come back, backfill is shed, what follows a capture waits in its row.

Captures are no jobs and never judged here. What follows a capture is never refused either: its row is the deferral, and
it is done when there is room. Parts of a job that was let in (a film's segments) are let in with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import structlog
from django.conf import settings
from django.db.models import Count

from media_jobs import audit, kinds
from media_jobs.events import EventType, emit
from media_jobs.exceptions import TooManyWaiting
from media_jobs.kinds import Kind
from media_jobs.models import Event, MediaJob

RETRY_AFTER_S = 30
TELL_EVERY = timedelta(minutes=1)
Priority = MediaJob.Priority

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pressure:
    """How much of one kind waits at one priority. `limit` 0: as much as comes."""

    kind: str
    priority: int
    waiting: int
    warn_at: int
    limit: int

    @property
    def level(self) -> Literal["well", "warning", "error"]:
        if self.limit and self.waiting >= self.limit:
            return "error"
        return "warning" if self.warn_at and self.waiting >= self.warn_at else "well"


def limit_of(kind: Kind, priority: int) -> int:
    """How many of the kind may wait at this priority; 0 where none is refused."""
    if kind.is_part or priority == Priority.MEDIUM:
        return 0
    return int(settings.MAX_WAITING if priority == Priority.HIGH else settings.MAX_BACKFILL)


def warning_of(kind: Kind, priority: int) -> int:
    """From how many on the operations page warns."""
    if kind.is_part:
        return 0
    return int(settings.WARN_WAITING if priority == Priority.HIGH else settings.MAX_BACKFILL)


def admit(job: MediaJob, waiting: int) -> None:
    """Raises TooManyWaiting where `waiting` of the job's kind and priority are enough."""
    limit = limit_of(kinds.of(job.task), job.priority)
    if limit and waiting >= limit:
        raise TooManyWaiting(
            f"{waiting} jobs of this kind are waiting, and no more are taken now. Try again in a while.",
            wait=RETRY_AFTER_S,
        )


def room_for(kind: Kind, priority: int) -> int | None:
    """How many more may wait, 0 or more; None where there is no limit."""
    limit = limit_of(kind, priority)
    if not limit:
        return None
    waiting = MediaJob.objects.filter(task=kind.name, priority=priority, state=MediaJob.State.QUEUED)
    return max(0, limit - waiting.count())


def note_shed(kind: Kind, count: int, topic: str, now: datetime) -> None:
    """Says that `count` backfill jobs were not taken; the event at most once a minute."""
    log.warning("backfill_shed", kind=kind.name, count=count)
    told = Event.objects.filter(type=EventType.BACKFILL_SHED, created_at__gt=now - TELL_EVERY)
    if not told.exists():
        payload = {"kind": kind.name, "count": count, "limit": settings.MAX_BACKFILL}
        audit.note(EventType.BACKFILL_SHED, topic=topic, by=audit.CLOCK, facts=payload, now=now)
        emit(EventType.BACKFILL_SHED, topic, payload, now=now)


def pressure() -> list[Pressure]:
    """What waits of each kind at each priority, for the operations page."""
    waiting = MediaJob.objects.filter(state=MediaJob.State.QUEUED).values_list("task", "priority")
    counts = {
        (task, priority): count for task, priority, count in waiting.annotate(count=Count("pk")).order_by()
    }
    return [
        Pressure(
            kind.name,
            priority,
            counts.get((kind.name, priority), 0),
            warning_of(kind, priority),
            limit_of(kind, priority),
        )
        for kind in kinds.every().values()
        for priority in Priority.values
    ]
