"""WHAT the clock does with jobs: sends what was lost, takes back what was left, forgets what is old."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import worker_ready

from media_jobs import clock, housekeeping, outbox, recovery, workers


@shared_task(name="media_jobs.dispatch")
def dispatch() -> None:
    outbox.dispatch(clock.now())


@shared_task(name="media_jobs.reap")
def reap() -> None:
    recovery.reap(clock.now())


@shared_task(name="media_jobs.prune")
def prune() -> None:
    housekeeping.prune(clock.now())


@worker_ready.connect
def begin(sender: Any, **_: Any) -> None:
    recovery.release(sender.hostname)
    housekeeping.clear_leftovers(clock.now())
    workers.beat_for_ever(
        sender.hostname, [queue.name for queue in sender.app.amqp.queues.consume_from.values()]
    )
