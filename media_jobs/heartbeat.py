"""The sign of life of work: while a worker holds a job, its lease is renewed, however long a step is silent.

One thread for each process that works, because the work itself may be inside a library for minutes. It must not speak
for work that hangs: after the kind's limit it is silent, and the lease runs out.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from django.db import Error as DatabaseError
from django.db import connections

from media_jobs import lifecycle
from media_jobs.models import MediaJob

EVERY_S = 15.0

log = structlog.get_logger(__name__)


class Heartbeat:
    """Renews the leases of what is held, every `every_s` seconds, in a thread of its own."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._held: dict[UUID, tuple[int, float]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._pid = 0

    @contextmanager
    def hold(self, job: MediaJob, *, limit_s: float) -> Iterator[None]:
        """Keeps the job's lease while the block runs, but not for longer than `limit_s`."""
        self._begin()
        with self._changed:
            self._held[job.pk] = (job.attempt, time.monotonic() + limit_s)
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._held.pop(job.pk, None)

    def _begin(self) -> None:
        if self._pid != os.getpid():  # a forked child: threads, and what they hold, do not survive the fork
            self._pid, self._thread = os.getpid(), None
            self._held, self._changed = {}, threading.Condition()
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._held:
                    self._changed.wait()
            time.sleep(self._every_s)
            now = time.monotonic()
            with self._changed:
                believed = [(pk, attempt) for pk, (attempt, until) in self._held.items() if now < until]
            if believed:
                _renew(believed)


def _renew(held: list[tuple[UUID, int]]) -> None:
    try:
        lifecycle.prolong(held)
    except DatabaseError as error:
        log.warning("heartbeat_lost", error=type(error).__name__)
    finally:
        connections.close_all()  # it is seldom needed: a connection for each process would be many


heartbeat = Heartbeat()
