"""How work is asked for: recorded in the caller's transaction, one active job for each wish, let in or not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from media_jobs import clock, correlation, kinds, limits, outbox, statements
from media_jobs.events import announce_after_commit, drafted, emit, job_event, job_payload
from media_jobs.exceptions import NotRepeatable
from media_jobs.models import MediaJob
from media_jobs.turns import Turns

State = MediaJob.State
Priority = MediaJob.Priority
BATCH = 500


@dataclass(frozen=True, slots=True)
class Wish:
    """What one job of many shall do; `key` says what it is for, `total` how much there is to do."""

    key: str
    topic: str
    title: str
    args: dict[str, Any]
    total: int = 0


@dataclass(slots=True)
class Recorded:
    """What became of many wishes: their jobs (those that were active already among them), and how many were shed.

    `parked` are the ended jobs of those that are not to be tried again unless a person asks.
    """

    jobs: list[MediaJob] = field(default_factory=list)
    parked: list[MediaJob] = field(default_factory=list)
    new: int = 0
    shed: int = 0


def record(
    task: str,
    *,
    key: str,
    topic: str,
    title: str,
    args: dict[str, Any],
    requested_by: str = "clock",
    priority: int = Priority.MEDIUM,
    queue: str = "",
    total: int = 0,
    unit: str = "frames",
    is_quiet: bool = False,
) -> tuple[MediaJob, bool]:
    """Writes the wish for work in the caller's transaction; a worker is woken after the commit.

    Returns the job and whether it is new: the same wish (task, key) that is active already is the same job. One that
    was asked to stop, and whose worker has not stopped yet, is not: it gives its key away. `queue`: where the kind's
    own is not right. Raises TooManyWaiting.
    """
    job = _job(
        task, Wish(key, topic, title, args, total), requested_by, priority, queue, unit, is_quiet=is_quiet
    )
    here = datetime.now(UTC)  # the database's own time takes its place
    event = drafted(
        job_event(job), topic, job_payload(job, here), now=here, correlation_id=job.correlation_id
    )
    most = limits.limit_of(kinds.of(task), priority)
    while True:
        seen, is_new = statements.record(job, event, limit=most, is_told=not is_quiet)
        if is_new:
            break
        if seen.active is None:
            limits.admit(job, seen.waiting)
            continue  # somebody was quicker; theirs may even have ended by the time that we look
        existing = MediaJob.objects.active().filter(pk=seen.active).first()
        if existing is not None and not existing.cancel_requested:
            return hasten(existing, priority, is_quiet=is_quiet), False
        _give_key_away([existing] if existing else [])
    outbox.wake_after_commit([job])  # first: who announces takes turns with this thread
    if not is_quiet:
        announce_after_commit()
    return job, True


def record_many(
    task: str,
    wishes: Iterable[Wish],
    *,
    requested_by: str = "clock",
    priority: int = Priority.MEDIUM,
    queue: str = "",
    unit: str = "frames",
    is_quiet: bool = True,
) -> Recorded:
    """The same for many, in a few statements for each 500. What there is no room for is shed, and said (see limits).

    What was parked is taken up again for people only, which is to say at high priority: it has ended three workers, and
    the clock would give it three more each time that it asks.
    """
    recorded = Recorded()
    distinct = list({wish.key: wish for wish in wishes}.values())
    for start in range(0, len(distinct), BATCH):
        batch = distinct[start : start + BATCH]
        jobs = [_job(task, wish, requested_by, priority, queue, unit, is_quiet=is_quiet) for wish in batch]
        with transaction.atomic():
            _record_batch(jobs, recorded)
    if recorded.shed:
        limits.note_shed(kinds.of(task), recorded.shed, distinct[-1].topic, clock.now())
    return recorded


def _record_batch(jobs: list[MediaJob], recorded: Recorded) -> None:
    first = jobs[0]
    while True:
        now = clock.now()
        keys = [job.key for job in jobs]
        active = MediaJob.objects.active().filter(task=first.task, key__in=keys).order_by("pk")
        known = {job.key: job for job in active if not job.cancel_requested}
        _give_key_away([job for job in active if job.cancel_requested])
        given_up = {} if first.priority == Priority.HIGH else parked(first.task, keys)
        fresh = [job for job in jobs if job.key not in known and job.key not in given_up]
        room = limits.room_for(kinds.of(first.task), first.priority)
        taken = fresh if room is None else fresh[:room]
        turns = Turns(first.queue, first.priority, {job.topic for job in taken}, now)
        for job in taken:
            job.turn = turns.next(job.topic)
            job.requested_at = job.run_after = job.sent_at = now
        try:
            with transaction.atomic():
                MediaJob.objects.bulk_create(taken)
            break
        except IntegrityError:
            continue  # somebody was quicker with one of them
    for job in taken:
        tell(job, now)
    outbox.wake_after_commit(taken)
    hastened = [hasten(job, first.priority, is_quiet=first.is_quiet) for job in known.values()]
    recorded.jobs += [*hastened, *taken]
    recorded.parked += [job for key, job in given_up.items() if key not in known]
    recorded.new += len(taken)
    recorded.shed += len(fresh) - len(taken)


def hasten(job: MediaJob, priority: int, *, is_quiet: bool = True) -> MediaJob:
    """Moves an active job, and what it waits for, to a better line; one that a person asks for is quiet no more."""
    if job.is_quiet and not is_quiet:
        MediaJob.objects.filter(pk=job.pk).update(is_quiet=False)
        job.is_quiet = False
    if priority < job.priority:
        now = clock.now()
        job.turn = Turns(job.queue, priority, [job.topic], now).next(job.topic)
        job.priority = priority
        MediaJob.objects.filter(pk=job.pk).update(priority=priority, turn=job.turn)
        # A worker that was woken at this moment may have passed the row over.
        outbox.wake_after_commit([job] if job.state == State.QUEUED else [])
    hasten_needs(job)
    return job


def hasten_needs(job: MediaJob) -> None:
    """What `job` waits for is as urgent as itself."""
    for need in job.needs.active().filter(priority__gt=job.priority).order_by("turn", "requested_at"):
        hasten(need, job.priority)


def parked(task: str, keys: Collection[str]) -> dict[str, MediaJob]:
    """The wishes that were given up, by key: of each the newest job that has ended is parked."""
    ended = MediaJob.objects.ended().filter(task=task).order_by("requested_at")
    found = {job.key: job for job in ended.filter(key__in=keys, state=State.PARKED)}
    newest = {job.key: job for job in ended.filter(key__in=found)} if found else {}
    return {key: job for key, job in newest.items() if job.state == State.PARKED}


def retry(job: MediaJob, *, by: str) -> MediaJob:
    """The same wish once more, by a person; the ended job stays as it is. Raises NotRepeatable, TooManyWaiting."""
    if job.state == State.DONE:
        raise NotRepeatable
    kind = kinds.of(job.task)
    if kind.again is not None:
        return kind.again(job, by)
    again, _ = record(
        job.task,
        key=job.key,
        topic=job.topic,
        title=job.title,
        args=job.args,
        requested_by=by,
        priority=Priority.HIGH,
        queue=job.queue,
        total=job.progress_total,
        unit=job.progress_unit,
    )
    return again


def mark_of(job_id: UUID) -> str:
    """Behind the key of a job that is to stop, so that the same wish can be active anew; it goes when the job ends."""
    return f"#{job_id}"


def tell(job: MediaJob, now: datetime) -> None:
    """The event of the job's present state; of a quiet job only that it has ended badly."""
    if not job.is_quiet or job.state in MediaJob.ENDED_BADLY:
        emit(job_event(job), job.topic, job_payload(job, now), now=now, correlation_id=job.correlation_id)


def _give_key_away(jobs: Sequence[MediaJob]) -> None:
    for job in jobs:
        if not job.key.endswith(mark_of(job.pk)):
            MediaJob.objects.active().filter(pk=job.pk).update(key=f"{job.key}{mark_of(job.pk)}")


def _job(
    task: str, wish: Wish, requested_by: str, priority: int, queue: str, unit: str, *, is_quiet: bool
) -> MediaJob:
    return MediaJob(
        task=task,
        queue=queue or settings.QUEUE_OF_KIND[task],
        key=wish.key,
        topic=wish.topic,
        title=wish.title,
        args=wish.args,
        requested_by=requested_by,
        priority=priority,
        max_attempts=kinds.of(task).max_attempts,
        progress_total=wish.total,
        progress_unit=unit,
        is_quiet=is_quiet,
        correlation_id=correlation.current() or correlation.new(),
    )
