"""What workers left behind: jobs whose worker has gone are taken back, and done again by another."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from media_jobs import lifecycle, outbox
from media_jobs.models import MediaJob


def release(worker: str) -> int:
    """Takes back what a former process of this name held: called when the worker starts. Returns how many."""
    return _take_back(MediaJob.objects.filter(state=MediaJob.State.RUNNING, worker=worker))


def reap(now: datetime) -> int:
    """Takes back the jobs whose lease has run out, and wakes those who wait for nobody. Returns how many."""
    taken = _take_back(MediaJob.objects.lost(now))
    lifecycle.wake(list(MediaJob.objects.filter(state=MediaJob.State.WAITING).values_list("pk", flat=True)))
    return taken


def _take_back(jobs: Iterable[MediaJob]) -> int:
    taken = 0
    for job in jobs:
        if job.cancel_requested:
            taken += lifecycle.end_cancelled(job)
        else:
            taken += lifecycle.fail(job, "The worker went away.", code="worker_lost", retry_in_s=0)
            if job.state == MediaJob.State.QUEUED:
                outbox.send_after_commit([job])
    return taken
