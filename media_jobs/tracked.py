"""The bracket around every job: claim, progress, stop, end. A task hands its work in here and stays plain."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog

from media_jobs import lifecycle
from media_jobs.events import EventType, hint, job_payload
from media_jobs.exceptions import StorageError, WaitForOthers, WorkCancelled, WorkFailed
from media_jobs.models import MediaJob

LOOK_EVERY_S = 0.5
STORAGE_RETRY_S = 60

log = structlog.get_logger(__name__)


class Running:
    """What the work may ask and tell while it runs."""

    def __init__(self, job: MediaJob) -> None:
        self.job = job
        self.args: dict[str, Any] = job.args
        self._done = job.progress_done  # a job that waited goes on where it was
        self._total = job.progress_total
        self._looked_at = time.monotonic()
        self._is_over = False

    def progress(self, done: int, total: int | None = None) -> None:
        """Notes how far the work is, in the job's unit."""
        self._done = done
        self._total = self._total if total is None else total
        self.should_stop()

    def should_stop(self) -> bool:
        """Whether to stop now; asks the row twice a second at the most, however often it is called."""
        if self._is_over or time.monotonic() - self._looked_at < LOOK_EVERY_S:
            return self._is_over
        self._looked_at = time.monotonic()
        self._is_over = not lifecycle.renew(self.job, done=self._done, total=self._total)
        hint(EventType.JOB_PROGRESS, self.job.topic, job_payload(self.job, datetime.now(UTC)))
        return self._is_over


def run(job_id: str, work: Callable[[Running], dict[str, Any]], *, worker: str) -> None:
    """Does `work` for the job `job_id`, if it is to be had, and records how it ended."""
    job = lifecycle.claim(job_id, worker=worker)
    if job is None:
        return
    if job.correlation_id:
        structlog.contextvars.bind_contextvars(correlation_id=job.correlation_id)
    try:
        result = work(Running(job))
    except WaitForOthers as pause:
        lifecycle.wait(job, pause.jobs)
    except WorkCancelled:
        lifecycle.end_cancelled(job)
    except WorkFailed as error:
        lifecycle.fail(job, str(error), code=error.code, retry_in_s=error.retry_in_s)
    except StorageError as error:
        lifecycle.fail(job, str(error), code=error.code, retry_in_s=STORAGE_RETRY_S)
    except BaseException as error:
        # Not known: the row must not wait for its lease, and Celery's log must have the trace.
        lifecycle.fail(job, f"The work stopped unexpectedly ({type(error).__name__}).", code="unexpected")
        raise
    else:
        lifecycle.finish(job, result)
