"""Which queues have nobody who serves them: told once when it has lasted a while, and once when it is over.

(nothing) -> silence -> alarm -> (nothing)

Every worker watches, whatever it serves, in the thread of its own sign of life: no queue is needed to tell that a queue
has nobody, neither the broker nor beat. The row is the memory: whoever makes an alarm of a silence tells that it began,
whoever deletes an alarm that it is over. So any number of watchers may look at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from media_jobs import audit, workers
from media_jobs.events import EventType, emit
from media_jobs.models import Pulse

SILENCE, ALARM = "silence", "alarm"
PREFIX = "queue without worker: "
# A worker that is started again is back by then. One that was killed is silent for longer when it is noticed.
PATIENCE = timedelta(seconds=15)

Needed = Callable[[], Iterable[str]]
_needed: list[Needed] = []


def watch_for(needed: Needed) -> Needed:
    """An app to the left says which queues must have a worker."""
    _needed.append(needed)
    return needed


def look(now: datetime) -> dict[str, int]:
    """Watches all queues that somebody needs."""
    return watch(now, {queue for needed in _needed for queue in needed()})


def watch(now: datetime, queues: Iterable[str]) -> dict[str, int]:
    """Compares `queues` with the living workers, and tells what has changed. Returns how many were told."""
    served = workers.queues_alive(now)
    silent = {queue for queue in queues if queue not in served}
    known = {row.name: row for row in Pulse.objects.filter(kind__in=[SILENCE, ALARM])}
    since = _last_served(silent)
    fresh = [queue for queue in sorted(silent) if PREFIX + queue not in known]
    rows = [
        Pulse(name=PREFIX + queue, kind=SILENCE, at=since.get(queue, now), facts={"queue": queue})
        for queue in fresh
    ]
    Pulse.objects.bulk_create(rows, ignore_conflicts=True)
    known |= {row.name: row for row in rows}
    over = [name for name in sorted(known) if name.removeprefix(PREFIX) not in silent]
    long = [name for name in sorted(known.keys() - over) if now - known[name].at >= PATIENCE]
    return {
        "begun": sum(_begin(known[name], now) for name in long),
        "over": sum(_end(known[name], now) for name in over),
    }


def _last_served(queues: set[str]) -> dict[str, datetime]:
    """When the last worker of each queue gave its last sign of life, where it has left one."""
    found: dict[str, datetime] = {}
    for pulse in Pulse.objects.filter(kind=workers.KIND).order_by("at") if queues else ():
        found |= {queue: pulse.at for queue in pulse.facts.get("queues", []) if queue in queues}
    return found


def _begin(row: Pulse, now: datetime) -> bool:
    queue = row.facts["queue"]
    with transaction.atomic():
        if not Pulse.objects.filter(name=row.name, kind=SILENCE).update(kind=ALARM):
            return False
        payload = {"queue": queue, "since": row.at.isoformat()}
        _note(EventType.QUEUE_WITHOUT_WORKER, queue, payload, now)
    return True


def _end(row: Pulse, now: datetime) -> bool:
    queue = row.facts["queue"]
    with transaction.atomic():
        Pulse.objects.filter(name=row.name, kind=SILENCE).delete()
        if not Pulse.objects.filter(name=row.name, kind=ALARM).delete()[0]:
            return False
        payload = {"queue": queue, "silent_s": round((now - row.at).total_seconds(), 1)}
        _note(EventType.QUEUE_SERVED_AGAIN, queue, payload, now)
    return True


def _note(type_: EventType, queue: str, payload: dict[str, Any], now: datetime) -> None:
    audit.note(type_, topic=topic_of(queue), by=audit.CLOCK, facts=payload, now=now)
    emit(type_, topic_of(queue), payload, now=now)


def topic_of(queue: str) -> str:
    """Whom it concerns: the fleet hears every topic, and some may follow this one alone."""
    return f"queue.{queue}"
