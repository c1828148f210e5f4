"""WHAT the clock does with jobs: sends what was lost, takes back what was left, forgets what is old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from celery import Task, shared_task
from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import task_received, worker_ready, worker_shutdown, worker_shutting_down
from django.conf import settings
from django.db import Error as DatabaseError

from media_jobs import alarms, clock, housekeeping, outbox, recovery, runs, tracked, workers

log = structlog.get_logger(__name__)


@shared_task(name="media_jobs.work", bind=True)
def work(self: Task, queue: str) -> None:
    """A message to a queue: its best job is done."""
    tracked.work(queue, worker=str(self.request.hostname), interruption=SoftTimeLimitExceeded)


@shared_task(name="media_jobs.dispatch")
@runs.entry
def dispatch() -> runs.Result:
    return {"sent": outbox.dispatch(clock.now())}


@shared_task(name="media_jobs.reap")
@runs.entry
def reap() -> runs.Result:
    return {"taken_back": recovery.reap(clock.now())}


@shared_task(name="media_jobs.prune")
@runs.entry
def prune() -> runs.Result:
    now = clock.now()
    housekeeping.prune(now)
    return {"runs_forgotten": runs.forget(now - timedelta(days=settings.KEEP_RUNS_DAYS))}


@worker_ready.connect
def begin(sender: Any, **_: Any) -> None:
    housekeeping.clear_leftovers(datetime.now(UTC))
    try:
        recovery.release(sender.hostname)
    except DatabaseError as error:
        # Away just now: what the former process held comes back when its leases end. Signs of life must begin anyway.
        log.warning("nothing_released", error=type(error).__name__)
    queues = tuple(queue.name for queue in sender.app.amqp.queues.consume_from.values())
    pool = {"thread": "threads"}.get(name := sender.controller.pool_cls.__module__.rpartition(".")[2], name)
    workers.begin(workers.Worker(sender.hostname, queues, pool, sender.controller.concurrency), alarms.look)


@task_received.connect
def count(request: Any, **_: Any) -> None:
    workers.count_taken(workers.queue_of(request))


@worker_shutting_down.connect
def begin_to_end(sender: str, **_: Any) -> None:
    try:
        recovery.note_ending(sender)
    except DatabaseError as error:
        log.warning("ending_not_noted", error=type(error).__name__)


@worker_shutdown.connect
def end(sender: Any, **_: Any) -> None:
    runs.write_all(sender.hostname)
    workers.end(sender.hostname)
    try:
        recovery.hand_back(sender.hostname)
    except DatabaseError as error:
        log.warning("nothing_handed_back", error=type(error).__name__)
