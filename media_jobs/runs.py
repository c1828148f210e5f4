"""The bracket around every entry of the clock: which occurrence it was, how long it took, what came of it.

What comes after its life is over is left to the next one. Entries on a calendar, and those that recur after a minute or
more, have a row for each occurrence, and whoever writes that row first does the work: any number of beats may send it.
Entries of seconds are harmless when done twice; they share a row for each minute, which a worker writes every few
seconds, so that counting costs the planner nothing.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from celery import current_task
from django.db import Error as DatabaseError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Greatest

from media_jobs import clock
from media_jobs.models import Run

MINUTE_S = 60
WRITE_EVERY_S = 5
LONGEST_ERROR = 500
# The broker ends a message so much after its life, by the worker's clock: nothing that arrives can be older.
CLOCKS_APART_S = 60

log = structlog.get_logger(__name__)

Result = dict[str, Any] | None


def entry(work: Callable[[], Result]) -> Callable[[], None]:
    """Makes `work` the entry of the clock whose Celery task it is; what it returns (JSON) is kept as its result.

    What it raises is written down and raised again, for Celery's log.
    """

    @functools.wraps(work)
    def run() -> None:
        request = current_task.request
        every_s = float(request.get("every_s") or 0)
        worker = str(request.hostname or "")
        if is_over(clock.carried(), _number(request, "sent_at"), _number(request, "good_for_s")):
            log.debug("tick_over", entry=current_task.name)
        elif due_at := _number(request, "due_at"):
            _run_once(current_task.name, work, datetime.fromtimestamp(due_at, UTC), worker)
        elif every_s >= MINUTE_S:
            _run_once(
                current_task.name, work, occurrence(clock.now(), every_s, _number(request, "sent_at")), worker
            )
        elif by := request.get("by"):
            _run_once(current_task.name, lambda: {**(work() or {}), "by": by}, clock.now(), worker)
        else:
            _run_counted(current_task.name, work, worker)

    run.is_entry = True  # type: ignore[attr-defined] # a mark that the tests look for
    return run


def occurrence(now: datetime, every_s: float, sent_at: float | None) -> datetime:
    """The multiple of the period (of the epoch, in seconds) that a message sent at `sent_at` belongs to.

    Of the sending, which a beat never does twice within a period, where the work may begin a little early or late. A
    machine whose clock is wrong by a period or more is not believed: `now`, the database's, counts instead.
    """
    at = now.timestamp()
    if sent_at is not None and abs(sent_at - at) < every_s:
        at = sent_at
    return datetime.fromtimestamp(at - at % every_s, UTC)


def forget(before: datetime) -> int:
    """Forgets the occurrences before `before`. Returns how many."""
    forgotten, _ = Run.objects.filter(instant__lt=before).delete()
    return forgotten


def is_over(now: datetime, sent_at: float | None, good_for_s: float | None) -> bool:
    """Whether a message is older than it is good for. An age that no message can have is the clocks' fault."""
    if sent_at is None or good_for_s is None:
        return False
    return good_for_s < now.timestamp() - sent_at <= good_for_s + CLOCKS_APART_S


def _number(request: Any, header: str) -> float | None:
    value = request.get(header)
    return float(value) if value is not None else None


def _run_once(name: str, work: Callable[[], Result], instant: datetime, worker: str) -> None:
    try:
        with transaction.atomic():
            row = Run.objects.create(
                name=name, instant=instant, runs=1, started_at=clock.now(), worker=worker
            )
    except IntegrityError:
        log.debug("occurrence_taken", entry=name, instant=instant.isoformat())
        return
    begun = time.monotonic()
    try:
        row.result = work() or {}
    except BaseException as error:
        row.failures, row.error = 1, words_of(error)
        raise
    finally:
        row.busy_ms = row.longest_ms = _ms_since(begun)
        row.finished_at = clock.now()
        row.save(update_fields=["result", "failures", "error", "busy_ms", "longest_ms", "finished_at"])


def _run_counted(name: str, work: Callable[[], Result], worker: str) -> None:
    begun = time.monotonic()
    result: Result = None
    words = ""
    try:
        result = work()
    except BaseException as error:
        words = words_of(error)
        raise
    finally:
        with _lock:
            tally = _tallies.setdefault(name, Tally())
            tally.add(_ms_since(begun), begun, result or {}, words)
            is_due = words or time.monotonic() - tally.written_at >= WRITE_EVERY_S
        if is_due:
            write(name, worker)


@dataclass(slots=True)
class Tally:
    """What this process did of an entry of seconds and has not written yet. Moments are of the steady clock."""

    runs: int = 0
    failures: int = 0
    busy_ms: int = 0
    longest_ms: int = 0
    begun: float = 0.0
    ended: float = 0.0
    written_at: float = field(default_factory=time.monotonic)
    result: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    def add(self, took_ms: int, begun: float, result: dict[str, Any], error: str) -> None:
        self.runs += 1
        self.failures += bool(error)
        self.busy_ms += took_ms
        self.longest_ms = max(self.longest_ms, took_ms)
        self.begun, self.ended = begun, time.monotonic()
        if any(result.values()):  # a run that found nothing to do is no news
            self.result = result
        self.error = error or self.error


_tallies: dict[str, Tally] = {}
_lock = threading.Lock()


def write_all(worker: str) -> None:
    """Writes what is only counted so far: for a worker that ends."""
    for name in list(_tallies):
        write(name, worker)


def write(name: str, worker: str) -> None:
    """Adds this process' tally of the entry to the row of the present minute.

    A database that is away is no reason to fail: those few seconds are not counted.
    """
    with _lock:
        tally, _tallies[name] = _tallies.get(name, Tally()), Tally()
    if not tally.runs:
        return
    try:
        now, steady = clock.now(), time.monotonic()
        instant = now.replace(second=0, microsecond=0)
        values: dict[str, Any] = {
            "started_at": now - timedelta(seconds=steady - tally.begun),
            "finished_at": now - timedelta(seconds=steady - tally.ended),
            "worker": worker,
        }
        if tally.result:
            values["result"] = tally.result
        if tally.error:
            values["error"] = tally.error
        row = Run.objects.filter(name=name, instant=instant)
        while not row.update(
            runs=F("runs") + tally.runs,
            failures=F("failures") + tally.failures,
            busy_ms=F("busy_ms") + tally.busy_ms,
            longest_ms=Greatest("longest_ms", tally.longest_ms),
            **values,
        ):
            Run.objects.bulk_create([Run(name=name, instant=instant)], ignore_conflicts=True)
    except DatabaseError as error:
        log.warning("runs_not_counted", entry=name, error=type(error).__name__)


def words_of(error: BaseException) -> str:
    """An error in one line of a row: its kind and the first line of what it says."""
    said = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {said}"[:LONGEST_ERROR] if said else type(error).__name__


def _ms_since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
