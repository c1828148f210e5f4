"""What workers left behind: jobs whose worker has gone are taken back, and done again by another."""

from __future__ import annotations

from datetime import datetime

from media_jobs import lifecycle
from media_jobs.models import MediaJob


def release(worker: str) -> int:
    """Takes back what a former process of this name held: called when the worker starts. Returns how many."""
    return sum(lifecycle.lose(job) for job in _held_by(worker))


def note_ending(worker: str) -> int:
    """Remembers that `worker` was asked to end, should it be killed before it has handed back. Returns how many."""
    running = MediaJob.objects.filter(state=MediaJob.State.RUNNING, worker=worker)
    return running.update(worker=f"{worker}{lifecycle.ENDING}")


def hand_back(worker: str) -> int:
    """Gives back what `worker`, which ends in order, has not finished: others go on at once. Returns how many."""
    return sum(lifecycle.hand_back(job) for job in _held_by(worker))


def reap(now: datetime) -> int:
    """Takes back the jobs whose lease has run out, and wakes those who wait for nobody. Returns how many."""
    taken = sum(lifecycle.lose(job) for job in list(MediaJob.objects.lost(now)))
    lifecycle.wake(list(MediaJob.objects.filter(state=MediaJob.State.WAITING).values_list("pk", flat=True)))
    return taken


def _held_by(worker: str) -> list[MediaJob]:
    return list(
        MediaJob.objects.filter(
            state=MediaJob.State.RUNNING, worker__in=[worker, f"{worker}{lifecycle.ENDING}"]
        )
    )
