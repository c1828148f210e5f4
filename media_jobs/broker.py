"""The way to the broker: quick to say that it is away, for cameras, people and the planner wait behind the answer.

One that is frozen, or silently cut off, accepts connections and says nothing. Workers, who wait for messages, give it
half a minute; who sends or looks gives it ANSWER_WITHIN_S, and then nobody of this process asks again for a while.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from kombu import Connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

ANSWER_WITHIN_S = 1.5
LONGEST_REST_S = 5.0
REST_PER_COST = 10  # who is refused at once has lost nothing, and may ask again at once
QUICK = {"max_retries": 0, "socket_timeout": ANSWER_WITHIN_S, "socket_connect_timeout": ANSWER_WITHIN_S}

log = structlog.get_logger(__name__)

# By address, on the steady clock: until when nobody asks, and then, one being at it, until when nobody else does.
_away_until: dict[str, float] = {}
_looked_after_until: dict[str, float] = {}


class BrokerAway(Exception):
    """The broker does not answer."""


@contextmanager
def asked(**facts: Any) -> Iterator[None]:
    """Around every word with the broker. Raises BrokerAway: without a word where it was found away a moment ago.

    After a failure it is left alone for ten times what the failure took, five seconds at the most; then one asks for
    all, and the others go on without it until that one knows.
    """
    raise_if_away()
    url, began_at = address(), time.monotonic()
    if url in _away_until:
        if began_at < _looked_after_until.get(url, 0):
            raise BrokerAway
        _looked_after_until[url] = began_at + 2 * ANSWER_WITHIN_S
    try:
        yield
    except (OperationalError, RedisError, OSError) as error:
        ended_at = time.monotonic()
        _away_until[url] = ended_at + min(LONGEST_REST_S, REST_PER_COST * (ended_at - began_at))
        _looked_after_until.pop(url, None)
        log.warning("broker_away", error=type(error).__name__, **facts)
        raise BrokerAway from error
    else:
        _away_until.pop(url, None)
        _looked_after_until.pop(url, None)


def raise_if_away() -> None:
    """Raises BrokerAway where it was found away a moment ago."""
    if time.monotonic() < _away_until.get(address(), 0):
        raise BrokerAway


def address() -> str:
    return str(current_app.conf.broker_write_url)


@functools.lru_cache(maxsize=4)
def for_sending(url: str) -> Connection:
    """What the pool of senders is made from."""
    return current_app.connection_for_write(url, transport_options=QUICK)


@contextmanager
def looking() -> Iterator[Any]:
    """The broker's own client (Redis), for the two below. Raises BrokerAway."""
    with asked(), current_app.connection_for_write(transport_options=QUICK) as connection:
        yield connection.default_channel.client  # type: ignore[attr-defined] # it is kombu's Redis channel


def length_of(client: Any, queue: str) -> int:
    return int(client.llen(queue))  # kombu's client puts the prefix before the name in LLEN


def texts_in(client: Any, queue: str, first: int, last: int) -> list[bytes]:
    """The messages from place `first` to `last` (inclusive; 0 is the newest, -1 the oldest)."""
    # Not in LRANGE: there the name is to be whole.
    texts: list[bytes] = client.lrange(f"{settings.BROKER_PREFIX}{queue}", first, last)
    return texts
