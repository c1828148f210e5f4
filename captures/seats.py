"""How many pictures at once from one host: cameras behind one recorder share its patience."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from django.conf import settings

_seats: dict[str, threading.BoundedSemaphore] = {}
_lock = threading.Lock()


@contextmanager
def seat(address: str, *, patience_s: float) -> Iterator[bool]:
    """Waits up to `patience_s` for one of the host's seats in this process; yields whether there was one."""
    host = urlsplit(address).hostname or address
    with _lock:
        seats = _seats.setdefault(host, threading.BoundedSemaphore(settings.CAPTURES_PER_HOST))
    is_seated = seats.acquire(timeout=patience_s)
    try:
        yield is_seated
    finally:
        if is_seated:
            seats.release()
