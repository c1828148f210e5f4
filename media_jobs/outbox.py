"""The door: the only module that sends work to a queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.pools import producers

from media_jobs import clock
from media_jobs.models import MediaJob

SETTLE = timedelta(seconds=10)

log = structlog.get_logger(__name__)


def send(task: str, arg: str | int, *, expires: datetime | None = None) -> bool:
    """Puts one message into the task's queue. False where the broker is away: the row is found and sent later."""
    return _publish(task, args=[arg], expires=expires)


def send_entry(task: str, *, by: str, expires: datetime) -> bool:
    """Sends an entry of the clock out of its turn, because a person asks. False where the broker is away."""
    return _publish(task, headers={"by": by}, expires=expires)


def _publish(task: str, **options: Any) -> bool:
    try:
        with producers[_connection()].acquire(block=True) as producer:
            current_app.send_task(task, retry=False, producer=producer, **options)
    except (OperationalError, OSError) as error:
        log.warning("broker_away", task=task, error=type(error).__name__)
        return False
    return True


def send_after_commit(jobs: Sequence[MediaJob]) -> None:
    """Sends the jobs once the caller's transaction has made them true."""
    transaction.on_commit(lambda: _send_jobs([(job.pk, job.task) for job in jobs]))


def _send_jobs(jobs: Sequence[tuple[UUID, str]]) -> int:
    sent = [pk for pk, task in jobs if send(task, str(pk))]
    if sent:
        MediaJob.objects.filter(pk__in=sent).update(sent_at=clock.now())
    return len(sent)


def dispatch(now: datetime, *, limit: int = 500) -> int:
    """Sends what is due and was never sent, and what a queue has lost; returns how many.

    A queue has lost messages where fewer wait in it than jobs that were sent to it wait for a worker. Sending one
    twice is harmless: only one claim wins.
    """
    waiting = MediaJob.objects.due(now).order_by("priority", "requested_at")
    unsent = list(waiting.filter(sent_at__isnull=True).values_list("pk", "task")[:limit])
    settled = waiting.filter(sent_at__lt=now - SETTLE)
    counts = Counter(
        settings.CELERY_TASK_ROUTES[task]["queue"] for task in settled.values_list("task", flat=True)
    )
    lost: list[tuple[UUID, str]] = []
    for queue, count in counts.items():
        missing = count - (queue_length(queue) or 0)
        tasks = [task for task, route in settings.CELERY_TASK_ROUTES.items() if route["queue"] == queue]
        if missing > 0:
            lost += (
                settled.filter(task__in=tasks)
                .order_by("sent_at")
                .values_list("pk", "task")[: min(missing, limit)]
            )
    return _send_jobs(unsent + lost)


def queue_length(queue: str) -> int | None:
    """How many messages wait in `queue`, or None where the broker is away."""
    try:
        with _connection() as connection:
            channel = connection.default_channel
            return int(channel.client.llen(queue))  # type: ignore[attr-defined] # it is kombu's Redis channel
    except (OperationalError, OSError) as error:
        log.warning("broker_away", queue=queue, error=type(error).__name__)
        return None


def _connection() -> Connection:
    """One that says at once that the broker is away: as Celery makes them each message would wait six seconds."""
    return current_app.connection_for_write(transport_options={"max_retries": 0})
