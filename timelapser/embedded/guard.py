"""Nothing outlives the supervisor: a small process that waits for its end and then clears up behind it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Each descendant carries this name with the run's own value, whatever sessions and groups were made below.
RUN = "TIMELAPSER_RUN"
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
GRACE_S = 5.0  # after a sudden end, when all were asked to stop at once
LAST_GRACE_S = 0.5  # after an orderly end, for what no program stopped itself

_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent(parent: int, last_signal: int = signal.SIGTERM) -> None:
    """For a child between fork and exec: `last_signal` reaches it when `parent` is gone (prctl(2))."""
    _libc.prctl(PR_SET_PDEATHSIG, last_signal, 0, 0, 0)
    if os.getppid() != parent:  # gone already
        os.kill(os.getpid(), last_signal)


def members(run: str) -> list[int]:
    """Process ids of all living descendants that were started with `RUN` set to `run`."""
    mark = f"{RUN}={run}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with contextlib.suppress(OSError):  # it ended meanwhile, or is somebody else's
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
    return found


def end_members(run: str, grace_s: float) -> None:
    """Asks all of `run` to end, and ends what is still there after `grace_s`."""
    _send(members(run), signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and members(run):
        time.sleep(0.05)
    while left := members(run):
        _send(left, signal.SIGKILL)
        time.sleep(0.02)


def _send(processes: list[int], signal_number: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal_number)


@dataclass(frozen=True, slots=True)
class Guard:
    """The handle that the supervisor keeps: as long as it is open, the guard waits."""

    process: int
    handle: int

    def dismiss(self) -> None:
        """Lets the guard end what is left, and waits for it."""
        os.write(self.handle, b".")
        os.close(self.handle)
        os.waitpid(self.process, 0)


def post_guard(run: str, clear_up: Callable[[], None] = lambda: None) -> Guard:
    """Forks the guard; to be called before any thread. `clear_up` runs last, after the last process.

    What this process holds open, such as the data folder's lock, stays held until the guard has finished.
    """
    waiting, handle = os.pipe()
    process = os.fork()
    if process:
        os.close(waiting)
        return Guard(process, handle)
    try:
        os.setsid()  # Ctrl-C and a closed terminal are for the supervisor
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.close(handle)
        was_dismissed = os.read(waiting, 1)  # empty when the other end's only holder is gone
        end_members(run, LAST_GRACE_S if was_dismissed else GRACE_S)
        clear_up()
    finally:
        os._exit(0)
