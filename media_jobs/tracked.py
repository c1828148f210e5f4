"""The bracket around every job: claim, progress, stop, end. A task hands its work in here and stays plain."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from media_jobs import correlation, kinds, lifecycle
from media_jobs.events import EventType, hint, job_payload
from media_jobs.exceptions import (
    StorageError,
    TurnPassed,
    UnknownKind,
    WaitForOthers,
    WorkCancelled,
    WorkFailed,
)
from media_jobs.heartbeat import heartbeat
from media_jobs.kinds import Work
from media_jobs.models import MediaJob

LOOK_EVERY_S = 0.5
LATER_S = 60
LONGEST_TURN_S = 20  # of long work: pools bound what they do at once


class Running:
    """What the work may ask and tell while it runs."""

    def __init__(self, job: MediaJob, interruption: type[Exception] | None = None) -> None:
        self.job = job
        self.interruption = interruption  # what the pool raises in work that has taken too long
        self.args: dict[str, Any] = job.args
        self._done = job.progress_done  # a job that waited goes on where it was
        self._total = job.progress_total
        self._had = self._done
        self._began_at = self._looked_at = self._noted_at = time.monotonic()
        self._is_over = False

    @property
    def is_last_try(self) -> bool:
        """Whether a failure, passing or not, is the end."""
        return lifecycle.is_last_try(self.job)

    def progress(self, done: int, total: int | None = None) -> None:
        """Notes how far the work is, in the job's unit."""
        self._done = done
        self._total = self._total if total is None else total
        self.should_stop()

    def go_on(self, done: int, total: int, place: Callable[[], dict[str, Any]]) -> None:
        """Between two steps of long work: `place` gives all that it takes to go on from here, by whatever worker.

        It is asked and noted twice a second, in the job's `result`. Raises WorkCancelled, and TurnPassed where other
        work waits or the turn has lasted long enough; the place has been noted then.
        """
        self._done, self._total = done, total
        moment = time.monotonic()
        if moment - self._noted_at < LOOK_EVERY_S:
            return
        self._noted_at = moment
        lifecycle.note_place(self.job, done=done, total=total, had=self._had, **place())
        if self.should_stop():
            raise WorkCancelled
        if moment - self._began_at > LONGEST_TURN_S or lifecycle.is_wanted_by_others(self.job):
            raise TurnPassed

    def should_stop(self) -> bool:
        """Whether to stop now; asks the row twice a second at the most, however often it is called."""
        if self._is_over or time.monotonic() - self._looked_at < LOOK_EVERY_S:
            return self._is_over
        self._looked_at = time.monotonic()
        self._is_over = not lifecycle.renew(self.job, done=self._done, total=self._total)
        hint(EventType.JOB_PROGRESS, self.job.topic, job_payload(self.job, datetime.now(UTC)))
        return self._is_over


def work(queue: str, *, worker: str, interruption: type[Exception] | None = None) -> bool:
    """Claims the best job of `queue` and does it. False where there was none.

    `interruption` is what the pool raises in work that has taken too long.
    """
    job = lifecycle.claim(queue, worker=worker)
    if job is None:
        return False
    try:
        kind = kinds.of(job.task)
    except UnknownKind as error:
        # While releases change, a worker of the newer one may be next.
        words = "The worker's release does not know this kind of work."
        lifecycle.fail(job, words, code=error.code, is_passing=True, at_least_s=LATER_S)
        return True
    with heartbeat.hold(job, limit_s=kind.limit_s):
        do(job, kind.work, interruption=interruption)
    return True


def do(job: MediaJob, work: Work, *, interruption: type[Exception] | None = None) -> None:
    """Does `work` for a claimed job, and records how it ended."""
    with correlation.following(job.correlation_id):
        try:
            result = work(Running(job, interruption))
        except BaseException as error:
            if not note_end(job, error, interruption):
                raise
        else:
            lifecycle.finish(job, result)


def note_end(job: MediaJob, error: BaseException, interruption: type[Exception] | None) -> bool:
    """Records how a job ended whose work raised `error`. False for what is not known: it is to be raised on."""
    match error:
        case WaitForOthers():
            lifecycle.wait(job, error.jobs)
        case TurnPassed():
            lifecycle.pass_turn(job)
        case WorkCancelled():
            lifecycle.end_cancelled(job)
        case WorkFailed():
            lifecycle.fail(job, str(error), code=error.code, is_passing=error.is_passing)
        case StorageError():
            lifecycle.fail(job, str(error), code=error.code, is_passing=True, at_least_s=LATER_S)
        case _ if interruption is not None and isinstance(error, interruption):
            lifecycle.fail(job, "The work took longer than it may.", code="took_too_long", is_passing=True)
        case _:
            # The row must not wait for its lease, and Celery's log must have the trace.
            lifecycle.fail(job, f"The work stopped unexpectedly ({type(error).__name__}).", code="unexpected")
            return False
    return True
