"""Each outage of what the system leans on, one after the other on one stack, and what is seen of each."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import redis

from tests.chaos.verdict import SECOND
from tests.evidence import wait_until_settled
from tests.stack import Stack, descendants, wait_for
from timelapser.queues import POOLS

BACK_WITHIN_S = 60.0
# What a loaded machine's second may cost whatever else fails; a camera that is well is never blamed.
LATE = frozenset({"not_planned_in_time", "not_sent_in_time", "no_worker", "camera_busy"})
NOTHING_PLANNED = frozenset({"scheduler_was_down"})
OF_THE_BROKER = NOTHING_PLANNED | {"broker_away"}
OF_THE_DATABASE = NOTHING_PLANNED | {"worker_lost"}


@dataclass(frozen=True, slots=True)
class Outage:
    """`begin` lasts as long as its block; `reasons` are what pictures may be missing for, besides LATE."""

    name: str
    begin: Callable[[Stack], AbstractContextManager[None]]
    reasons: frozenset[str] = frozenset()


@dataclass(slots=True)
class Seen:
    """What an outage did: from the last picture before it to the first one after it, in each timelapse."""

    outage: Outage
    begin_at: datetime
    end_at: datetime
    back_after_s: float | None = None
    owed: int = 0
    rows: int = 0
    states: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def pass_through(stack: Stack, timelapses: list[int], outages: list[Outage], *, seconds: float) -> list[Seen]:
    """Lets each outage last `seconds`, and waits for pictures of slots behind it before the next one."""
    seen = []
    for outage in outages:
        _await_pictures(stack, timelapses, _now(stack), within_s=BACK_WITHIN_S)
        begin_at = _now(stack)
        begun = time.monotonic()
        with outage.begin(stack):
            time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
        found = Seen(outage, begin_at, _now(stack))
        begun = time.monotonic()
        with suppress(AssertionError):
            _await_pictures(stack, timelapses, found.end_at, within_s=BACK_WITHIN_S)
            found.back_after_s = time.monotonic() - begun
        seen.append(found)
    return seen


def end_all(stack: Stack, timelapses: list[int], *, within_s: float) -> None:
    """Completes the timelapses as a person does, and waits until all that they asked for is done."""
    with stack.logged_in() as api:
        for timelapse in timelapses:
            answer = api.post(f"/api/v1/timelapses/{timelapse}/complete/", json={})
            assert answer.status_code == 200, answer.text
    wait_until_settled(stack, within_s=within_s)


def look_back(stack: Stack, timelapses: list[int], found: Seen) -> None:
    """Counts, once all is settled: each second between two pictures around the outage has one row and a reason."""
    for timelapse in timelapses:
        rows = stack.rows(
            "SELECT slot, state, reason, detail FROM captures_capture WHERE timelapse_id = %s AND slot >="
            " (SELECT max(slot) FROM captures_capture WHERE timelapse_id = %s AND state = 'stored' AND slot < %s)"
            " AND slot <= (SELECT min(slot) FROM captures_capture WHERE timelapse_id = %s AND state = 'stored'"
            " AND slot > %s) ORDER BY slot",
            *(timelapse, timelapse, found.begin_at, timelapse, found.end_at),
        )
        if not rows:
            found.faults.append(f"timelapse {timelapse} has no picture before the outage, or none behind it")
            continue
        owed = (rows[-1]["slot"] - rows[0]["slot"]) // SECOND + 1
        slots = [row["slot"] for row in rows]
        if slots != [slots[0] + number * SECOND for number in range(owed)]:
            found.faults.append(f"timelapse {timelapse}: {owed} seconds, {len(rows)} rows")
        found.owed += owed
        found.rows += len(rows)
        found.states.update(row["state"] for row in rows)
        gone = [row for row in rows if row["state"] != "stored"]
        found.faults += [f"{row['slot']} is {row['state']}" for row in gone if not row["reason"]]
        found.reasons.update(row["reason"] for row in gone)


def _now(stack: Stack) -> datetime:
    return stack.rows("SELECT clock_timestamp() AS now")[0]["now"]


def _await_pictures(stack: Stack, timelapses: list[int], after: datetime, *, within_s: float) -> None:
    def are_taken() -> bool:
        rows = stack.rows(
            "SELECT count(DISTINCT timelapse_id) FROM captures_capture WHERE state = 'stored' AND slot > %s",
            after,
        )
        return bool(rows[0]["count"] == len(timelapses))

    wait_for(are_taken, within_s=within_s, what="pictures")


# --- the broker ---------------------------------------------------------------------------------------------------


@contextmanager
def broker_emptied(stack: Stack) -> Iterator[None]:
    """FLUSHALL, again and again: every message that waits, and what Celery keeps there of its queues."""
    with redis.Redis(unix_socket_path=str(stack.folder / "redis.sock")) as client:
        for _ in range(5):
            client.flushall()
            time.sleep(0.2)
        yield


@contextmanager
def restarted(stack: Stack, name: str) -> Iterator[None]:
    stack.restart(name)
    yield


@contextmanager
def database_restarted(stack: Stack) -> Iterator[None]:
    """An ordered, fast shutdown (SIGINT), as an upgrade does it: every session is told to go."""
    pid = stack.pid("database")
    os.kill(pid, signal.SIGINT)
    wait_for(lambda: stack.pid("database") != pid, within_s=30, what="the database to be back")
    yield


@contextmanager
def workers_started_meanwhile(stack: Stack) -> Iterator[None]:
    """Every worker is killed while the database is away, and is ready again before it comes back."""
    with stack.down("database"):
        before = {name: stack.log(name).count(" ready.") for name in POOLS}
        for name in POOLS:
            stack.kill(name)
        for name, count in before.items():
            wait_for(
                lambda name=name, count=count: stack.log(name).count(" ready.") > count,
                within_s=60,
                what=f"{name} to be started again",
            )
        yield


# --- the disk -----------------------------------------------------------------------------------------------------


@contextmanager
def disk_full(stack: Stack) -> Iterator[None]:
    """Fills the media folder, which must be a small file system of its own, until the kernel says ENOSPC."""
    ballast = stack.media / "ballast"
    chunk = bytes(1 << 20)
    try:
        with ballast.open("wb", buffering=0) as file:
            while True:
                try:
                    file.write(chunk)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    if len(chunk) == 1:
                        break
                    chunk = chunk[: len(chunk) // 16 or 1]  # to the last byte
        wait_for(
            lambda: stack.rows("SELECT 1 FROM captures_capture WHERE reason = 'disk_full' LIMIT 1"),
            within_s=60,
            what="a picture to meet the full disk",
        )
        yield
    finally:
        ballast.unlink(missing_ok=True)


# --- a worker without memory --------------------------------------------------------------------------------------


@contextmanager
def out_of_memory(stack: Stack) -> Iterator[None]:
    """SIGKILL to the process that encodes or makes thumbnails, as the kernel does it; its parent lives on."""

    def children() -> list[int]:
        at_work = [pid for pid in descendants(stack.pid("video")) if _is_python(pid)]
        return at_work if stack.ffmpegs() else []

    for pid in wait_for(children, within_s=30, what="ffmpeg to begin", every_s=0.01):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in descendants(stack.pid("thumbnail")):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    yield


def _is_python(pid: int) -> bool:
    with suppress(OSError):
        return b"celery" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


# The disk comes last, for what met it full waits a minute; memory first, for a film must be in the making.
OUTAGES: tuple[Outage, ...] = (
    Outage("worker out of memory", out_of_memory),
    Outage("broker emptied", broker_emptied, NOTHING_PLANNED),
    Outage("broker restarted", lambda stack: restarted(stack, "broker"), OF_THE_BROKER),
    Outage("broker frozen", lambda stack: stack.frozen("broker"), OF_THE_BROKER),
    Outage("broker unreachable", lambda stack: stack.down("broker"), OF_THE_BROKER),
    Outage("database restarted", database_restarted, OF_THE_DATABASE | {"unexpected"}),
    Outage("database frozen", lambda stack: stack.frozen("database"), OF_THE_DATABASE),
    Outage("database unreachable", lambda stack: stack.down("database"), OF_THE_DATABASE | {"unexpected"}),
    Outage("workers started meanwhile", workers_started_meanwhile, OF_THE_DATABASE | {"unexpected"}),
    Outage("disk full", disk_full, frozenset({"disk_full"})),
)
