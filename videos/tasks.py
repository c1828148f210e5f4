"""WHAT the clock and the video pool do with films."""

from __future__ import annotations

from celery import Task, shared_task

from media_jobs import clock, runs, tracked
from videos import automation, rendering, retention

# The last resort against work that hangs where nothing asks whether to stop, such as a storage that does not answer.
# Each ffmpeg has a limit of its own; a join copies packets, at the speed of the disk. Pools of threads
# cannot end their work and ignore it.
SOFT_LIMIT_S = 6 * 3600
HARD_LIMIT_S = SOFT_LIMIT_S + 300


@shared_task(name="videos.follow")
@runs.entry
def follow() -> runs.Result:
    rendering.reconcile()
    return {"asked": automation.follow(clock.now())}


@shared_task(name="videos.render", bind=True, soft_time_limit=SOFT_LIMIT_S, time_limit=HARD_LIMIT_S)
def render(self: Task, job_id: str) -> None:
    from videos import assembly  # slow import: the encoder, for the video pool only

    tracked.run(job_id, assembly.render, worker=str(self.request.hostname))


@shared_task(name="videos.encode_segment", bind=True, soft_time_limit=SOFT_LIMIT_S, time_limit=HARD_LIMIT_S)
def encode_segment(self: Task, job_id: str) -> None:
    from videos import assembly  # slow import: the encoder, for the video pool only

    tracked.run(job_id, assembly.encode, worker=str(self.request.hostname))


@shared_task(name="videos.tidy")
@runs.entry
def tidy() -> runs.Result:
    return {"deleted": retention.tidy(clock.now())}
