"""Every move of a job's state: compare-and-swap on the row, fenced by attempt. See the drawing on MediaJob."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, Sum

from media_jobs import clock, kinds, outbox, statements
from media_jobs.events import EventType, hint, job_payload
from media_jobs.models import MediaJob
from media_jobs.turns import Turns
from media_jobs.wishes import Recorded, Wish, hasten_needs, mark_of, parked, record, record_many, retry, tell

__all__ = [
    "Recorded",
    "Wish",
    "parked",
    "record",
    "record_many",
    "retry",
]  # the door for the apps: wishes begin here, too

LEASE = timedelta(seconds=60)
MOST_LOSSES = 3  # a job whose worker went away so often is taken for what ended it
POISON = "poison"
ENDING = " (ending)"  # behind the name of a worker that was asked to end: what it leaves is not to blame
PASSED = "passed_its_turn"  # in the memory of long work: that it goes on is no news
SEALED = "sealed_"  # arguments named like this do not outlive the work: rows are kept for weeks
State = MediaJob.State


def claim(queue: str, *, worker: str) -> MediaJob | None:
    """Takes the best job of `queue` that is due for `worker`: by priority, turn and age. None where there is none."""
    with transaction.atomic():
        job = statements.claim(queue, worker=worker, lease=LEASE)
        if job is not None and job.started_at is not None and not job.result.get(PASSED):
            tell(job, job.started_at)
    return job


def prolong(held: Iterable[tuple[UUID, int]]) -> None:
    """Renews the leases of jobs, given by id and attempt, that are still held."""
    until = clock.now() + LEASE
    for pk, attempt in held:
        MediaJob.objects.filter(pk=pk, attempt=attempt, state=State.RUNNING).update(lease_until=until)


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


def note_place(job: MediaJob, *, done: int, total: int, **facts: Any) -> None:
    """Notes, in one step, how far long work is and what it must know to go on from there."""
    job.result = {**job.result, **facts}
    job.progress_done, job.progress_total = done, total
    _held(job).update(result=job.result, progress_done=done, progress_total=total)


def finish(job: MediaJob, result: dict[str, Any]) -> bool:
    """running -> done. False where somebody else holds the job by now."""
    if not _end(job, State.DONE, result=result, progress_done=job.progress_total):
        return False
    for waiting in job.needed_by.filter(state=State.WAITING):  # quick work never said how far it was
        _sum_up(waiting, clock.now())
    return True


def fail(job: MediaJob, message: str, *, code: str, is_passing: bool = False, at_least_s: float = 0) -> bool:
    """running -> failed, or back to queued where trying again can help and a try is left.

    The job's kind says when the next try is due, `at_least_s` that it is no sooner.
    """
    failed = {"failed_count": F("failed_count") + 1, "error": message, "error_code": code}
    if not is_passing or is_last_try(job):
        return _end(job, State.FAILED, **failed)
    now = clock.now()
    chance = (job.pk.int >> 8 * (job.attempt % 8)) % 256 / 256
    kind = kinds.every().get(job.task)
    wait_s = kind.retry_in_s(job.failed_count + 1, chance=chance) if kind else 0
    with transaction.atomic():
        held = _unless_cancelled(job).update(
            state=State.QUEUED,
            run_after=now + timedelta(seconds=max(at_least_s, wait_s)),
            sent_at=None,
            lease_until=None,
            **failed,
        )
        if held:
            job.refresh_from_db()
            tell(job, now)
    return bool(held) or end_cancelled(job)


def is_last_try(job: MediaJob) -> bool:
    """Whether a failure now is the end. Tries that ended with their worker, or waited, were no failures."""
    return job.failed_count + 1 >= job.max_attempts


def lose(job: MediaJob) -> bool:
    """running -> queued for a job whose worker has gone, at the third time -> parked: it may be what ended them.

    False where the worker has given a sign of life since the job was read.
    """
    if job.cancel_requested or job.worker.endswith(ENDING):
        return hand_back(job)
    is_poison = job.lost_count + 1 >= MOST_LOSSES
    if is_poison:
        words = f"It was given up: {MOST_LOSSES} workers went away while they worked at it. Ask for it again to try."
        changes: dict[str, Any] = {"state": State.PARKED, "error": words, "error_code": POISON}
    else:
        words = "The worker went away; another one does it again."
        changes = {"state": State.QUEUED, "error": words, "error_code": "worker_lost"}
    return _leave(job, **changes, lost_count=F("lost_count") + 1)


def hand_back(job: MediaJob) -> bool:
    """running -> queued for a job whose worker ends in order: the job is not to blame for that."""
    return end_cancelled(job) if job.cancel_requested else _leave(job, state=State.QUEUED)


def _leave(job: MediaJob, **changes: Any) -> bool:
    now = clock.now()
    ends = changes["state"] == State.PARKED
    more = {"finished_at": now} if ends else {"run_after": now, "sent_at": now}
    with transaction.atomic():
        # The lease as it was read: whoever renewed it meanwhile lives.
        silent = _unless_cancelled(job).filter(lease_until=job.lease_until)
        if not silent.update(lease_until=None, **changes, **more):
            return False
        job.refresh_from_db()
        tell(job, now)
        if ends:
            _after_end(job)
        else:
            outbox.wake_after_commit([job])
    return True


def pass_turn(job: MediaJob) -> bool:
    """running -> queued, behind what waits already: long work that has noted where it is lets others go first.

    No news to anybody. What its former workers died of is forgiven: it has come on since.
    """
    now = clock.now()
    with transaction.atomic():
        turn = Turns(job.queue, job.priority, [job.topic], now).next(job.topic)
        held = _unless_cancelled(job).update(
            state=State.QUEUED,
            run_after=now,
            sent_at=now,
            lease_until=None,
            turn=turn,
            lost_count=0,
            result={**job.result, PASSED: True},
        )
        if held:
            job.refresh_from_db()
            outbox.wake_after_commit([job])
    return bool(held) or end_cancelled(job)


def is_wanted_by_others(job: MediaJob) -> bool:
    """Whether other work that is at least as urgent is due in its queue."""
    line = MediaJob.objects.due(clock.now()).filter(queue=job.queue, priority__lte=job.priority)
    return line.exclude(pk=job.pk).exists()


def is_overtaken(job: MediaJob) -> bool:
    """Whether work that is more urgent is due in its queue."""
    return MediaJob.objects.due(clock.now()).filter(queue=job.queue, priority__lt=job.priority).exists()


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

    One that was asked to stop meanwhile ends cancelled, and with it those of `others` that nobody else waits for.
    """
    with transaction.atomic():
        held = _unless_cancelled(job).update(state=State.WAITING, lease_until=None, sent_at=None)
        if held:
            job.needs.set(others)
            job.refresh_from_db(fields=["priority"])  # somebody may be waiting for it by now
            hasten_needs(job)
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
        waiting = MediaJob.objects.filter(pk=job.pk, state=State.WAITING)
        with transaction.atomic():
            if waiting.update(state=State.QUEUED, run_after=now, sent_at=now):
                job.refresh_from_db()
                tell(job, now)
                outbox.wake_after_commit([job])


