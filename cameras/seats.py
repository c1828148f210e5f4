"""How many pictures at once from one host: cameras behind one recorder share its patience."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from django.conf import settings

_taken: Counter[str] = Counter()
_lock = threading.Lock()


@contextmanager
def seat(address: str, *, leave: int = 0) -> Iterator[bool]:
    """Takes one of the host's seats in this process, if one is free; yields whether it was.

    It never waits: whoever stood in line for a silent host would keep a thread from the cameras that are well.
    `leave`: how many to leave free where anybody sits, for those whose pictures are owed.
    """
    host = urlsplit(address).hostname or address
    is_seated = _sit(host, leave)
    try:
        yield is_seated
    finally:
        if is_seated:
            _rise(host)


def taken() -> dict[str, int]:
    """How many seats of each host are taken; hosts that nobody reads from are not in it."""
    with _lock:
        return dict(_taken)


def _sit(host: str, leave: int) -> bool:
    with _lock:
        taken = _taken.get(host, 0)
        if taken >= settings.CAPTURES_PER_HOST or (taken and taken >= settings.CAPTURES_PER_HOST - leave):
            return False
        _taken[host] += 1
        return True


def _rise(host: str) -> None:
    with _lock:
        _taken[host] -= 1
        if not _taken[host]:
            del _taken[host]
