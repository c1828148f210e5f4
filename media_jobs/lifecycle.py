"""Every move of a job's state: compare-and-swap on the row, fenced by attempt. See the drawing on MediaJob."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Sum

from media_jobs import clock, outbox
from media_jobs.events import EventType, emit, hint, job_event, job_payload
from media_jobs.models import MediaJob

LEASE = timedelta(seconds=60)
SEALED = "sealed_"  # arguments named like this do not outlive the work: rows are kept for weeks
State = MediaJob.State


def record(
    task: str,
    *,
    key: str,
    topic: str,
    title: str,
    args: dict[str, Any],
    requested_by: str = "clock",
    priority: int = MediaJob.Priority.MEDIUM,
    max_attempts: int = 3,
    total: int = 0,
    unit: str = "frames",
    is_quiet: bool = False,
    queue: str = "",
) -> tuple[MediaJob, bool]:
    """Writes the wish for work in the caller's transaction; it is sent after the commit.

    Returns the job and whether it is new: the same wish (task, key) that is active already is the same job. One that
    was asked to stop, and whose worker has not stopped yet, is not: it gives its key away.
    """
    now = clock.now()
    active = MediaJob.objects.active().filter(task=task, key=key)
    context = structlog.contextvars.get_contextvars()
    job = MediaJob(
        task=task,
        queue=queue or settings.CELERY_TASK_ROUTES[task]["queue"],
        key=key,
        topic=topic,
        title=title,
        args=args,
        requested_by=requested_by,
        priority=priority,
        max_attempts=max_attempts,
        requested_at=now,
        run_after=now,
        progress_total=total,
        progress_unit=unit,
        is_quiet=is_quiet,
        correlation_id=str(context.get("correlation_id") or context.get("request_id") or ""),
    )
    while True:
        existing = active.first()
        if existing is not None and not existing.cancel_requested:
            return _hasten(existing, priority), False
        if existing is not None:
            active.filter(pk=existing.pk).update(key=f"{key}{_mark_of(existing)}")
            continue
        try:
            with transaction.atomic():
                job.save(force_insert=True)
            break
        except IntegrityError:
            continue  # somebody was quicker; theirs may even have ended by the time that we look
    _tell(job, now)
    outbox.send_after_commit([job])
    return job, True


def claim(job_id: UUID | str, *, worker: str) -> MediaJob | None:
    """Takes the job for `worker`, or None where it is not to be had: done, taken, cancelled, not due."""
    now = clock.now()
    with transaction.atomic():
        won = MediaJob.objects.filter(
            pk=job_id, state=State.QUEUED, cancel_requested=False, run_after__lte=now
        ).update(
            state=State.RUNNING,
            attempt=F("attempt") + 1,
            lease_until=now + LEASE,
            worker=worker,
            started_at=now,
            error="",
            error_code="",
        )
        if not won:
            return None
        job = MediaJob.objects.get(pk=job_id)
        _tell(job, now)
    return job


def renew(job: MediaJob, *, done: int, total: int) -> bool:
    """Lengthens the lease and notes the progress. False where the work is to stop: cancelled, or taken over."""
    now = clock.now()
    held = _held(job).update(lease_until=now + LEASE, progress_done=done, progress_total=total)
    if not held:
        return False
    job.progress_done, job.progress_total = done, total
    for waiting in job.needed_by.filter(state=State.WAITING):
        _sum_up(waiting, now)
    return not is_asked_to_stop(job)


def remember(job: MediaJob, **facts: Any) -> None:
    """Notes what a later claim of the job must know; the same wish made anew begins without it."""
    job.result = {**job.result, **facts}
    _held(job).update(result=job.result)


def finish(job: MediaJob, result: dict[str, Any]) -> bool:
    """running -> done. False where somebody else holds the job by now."""
    if not _end(job, State.DONE, result=result, progress_done=job.progress_total):
        return False
    for waiting in job.needed_by.filter(state=State.WAITING):  # quick work never said how far it was
        _sum_up(waiting, clock.now())
    return True


def fail(job: MediaJob, message: str, *, code: str, retry_in_s: float | None = None) -> bool:
    """running -> failed, or back to queued where trying again can help and an attempt is left.

    The next attempt is due after `retry_in_s`, twice that after the second failure, and so on.
    """
    if retry_in_s is None or job.attempt >= job.max_attempts:
        return _end(job, State.FAILED, error=message, error_code=code)
    now = clock.now()
    with transaction.atomic():
        held = _unless_cancelled(job).update(
            state=State.QUEUED,
            run_after=now + timedelta(seconds=retry_in_s * 2 ** (job.attempt - 1)),
            sent_at=None,
            lease_until=None,
            error=message,
            error_code=code,
        )
        if held:
            job.refresh_from_db()
            _tell(job, now)
    return bool(held) or end_cancelled(job)


def hold(job: MediaJob) -> bool:
    """Keeps the job as it is until the caller's transaction ends. False where the work is to stop."""
    held: int = _unless_cancelled(job).update(lease_until=clock.now() + LEASE)
    return bool(held)


def is_asked_to_stop(job: MediaJob) -> bool:
    return MediaJob.objects.filter(pk=job.pk, cancel_requested=True).exists()


def end_cancelled(job: MediaJob) -> bool:
    """running -> cancelled: the work has stopped. False where somebody else holds the job by now."""
    return _end(job, State.CANCELLED)


