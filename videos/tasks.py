"""WHAT the clock and the video pool do with films."""

from __future__ import annotations

from celery import Task, shared_task

from media_jobs import clock, tracked
from videos import automation, rendering, retention


@shared_task(name="videos.follow")
def follow() -> None:
    rendering.reconcile()
    automation.follow(clock.now())


@shared_task(name="videos.render", bind=True)
def render(self: Task, job_id: str) -> None:
    from videos import assembly  # slow import: the encoder, for the video pool only

    tracked.run(job_id, assembly.render, worker=str(self.request.hostname))


@shared_task(name="videos.encode_segment", bind=True)
def encode_segment(self: Task, job_id: str) -> None:
    from videos import assembly  # slow import: the encoder, for the video pool only

    tracked.run(job_id, assembly.encode, worker=str(self.request.hostname))


@shared_task(name="videos.tidy")
def tidy() -> None:
    retention.tidy(clock.now())