def cancel(job: MediaJob, *, by: str = "") -> bool:
    """Ends a job that nobody works on, asks a running one to stop; what only it waited for goes with it.

    `by` is the person who wants it, for the job's words. False where it had ended already.
    """
    now = clock.now()
    mine = MediaJob.objects.filter(pk=job.pk)
    words = {"error": _words_of(by)} if by else {}
    with transaction.atomic():
        # Locked, so that it cannot step from running to waiting between the two questions.
        list(mine.select_for_update(no_key=True).values_list("pk"))
        ended = mine.filter(state__in=[State.QUEUED, State.WAITING]).update(
            state=State.CANCELLED, cancel_requested=True, finished_at=now, **words
        )
        asked = mine.filter(state=State.RUNNING).update(cancel_requested=True, **words)
        job.refresh_from_db()
        if ended:
            tell(job, now)
            _after_end(job)
            _drop(job.needs.active())
    return bool(ended or asked)


def cancel_all(topic: str, *, by: str = "") -> int:
    """Cancels every active job of `topic`, and what only they waited for. Returns how many there were.

    For whoever deletes a camera or a timelapse: running work is asked to stop and has stopped within two seconds; its
    last step, which writes files or rows, asks before.
    """
    active = MediaJob.objects.active().filter(topic=topic, cancel_requested=False)
    count = active.count()
    # Those that somebody hears of, or that have to do with others, one by one; the crowd of quiet ones at once.
    is_single = (
        Q(is_quiet=False) | ~Q(state=State.QUEUED) | Q(needed_by__isnull=False) | Q(needs__isnull=False)
    )
    for job in active.filter(is_single).distinct().order_by("pk"):
        cancel(job, by=by)
    with transaction.atomic():
        rows = active.filter(state=State.QUEUED).order_by("pk").select_for_update(no_key=True)
        crowd = list(rows.values_list("pk", flat=True))
        words = {"error": _words_of(by)} if by else {}
        MediaJob.objects.filter(pk__in=crowd, state=State.QUEUED).update(
            state=State.CANCELLED, cancel_requested=True, finished_at=clock.now(), **words
        )
    return count


def _words_of(by: str) -> str:
    return f"Cancelled by {by}."


def _end(job: MediaJob, state: MediaJob.State, **fields: Any) -> bool:
    now = clock.now()
    key = job.key.removesuffix(mark_of(job.pk))
    with transaction.atomic():
        if not _held(job).update(state=state, finished_at=now, lease_until=None, key=key, **fields):
            return False
        job.refresh_from_db()
        tell(job, now)
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


def _held(job: MediaJob) -> Any:
    return MediaJob.objects.filter(pk=job.pk, state=State.RUNNING, attempt=job.attempt)


def _unless_cancelled(job: MediaJob) -> Any:
    return _held(job).filter(cancel_requested=False)


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
