"""Asking cameras how they are: those that no capture has heard of lately, so that nobody is surprised at a start.

Captures tell of their cameras' health by themselves. For all others one quiet job for each capture queue asks one
camera after the other: it holds one thread of the pool, for less than a minute, whatever the cameras do.
"""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest

from cameras import connection, health
from cameras.exceptions import SealBroken
from cameras.models import Camera
from cameras.sources import SourceError
from media_jobs import clock, lifecycle
from media_jobs.models import MediaJob
from media_jobs.tracked import Running

# How old the last word of a camera may grow. One that begins to fail is asked with each tick until that is certain.
WELL = timedelta(minutes=5)
OFFLINE = timedelta(minutes=10)
FAILING = timedelta(seconds=50)
MOST_AT_ONCE = 150
SPEND_S = 45.0


def request(now: datetime) -> int:
    """Asks for one job for each queue that has cameras to be asked. Returns how many cameras they name."""
    by_queue: defaultdict[str, list[int]] = defaultdict(list)
    for camera in due(now):
        by_queue[camera.capture_queue].append(camera.pk)
    return sum(_record(queue, cameras[:MOST_AT_ONCE]) for queue, cameras in by_queue.items())


def due(now: datetime) -> list[Camera]:
    """The enabled cameras to be asked, those first that nobody has ever heard of, then by the age of their last word.

    As each has its own last word, they stay as spread over the minutes as they once were.
    """
    heard_at = Greatest(
        Coalesce("last_success_at", "last_failure_at"), Coalesce("last_failure_at", "last_success_at")
    )
    is_due = (
        Q(heard_at__isnull=True)
        | Q(health=Camera.Health.OFFLINE, heard_at__lte=now - OFFLINE)
        | Q(health=Camera.Health.ONLINE, heard_at__lte=now - WELL)
        | Q(health__in=[Camera.Health.DEGRADED, Camera.Health.UNKNOWN], heard_at__lte=now - FAILING)
    )
    cameras = Camera.objects.filter(is_enabled=True).annotate(heard_at=heard_at).filter(is_due)
    return list(cameras.select_related("site").order_by(F("heard_at").asc(nulls_first=True), "pk"))


def ask(running: Running) -> dict[str, Any]:
    """The job: asks its cameras one after the other for as long as it may; the rest is due with the next tick."""
    begun = time.monotonic()
    cameras: list[int] = running.args["cameras"]
    well = failing = 0
    for number, pk in enumerate(cameras):
        running.progress(number, len(cameras))
        if running.should_stop() or time.monotonic() - begun > SPEND_S:
            break
        camera = Camera.objects.filter(pk=pk, is_enabled=True).first()
        if camera is None:
            continue
        if _is_well(camera):
            well += 1
        else:
            failing += 1
    return {"well": well, "failing": failing, "left": len(cameras) - well - failing}


def _is_well(camera: Camera) -> bool:
    try:
        connection.read_still(camera)
    except SourceError as error:
        health.note_failure(camera.pk, clock.now(), code=error.code, message=str(error))
        return False
    except SealBroken as error:
        health.note_failure(camera.pk, clock.now(), code="password_unreadable", message=str(error))
        return False
    health.note_success(camera.pk, clock.now())
    return True


def _record(queue: str, cameras: list[int]) -> int:
    _, is_new = lifecycle.record(
        "cameras.ask",
        key=queue,
        topic="cameras",
        title=f"How {len(cameras)} cameras are",
        args={"cameras": cameras},
        priority=MediaJob.Priority.LOW,
        total=len(cameras),
        unit="cameras",
        is_quiet=True,
        queue=queue,
    )
    return len(cameras) if is_new else 0
