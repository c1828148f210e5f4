"""An absolute end of time for one read, and the means to hold it against calls that cannot be ended."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from cameras.sources.errors import ReadTimedOut, SourceError

T = TypeVar("T")

# A call that hangs (name server, dead network drive) keeps its thread until the system gives up.
# So many may hang per process; further ones are refused at once instead of eating memory.
MAX_HANGING_CALLS = 128
_hanging = threading.BoundedSemaphore(MAX_HANGING_CALLS)


class Deadline:
    """Counts from its making. `float(deadline)` is the seconds left (0.001 at least)."""

    __slots__ = ("_ends_at", "_started_at")

    def __init__(self, seconds: float) -> None:
        self._started_at = time.monotonic()
        self._ends_at = self._started_at + seconds

    def remaining_s(self) -> float:
        """Seconds left, never below 1 ms: zero means "for ever" or "do not block" to most libraries."""
        return max(0.001, self._ends_at - time.monotonic())

    def elapsed_s(self) -> float:
        return time.monotonic() - self._started_at

    def is_over(self) -> bool:
        return time.monotonic() >= self._ends_at

    def sooner(self, seconds: float) -> "Deadline":
        """A deadline of so many seconds from now, but not later than this one."""
        return Deadline(min(seconds, self.remaining_s()))

    def check(self) -> None:
        if self.is_over():
            raise ReadTimedOut

    def __float__(self) -> float:
        return self.remaining_s()


def call_within(deadline: Deadline, call: Callable[[], T], *, late: type[SourceError] = ReadTimedOut) -> T:
    """`call()` in a thread of its own; raises `late` when it is not back in time (and leaves it behind)."""
    if not _hanging.acquire(blocking=False):
        raise late
    results: list[T] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - carried over to the caller, whatever it is
            errors.append(error)
        finally:
            _hanging.release()
            done.set()

    threading.Thread(target=run, name="call-within-deadline", daemon=True).start()
    if not done.wait(deadline.remaining_s()):
        raise late
    if errors:
        raise errors[0]
    return results[0]
