"""Many quiet jobs of one kind by one worker in one go: claimed in one step, ended in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from django.db import transaction
from django.db.models import F

from media_jobs import clock, correlation, kinds, lifecycle, outbox
from media_jobs.heartbeat import heartbeat
from media_jobs.models import JobQuerySet, MediaJob
from media_jobs.tracked import Running, note_end
from media_jobs.wishes import mark_of, tell

State = MediaJob.State
Each = Callable[[MediaJob], dict[str, Any]]
LONGEST_S = (
    20.0  # a third of the lease and of the limit of quick work: the last piece begun has the rest for itself
)


def take_along(running: Running, result: dict[str, Any], each: Each, most: int) -> None:
    """Ends the running job with its `result`, and with it up to `most` further ones of which `each` does one.

    Every job ends as it would by itself: what one of them runs into is no failure of another. Whatever is more urgent
    waits for the piece in hand and for no more; what was not begun in LONGEST_S is given back.
    """
    job = running.job
    left = claim_more(job, most)
    if not left:
        return
    began = time.monotonic()
    done = [(job, result)]
    with ExitStack() as held:
        for other in left:
            held.enter_context(heartbeat.hold(other, limit_s=kinds.of(job.task).limit_s))
        try:
            while left and time.monotonic() - began < LONGEST_S and not lifecycle.is_overtaken(job):
                other = left.pop(0)
                with correlation.following(other.correlation_id):
                    try:
                        done.append((other, each(other)))
                    except BaseException as error:
                        if not note_end(other, error, running.interruption):
                            raise
                        if running.interruption is not None and isinstance(error, running.interruption):
                            break  # it is raised once: nothing would stop the next one
        finally:
            finish_many(done)
            give_back(left)


def claim_more(job: MediaJob, most: int) -> list[MediaJob]:
    """Up to `most` further jobs of the kind and the urgency of `job`, which are due, for its worker; in their order.

    For work of which many pieces together cost less than each by itself. They are held for a lease, not for longer.
    """
    if most <= 0:
        return []
    now = clock.now()
    with transaction.atomic():
        line = MediaJob.objects.due(now).filter(queue=job.queue, task=job.task, priority=job.priority)
        free = line.select_for_update(skip_locked=True).order_by("turn", "requested_at")
        taken = MediaJob.objects.filter(pk__in=list(free.values_list("pk", flat=True)[:most]))
        taken.update(
            state=State.RUNNING,
            attempt=F("attempt") + 1,
            lease_until=now + lifecycle.LEASE,
            worker=job.worker,
            started_at=now,
            error="",
            error_code="",
        )
        claimed = list(taken.order_by("turn", "requested_at"))
        for each in claimed:
            tell(each, now)
    return claimed


def give_back(jobs: Sequence[MediaJob]) -> None:
    """running -> queued for those of `claim_more` that were not begun."""
    now = clock.now()
    with transaction.atomic():
        for job in jobs:
            _held(job).filter(cancel_requested=False).update(
                state=State.QUEUED, run_after=now, sent_at=now, lease_until=None, started_at=None
            )
        outbox.wake_after_commit(jobs)
    for job in jobs:
        lifecycle.end_cancelled(job)  # those that were asked to stop meanwhile


def finish_many(results: Sequence[tuple[MediaJob, dict[str, Any]]]) -> None:
    """running -> done for each, with its result; quiet ones in one transaction."""
    now = clock.now()
    with transaction.atomic():
        for job, result in results:
            if job.is_quiet and not job.key.endswith(mark_of(job.pk)):
                ended = {"state": State.DONE, "finished_at": now, "lease_until": None, "result": result}
                _held(job).update(progress_done=F("progress_total"), **ended)
    for job, result in results:
        if not job.is_quiet or job.key.endswith(mark_of(job.pk)):
            lifecycle.finish(job, result)


def _held(job: MediaJob) -> JobQuerySet:
    return MediaJob.objects.filter(pk=job.pk, state=State.RUNNING, attempt=job.attempt)
