"""How the queues stand: the broker knows what waits, workers what runs and how fast, the rows what failed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count

from media_jobs import broker, workers
from media_jobs.models import MediaJob, Pulse

FAILURES_OF = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What lies in a queue of the broker."""

    depth: int
    oldest_sent_at: float | None  # seconds of the epoch; None where nothing waits or the message does not say


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue. What only the broker knows is None while it does not answer."""

    name: str
    depth: int | None = None
    oldest_s: float | None = None
    jobs_waiting: int = 0
    running: int = 0
    rate_per_min: float = 0.0
    failed_jobs: int = 0  # within FAILURES_OF
    workers: tuple[str, ...] = field(default=())
    concurrency: int = 0

    @property
    def is_served(self) -> bool:
        return bool(self.workers)


def snapshot(now: datetime, queues: Sequence[str]) -> list[QueueState]:
    """How `queues` stand, in their order. Three queries and one look at the broker, however many they are."""
    waiting = look(queues)
    alive = workers.alive(now)
    due = _count(MediaJob.objects.due(now))
    failed = _count(
        MediaJob.objects.filter(
            state__in=[MediaJob.State.FAILED, MediaJob.State.PARKED], finished_at__gte=now - FAILURES_OF
        )
    )
    return [_state_of(queue, now, waiting, alive, due[queue], failed[queue]) for queue in queues]


def look(queues: Iterable[str]) -> dict[str, Waiting] | None:
    """What waits in each of `queues`, or None where the broker is away."""
    found: dict[str, Waiting] = {}
    try:
        with broker.looking() as client:
            for queue in queues:
                depth = broker.length_of(client, queue)
                oldest = broker.texts_in(client, queue, -1, -1) if depth else []
                found[queue] = Waiting(depth, _sent_at(*oldest))
    except broker.BrokerAway:
        return None
    return found


def _sent_at(message: bytes | None = None) -> float | None:
    try:
        return float(json.loads(message)["headers"]["sent_at"]) if message else None
    except (ValueError, KeyError, TypeError):
        return None


def _count(jobs: Any) -> Counter[str]:
    return Counter(dict(jobs.order_by().values_list("queue").annotate(count=Count("pk"))))


def _state_of(
    queue: str,
    now: datetime,
    waiting: dict[str, Waiting] | None,
    alive: list[Pulse],
    jobs_waiting: int,
    failed_jobs: int,
) -> QueueState:
    serving = [pulse for pulse in alive if queue in pulse.facts.get("queues", [])]
    lying = waiting[queue] if waiting is not None else None
    sent_at = lying.oldest_sent_at if lying else None
    return QueueState(
        name=queue,
        depth=lying.depth if lying else None,
        oldest_s=max(0.0, now.timestamp() - sent_at) if sent_at is not None else None,
        jobs_waiting=jobs_waiting,
        running=sum(pulse.facts.get("running", {}).get(queue, 0) for pulse in serving),
        rate_per_min=round(sum(pulse.facts.get("rate_per_min", {}).get(queue, 0.0) for pulse in serving), 1),
        failed_jobs=failed_jobs,
        workers=tuple(pulse.name for pulse in serving),
        concurrency=sum(pulse.facts.get("concurrency", 0) for pulse in serving),
    )
