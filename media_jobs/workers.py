"""Signs of life: each worker says every few seconds what it serves, does and sees; who is silent is not counted."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import IntegrityError, close_old_connections

from media_jobs import clock
from media_jobs.models import Pulse

KIND = "worker"
EVERY_S = 5
SETTLED_S = 15  # who begins sees others that are only just beginning
ALIVE_FOR = timedelta(seconds=20)
RATE_OVER_S = 60
CLOCKS_APART_S = 0.5  # from there on messages may expire too early, and lateness says nothing

log = structlog.get_logger(__name__)

# Messages taken from each queue since the start; counted in the worker's first process, whatever its pool.
_taken: Counter[str] = Counter()
_is_ending = threading.Event()


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker says about itself at its start."""

    hostname: str
    queues: tuple[str, ...]
    kind: str
    concurrency: int


def count_taken(queue: str) -> None:
    """One message more was taken from `queue`."""
    _taken[queue] += 1


def begin(worker: Worker, look: Callable[[datetime], object]) -> None:
    """Starts the thread that says that this worker lives, and after SETTLED_S looks after the others by `look(now)`."""
    _is_ending.clear()
    threading.Thread(target=_beat, args=[worker, look], name="pulse", daemon=True).start()


def end(hostname: str) -> None:
    """A worker that ends in order is missed by nobody: its row goes."""
    _is_ending.set()
    try:
        Pulse.objects.filter(name=hostname, kind=KIND).delete()
    except DatabaseError as error:
        log.warning("pulse_not_removed", error=type(error).__name__)


def alive(now: datetime) -> list[Pulse]:
    """The signs of life of all workers that live."""
    return list(Pulse.objects.filter(kind=KIND, at__gte=now - ALIVE_FOR).order_by("name"))


def queues_alive(now: datetime) -> set[str]:
    """The queues that have a living worker."""
    return {queue for pulse in alive(now) for queue in pulse.facts.get("queues", [])}


def _beat(worker: Worker, look: Callable[[datetime], object]) -> None:
    begun = time.monotonic()
    samples: deque[tuple[float, Counter[str]]] = deque()
    begun_at = datetime.now(UTC).isoformat(timespec="seconds")
    while True:
        try:
            close_old_connections()
            now, offset_s = _clocks()
            facts = {
                "queues": list(worker.queues),
                "pool": worker.kind,
                "concurrency": worker.concurrency,
                "running": _running(),
                "rate_per_min": _rates(samples),
                "taken": _taken.total(),
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "load": os.getloadavg()[0],
                "cores": os.cpu_count(),
                "version": settings.VERSION,
                "begun_at": begun_at,
                "clock_offset_s": offset_s,
                **_disk(),
            }
            if not _is_ending.is_set():
                write(worker.hostname, now, facts)
                if time.monotonic() - begun >= SETTLED_S:
                    look(now)
        except DatabaseError as error:
            log.warning("pulse_lost", error=type(error).__name__)
        if _is_ending.wait(EVERY_S):
            return


def write(hostname: str, now: datetime, facts: dict[str, Any]) -> None:
    """Writes a worker's sign of life."""
    row = Pulse.objects.filter(name=hostname)
    if not row.update(kind=KIND, at=now, facts=facts):
        with suppress(IntegrityError):
            Pulse.objects.create(name=hostname, kind=KIND, at=now, facts=facts)


def _clocks() -> tuple[datetime, float]:
    """The database's time, and how far this machine's clock is ahead of it, in seconds.

    Between two readings of its own: only what lies outside of both is the clock's fault, not the answer's slowness.
    """
    before = time.time()
    now = clock.now()
    after = time.time()
    return now, round(min(0.0, after - now.timestamp()) + max(0.0, before - now.timestamp()), 3)


def _running() -> Counter[str]:
    """How many messages of each queue are being worked on: also for prefork this process knows."""
    from celery.worker import state  # not for the web, which reads of workers, and is none

    for _ in range(3):
        with suppress(RuntimeError):  # the set grew while it was read
            return Counter(queue_of(request) for request in list(state.active_requests))
    return Counter()


def queue_of(request: Any) -> str:
    """The queue that a worker's request came from."""
    return str((request.delivery_info or {}).get("routing_key") or "")


def _rates(samples: deque[tuple[float, Counter[str]]]) -> dict[str, float]:
    """Messages a minute of each queue, over the last RATE_OVER_S."""
    now = time.monotonic()
    samples.append((now, _taken.copy()))
    while len(samples) > 1 and now - samples[1][0] >= RATE_OVER_S:
        samples.popleft()
    since, before = samples[0]
    if now - since < 1:
        return {}
    return {queue: round((count - before[queue]) * 60 / (now - since), 1) for queue, count in _taken.items()}


def _disk() -> dict[str, int]:
    try:
        usage = shutil.disk_usage(settings.MEDIA_ROOT)
    except OSError:
        return {}
    return {"disk_free_bytes": usage.free, "disk_total_bytes": usage.total}
