"""WHAT the clock and the video pool do with films."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from media_jobs import clock, runs
from media_jobs.kinds import kind
from media_jobs.tracked import Running
from videos import automation, rendering, retention

# The last resort against work that hangs where nothing asks whether to stop, such as a storage that does not answer:
# the pool ends it then (timelapser/queues.py). Each ffmpeg has a limit of its own; a join copies packets, at the speed
# of the disk.
LIMIT_S = 6 * 3600 + 300


@shared_task(name="videos.follow")
@runs.entry
def follow() -> runs.Result:
    rendering.reconcile()
    return {"asked": automation.follow(clock.now())}


@kind("videos.render", retries_s=(10, 20, 40, 80), limit_s=LIMIT_S, again=rendering.request_again)
def render(running: Running) -> dict[str, Any]:
    from videos import assembly  # slow import: the encoder, for the video pool only

    return assembly.render(running)


@kind("videos.encode_segment", retries_s=(10, 20), limit_s=LIMIT_S, is_part=True)
def encode_segment(running: Running) -> dict[str, Any]:
    from videos import assembly  # slow import: the encoder, for the video pool only

    return assembly.encode(running)


@shared_task(name="videos.tidy")
@runs.entry
def tidy() -> runs.Result:
    return {"deleted": retention.tidy(clock.now())}
