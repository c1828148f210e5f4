"""Asking cameras how they are: those that no capture has heard of lately, so that nobody is surprised at a start.

Captures tell of their cameras' health by themselves. For all others a few quiet jobs for each capture queue ask one
camera after the other: each holds one thread of the pool, for less than a minute, whatever the cameras do, and together
they hold a quarter of it at most.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q

from cameras import connection, effective, health, seats
from cameras.exceptions import SealBroken
from cameras.models import Camera
from cameras.settings import resolve
from cameras.sources import SourceError
from media_jobs import clock, lifecycle, workers
from media_jobs.models import MediaJob
from media_jobs.tracked import Running

MOST_AT_ONCE = 150  # cameras of one job
MOST_JOBS = 8
SHARE_OF_POOL = 4  # one in so many of its threads
SPEND_S = 45.0
CONNECT_WITHIN_S = 2.0  # the second try of TCP comes after one: who answers at all has answered
HEALTHIEST_FIRST = (
    Camera.Health.ONLINE,
    Camera.Health.UNKNOWN,
    Camera.Health.DEGRADED,
    Camera.Health.OFFLINE,
)
OVERRIDES = ["probe_well_s", "probe_offline_s"]
LONG_AGO = datetime.min.replace(tzinfo=UTC)


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
    word, they stay as spread over the minutes as they once were. Two queries, however many settings of their own there
    are: the database leaves out what everybody's settings leave out, the rest is looked at here.
    """
    said = effective.said_globally()
    everybodys = resolve(said).settings
    # No index on the last word: each capture writes it, and would pay for what is asked once a minute.
    may_be_due = (
        Q(health__in=[Camera.Health.UNKNOWN, Camera.Health.DEGRADED])
        | Q(health=Camera.Health.ONLINE, last_success_at__lte=_ago(now, everybodys.probe_well_s))
        | Q(health=Camera.Health.OFFLINE, probe_after__lte=now)
        | Q(health=Camera.Health.OFFLINE, probe_after=None)
        | Q(health=Camera.Health.OFFLINE, last_failure_at__lte=_ago(now, everybodys.probe_offline_s))
        | Q(said__has_any_keys=OVERRIDES)
    )
    found = []
    for camera in Camera.objects.filter(may_be_due, is_enabled=True).select_related("site"):
        own = resolve(said, camera.said).settings if camera.said else everybodys
        at = health.next_probe_at(camera, own)
        if at is None or at <= now:
            found.append(camera)
    return sorted(found, key=_turn)


def _ago(now: datetime, seconds: int) -> datetime:
    return now - timedelta(seconds=seconds)


def _turn(camera: Camera) -> tuple[int, datetime, int]:
    heard_at = max((at for at in (camera.last_success_at, camera.last_failure_at) if at), default=LONG_AGO)
    return HEALTHIEST_FIRST.index(Camera.Health(camera.health)), heard_at, camera.pk


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
        health.note_failure(camera.pk, clock.now(), code=error.code, message=str(error), is_probe=True)
        return False
    except SealBroken as error:
        code = health.PASSWORD_UNREADABLE
        health.note_failure(camera.pk, clock.now(), code=code, message=str(error), is_probe=True)
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