def wait(job: MediaJob, others: Sequence[MediaJob]) -> None:
    """running -> waiting, until all `others` have ended; it is then queued again and claimed anew.

    The work before the wait was no failed attempt, so it is not counted. One that was asked to stop meanwhile ends
    cancelled, and with it those of `others` that nobody else waits for.
    """
    with transaction.atomic():
        held = _unless_cancelled(job).update(
            state=State.WAITING, lease_until=None, attempt=F("attempt") - 1, sent_at=None
        )
        if held:
            job.needs.set(others)
        elif end_cancelled(job):
            _drop(others)
    if held:
        # In a transaction of its own: one that ended meanwhile saw no one waiting, so we look after it.
        wake([job.pk])


def wake(job_ids: Sequence[UUID]) -> None:
    """waiting -> queued for those whose needs have all ended."""
    now = clock.now()
    for job in MediaJob.objects.filter(pk__in=job_ids, state=State.WAITING):
        if job.needs.active().exists():
            continue
        if MediaJob.objects.filter(pk=job.pk, state=State.WAITING).update(state=State.QUEUED, run_after=now):
            outbox.send_after_commit([job])


def cancel(job: MediaJob, *, by: str = "") -> bool:
    """Ends a job that nobody works on, asks a running one to stop; what only it waited for goes with it.

    `by` is the person who wants it, for the job's words. False where it had ended already.
    """
    now = clock.now()
    mine = MediaJob.objects.filter(pk=job.pk)
    words = {"error": f"Cancelled by {by}."} if by else {}
    with transaction.atomic():
        # Locked, so that it cannot step from running to waiting between the two questions.
        list(mine.select_for_update().values_list("pk"))
        ended = mine.filter(state__in=[State.QUEUED, State.WAITING]).update(
            state=State.CANCELLED, cancel_requested=True, finished_at=now, **words
        )
        asked = mine.filter(state=State.RUNNING).update(cancel_requested=True, **words)
        job.refresh_from_db()
        if ended:
            _tell(job, now)
            _after_end(job)
        if ended:
            _drop(job.needs.active())
    return bool(ended or asked)


def retry(job: MediaJob, *, by: str) -> MediaJob:
    """The same wish once more, by a person; the ended job stays as it is."""
    again, _ = record(
        job.task,
        key=job.key,
        topic=job.topic,
        title=job.title,
        args=job.args,
        requested_by=by,
        priority=MediaJob.Priority.HIGH,
        max_attempts=job.max_attempts,
        total=job.progress_total,
        unit=job.progress_unit,
        queue=job.queue,
    )
    return again


def _end(job: MediaJob, state: MediaJob.State, **fields: Any) -> bool:
    now = clock.now()
    key = job.key.removesuffix(_mark_of(job))
    with transaction.atomic():
        if not _held(job).update(state=state, finished_at=now, lease_until=None, key=key, **fields):
            return False
        job.refresh_from_db()
        _tell(job, now)
        _after_end(job)
    return True


def _after_end(job: MediaJob) -> None:
    """What was sealed for the work goes; those who wait for this one are looked for once its end is true.

    Asked before the commit, one that begins to wait at this moment would not be seen, and would not see the end.
    """
    kept = {name: value for name, value in job.args.items() if not (name.startswith(SEALED) and value)}
    if kept != job.args:
        job.args = kept
        MediaJob.objects.filter(pk=job.pk).update(args=kept)
    transaction.on_commit(lambda: _wake_who_needed(job))


def _wake_who_needed(job: MediaJob) -> None:
    waiting = list(job.needed_by.filter(state=State.WAITING))
    now = clock.now() if waiting else job.requested_at
    for other in waiting:
        _sum_up(other, now)
    wake([other.pk for other in waiting])


def _drop(needs: Iterable[MediaJob]) -> None:
    """Cancels those that nobody waits for any more."""
    for need in needs:
        if not need.needed_by.active().exists():
            cancel(need)


def _mark_of(job: MediaJob) -> str:
    """Behind the key of a job that is to stop, so that the same wish can be active anew; it goes when the job ends."""
    return f"#{job.pk}"


def _held(job: MediaJob) -> Any:
    return MediaJob.objects.filter(pk=job.pk, state=State.RUNNING, attempt=job.attempt)


def _unless_cancelled(job: MediaJob) -> Any:
    return _held(job).filter(cancel_requested=False)


def _hasten(job: MediaJob, priority: int) -> MediaJob:
    if priority < job.priority:
        MediaJob.objects.filter(pk=job.pk).update(priority=priority)
        job.priority = priority
    return job


def _sum_up(waiting: MediaJob, now: datetime) -> None:
    """The progress of a job that waits is that of what it waits for."""
    left = waiting.needs.aggregate(left=Sum(F("progress_total") - F("progress_done")))["left"] or 0
    done = max(0, waiting.progress_total - left)
    # Two segments may speak at once: the later sum is the larger one.
    MediaJob.objects.filter(pk=waiting.pk, state=State.WAITING, progress_done__lt=done).update(
        progress_done=done
    )
    waiting.progress_done = max(waiting.progress_done, done)
    hint(EventType.JOB_PROGRESS, waiting.topic, job_payload(waiting, now))


def _tell(job: MediaJob, now: datetime) -> None:
    if job.is_quiet:
        return
    emit(job_event(job), job.topic, job_payload(job, now), now=now)
