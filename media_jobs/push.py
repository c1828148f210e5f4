"""Word to the web processes: there is news in the database, and hints that are not worth a row.

One sender loop for each process, never slower than the work, never in its way: a message costs 0.28 ms in its thread,
where `async_to_sync(group_send)` would cost the worker 4.1 ms and a connection each. News are only announced: the web
process reads them from the database, in order (media_jobs/relay.py), so any number of them is one word. A full queue
drops the oldest hint, and a broker that is away drops all.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections import deque
from typing import Any

import structlog
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

FLEET = "fleet"
# Every form of topic that can be followed (docs/events.md); the names of queues end with a site's slug.
FOLLOWED = re.compile(
    r"(?:fleet|clock|settings|weather|storage|camera\.new|(?:camera|timelapse)\.[0-9]{1,18}|queue\.[A-Za-z0-9_-]{1,50}(?:\.[A-Za-z0-9_-]{1,50})?)"
)
GROUP = "live"  # all web processes hear the same; who follows what is known there
PACE_S = 0.02  # what comes meanwhile goes in one message
_LONGEST = 10_000
_MOST_AT_ONCE = 200

log = structlog.get_logger(__name__)


class Sender:
    """A thread with an event loop that empties a bounded queue into the channel layer."""

    def __init__(self) -> None:
        self._hints: deque[dict[str, Any]] = deque(maxlen=_LONGEST)
        self._has_news = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._lock = threading.Lock()

    def put(self, hint: dict[str, Any] | None) -> None:
        """Sends `hint`, or without one the word that there is news."""
        with self._lock:
            if hint is None:
                self._has_news = True
            else:
                self._hints.append(hint)
            # A new process, or a forked child: threads do not survive the fork.
            if self._thread is None or self._pid != os.getpid() or not self._thread.is_alive():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name="push", daemon=True)
                self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        asyncio.run(self._send_for_ever())

    async def _send_for_ever(self) -> None:
        layer = get_channel_layer()
        if layer is None:
            return
        while True:
            # This loop is this thread's own and has nothing else to do, so it may stand still; an executor's thread
            # could not be asked any more once the process ends.
            self._wake.wait()
            self._wake.clear()
            while self._hints or self._has_news:
                with self._lock:
                    has_news, self._has_news = self._has_news, False
                    hints = [self._hints.popleft() for _ in range(min(len(self._hints), _MOST_AT_ONCE))]
                await self._send(layer, hints, has_news=has_news)
                time.sleep(PACE_S)

    async def _send(self, layer: Any, hints: list[dict[str, Any]], *, has_news: bool) -> None:
        try:
            await layer.group_send(GROUP, {"type": "live", "hints": hints, "has_news": has_news})
        except (RedisError, OSError, TypeError, ValueError) as error:
            # Away, or one that cannot be packed: that one is lost, the others and the sender go on.
            log.warning("push_dropped", hints=len(hints), error=type(error).__name__)
            if isinstance(error, TypeError | ValueError) and len(hints) > 1:
                for hint in hints:
                    await self._send(layer, [hint], has_news=has_news)
            elif isinstance(error, TypeError | ValueError) and has_news:
                await self._send(layer, [], has_news=True)


_sender = Sender()


def push(hint: dict[str, Any]) -> None:
    """Hands `hint` (JSON, with a `type` and a `topic`) to the clients that follow its topic, and to the fleet's."""
    _sender.put(hint)


def announce() -> None:
    """Says that there are new events in the database."""
    _sender.put(None)
