"""The door: the only module that sends work to a queue.

A capture has a message of its own. A job has none: a message to its queue wakes a worker, which takes the best job that
is due there. So a message may be lost, doubled or late, and a person's job never waits behind ten thousand messages.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any
from uuid import UUID

from celery import current_app
from django.db import transaction
from django.db.models import Count, F, Q
from kombu import Exchange, Queue
from kombu.pools import producers

from media_jobs import broker
from media_jobs.broker import BrokerAway
from media_jobs.models import MediaJob

WORK = "media_jobs.work"
SETTLE = timedelta(seconds=10)
AT_ONCE = 100  # more messages than that are no help to the workers there are; `dispatch` sends the others
MOST_MESSAGES = 1000  # at one queue: they wake, they need not be as many as the jobs


def send(task: str, arg: str | int, *, expires: datetime | None = None, queue: str = "") -> bool:
    """Puts one message into `queue`, or into the task's own. False where the broker is away: the row is found later."""
    return _publish(task, args=[arg], expires=expires, queue=_queue(queue) if queue else None)


def send_entry(task: str, *, by: str, expires: datetime) -> bool:
    """Sends an entry of the clock out of its turn, because a person asks. False where the broker is away."""
    return _publish(task, headers={"by": by}, expires=expires)


def _publish(task: str, **options: Any) -> bool:
    try:
        with (
            broker.asked(task=task),
            producers[broker.for_sending(broker.address())].acquire(block=True) as producer,
        ):
            broker.raise_if_away()  # others may have found out while this one waited for its turn
            current_app.send_task(task, retry=False, producer=producer, **options)
    except BrokerAway:
        return False
    return True


def wake_after_commit(jobs: Sequence[MediaJob]) -> None:
    """Wakes workers for the jobs once the caller's transaction has made them true; their `sent_at` is set already."""
    if jobs:
        transaction.on_commit(lambda: _wake([(job.pk, job.queue) for job in jobs]))


def _wake(jobs: Sequence[tuple[UUID, str]]) -> int:
    """Returns how many messages were sent. The rows of those that were not are marked, for `dispatch`."""
    sent = _send_work([queue for _, queue in jobs[:AT_ONCE]])
    unsent = [pk for pk, _ in jobs[sent:]]
    if unsent:
        MediaJob.objects.filter(pk__in=unsent, state=MediaJob.State.QUEUED).update(sent_at=None)
    return sent


def _send_work(queues: Sequence[str]) -> int:
    """Returns how many were sent, in their order: after the first that was not no other is tried."""
    return sum(1 for _ in takewhile(lambda queue: send(WORK, queue, queue=queue), queues))


def dispatch(now: datetime) -> int:
    """Sends what is due and was never sent, and what a queue has lost; returns how many messages.

    A queue has lost messages where fewer lie in it than jobs are due there. What was sent in the last seconds is
    taken as having its message. One too many is harmless: it wakes a worker that finds nothing.
    """
    waiting = MediaJob.objects.due(now)
    is_fresh = Q(sent_at__gte=now - SETTLE)
    sent = 0
    for queue, due, fresh in (
        waiting.values_list("queue")
        .annotate(due=Count("pk"), fresh=Count("pk", filter=is_fresh))
        .order_by("queue")
    ):
        messages = _messages_in(queue)
        if messages is None:
            break
        missing = min(due - fresh - max(0, messages - fresh), MOST_MESSAGES - messages)
        if missing > 0:
            sent += _send_again(queue, missing, now)
    return sent


def _send_again(queue: str, missing: int, now: datetime) -> int:
    rows = MediaJob.objects.due(now).filter(
        Q(sent_at__isnull=True) | Q(sent_at__lt=now - SETTLE), queue=queue
    )
    ids = list(rows.order_by(F("sent_at").asc(nulls_first=True)).values_list("pk", flat=True)[:missing])
    sent = _send_work([queue] * len(ids))
    MediaJob.objects.filter(pk__in=ids[:sent], state=MediaJob.State.QUEUED).update(sent_at=now)
    return sent


def queue_length(queue: str) -> int | None:
    """How many messages wait in `queue`, or None where the broker is away."""
    try:
        with broker.looking() as client:
            return broker.length_of(client, queue)
    except BrokerAway:
        return None


def _messages_in(queue: str) -> int | None:
    """How many of them wake a worker for a job; captures wait in some queues, too. None where the broker is away."""
    try:
        with broker.looking() as client:
            length, texts = (
                broker.length_of(client, queue),
                broker.texts_in(client, queue, 0, MOST_MESSAGES - 1),
            )
    except BrokerAway:
        return None
    return length if length > len(texts) else sum(f'"{WORK}"'.encode() in text for text in texts)


@functools.lru_cache(maxsize=256)
def _queue(name: str) -> Queue:
    """Also one that only the workers of a site know."""
    return Queue(name, Exchange(name), routing_key=name)
