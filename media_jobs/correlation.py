"""One id from the click to the ffmpeg line: which deed the present work belongs to.

It lives in structlog's context, so every line of the log has it; it is written into the rows that a deed makes
(captures, jobs, events, decisions), travels in the headers of Celery's messages, and whoever carries on the work of a
row takes it from there.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from structlog import contextvars

NAME = "correlation_id"


def new() -> str:
    """An id that nobody else has, in the form that requests have: RFC 9562, version 4."""
    return str(uuid.uuid4())


def current() -> str:
    """The id of the deed that this work belongs to; empty where nobody has begun one."""
    return str(contextvars.get_contextvars().get(NAME) or "")


@contextmanager
def following(correlation_id: str) -> Iterator[str]:
    """Within the block everything belongs to the deed `correlation_id`; an empty one begins a deed of its own."""
    deed = correlation_id or new()
    with contextvars.bound_contextvars(**{NAME: deed}):
        yield deed
