"""Asking cameras how they are: those that no capture has heard of lately, so that nobody is surprised at a start.

Captures tell of their cameras' health by themselves. For all others a few quiet jobs for each capture queue ask one
camera after the other: each holds one thread of the pool, for less than a minute, whatever the cameras do, and together
they hold a quarter of it at most.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce, Greatest

from cameras import connection, health, seats
from cameras.exceptions import SealBroken
from cameras.models import Camera
from cameras.sources import SourceError
from media_jobs import clock, lifecycle, workers
from media_jobs.models import MediaJob
from media_jobs.tracked import Running

# How old the last word of a camera may grow. One that begins to fail is asked with each tick until that is certain.
WELL = timedelta(minutes=5)
OFFLINE = timedelta(minutes=10)
FAILING = timedelta(seconds=50)
MOST_AT_ONCE = 150  # cameras of one job
MOST_JOBS = 8
SHARE_OF_POOL = 4  # one in so many of its threads
SPEND_S = 45.0
CONNECT_WITHIN_S = 2.0  # the second try of TCP comes after one: who answers at all has answered


def request(now: datetime) -> int:
    """Asks for a few jobs for each queue that has cameras to be asked. Returns how many cameras they name.

    A camera is always of the same job, so that two of them do not ask it at once.
    """
    jobs = _jobs_at_once(now)
    shares: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for camera in due(now):
        queue = camera.capture_queue
        shares[queue, camera.pk % jobs.get(queue, 1)].append(camera.pk)
    return sum(_record(queue, number, cameras[:MOST_AT_ONCE]) for (queue, number), cameras in shares.items())


def _jobs_at_once(now: datetime) -> dict[str, int]:
    """How many jobs each queue's living workers have room for."""
    threads: Counter[str] = Counter()
    for pulse in workers.alive(now):
        threads.update(dict.fromkeys(pulse.facts.get("queues", []), pulse.facts.get("concurrency", 0)))
    return {queue: min(max(1, count // SHARE_OF_POOL), MOST_JOBS) for queue, count in threads.items()}


def due(now: datetime) -> list[Camera]:
    """The enabled cameras to be asked: those that were well first, for they answer at once, and the offline last.

    Among them those first that nobody has ever heard of, then by the age of their last word. As each has its own last
    word, they stay as spread over the minutes as they once were.
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
    trouble = Case(
        When(health=Camera.Health.ONLINE, then=Value(0)),
        When(health=Camera.Health.OFFLINE, then=Value(2)),
        default=Value(1),
    )
    order = (trouble, F("heard_at").asc(nulls_first=True), "pk")
    return list(cameras.select_related("site").order_by(*order))


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
        if camera is None or _was_heard(camera, since=running.job.requested_at):
            continue
        # What is left because its host is busy is no failure: it is due again with the next tick.
        with seats.seat(camera.address, leave=1) as is_seated:
            if is_seated and _is_well(camera):
                well += 1
            elif is_seated:
                failing += 1
    return {"well": well, "failing": failing, "left": len(cameras) - well - failing}


def _was_heard(camera: Camera, *, since: datetime) -> bool:
    """Whether a capture, or a job that came late, has heard of it meanwhile."""
    return any(at is not None and at > since for at in (camera.last_success_at, camera.last_failure_at))


def _is_well(camera: Camera) -> bool:
    try:
        connection.read_still(camera, connect_within_s=CONNECT_WITHIN_S)
    except SourceError as error:
        health.note_failure(camera.pk, clock.now(), code=error.code, message=str(error))
        return False
    except SealBroken as error:
        health.note_failure(camera.pk, clock.now(), code="password_unreadable", message=str(error))
        return False
    health.note_success(camera.pk, clock.now())
    return True


def _record(queue: str, number: int, cameras: list[int]) -> int:
    _, is_new = lifecycle.record(
        "cameras.ask",
        key=f"{queue} {number}",
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
