"""From the database to the clients of this process: one reader for all of them, in order, never waiting for any.

    workers ── "there is news" ──> relay ── reads new events once ──> an outbox for each client ──> its socket
            └─ hints ────────────────┘                                 (bounded: too slow = reload)

Fifty events a second for two hundred clients are twenty queries a second and one text for all who follow the same. The
word of news only makes it quick: without a broker the relay looks by itself, once a second.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import structlog
from channels.layers import get_channel_layer
from django.core.serializers.json import DjangoJSONEncoder
from django.db import Error as DatabaseError
from django.db import connection
from redis.exceptions import RedisError

from media_jobs import events, push
from media_jobs.tail import Tail

LOOK_EVERY_S = 1.0  # where no news are announced
PACE_S = 0.05  # looks are no closer to each other: what comes meanwhile goes in one message
FLEET_EVERY_S = 1.0
MOST_HINTS = 1000
MOST_WAITING = 256
MOST_WAITING_BYTES = 1024 * 1024

Message = dict[str, Any]
Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


class Outbox:
    """What waits for one client, within bounds: beyond them all is dropped, and the client told to load anew."""

    def __init__(self) -> None:
        self.topics: tuple[str, ...] = ()
        self.since = 0  # the relay's round in which it began to follow
        self._texts: deque[str] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()

    def put(self, text: str, *, latest: int = 0) -> None:
        if len(self._texts) >= MOST_WAITING or (self._texts and self._bytes + len(text) > MOST_WAITING_BYTES):
            self._texts.clear()
            self._bytes = 0
            text = as_text({"reload": True, "latest": latest})
        self._texts.append(text)
        self._bytes += len(text)
        self._filled.set()

    async def take(self) -> str:
        """The next text, as soon as there is one."""
        while not self._texts:
            self._filled.clear()
            await self._filled.wait()
        text = self._texts.popleft()
        self._bytes -= len(text)
        return text


class Relay:
    """Serves the clients of one event loop, from the first that joins until the last has left."""

    def __init__(self) -> None:
        self._clients: set[Outbox] = set()
        self._tail = Tail()
        self._fleet: dict[tuple[str, str], tuple[int, Message]] = {}
        self._fleet_at = 0.0
        self._round = 0
        self._hints: deque[Message] = deque(maxlen=MOST_HINTS)
        self._ended: deque[str] = deque(maxlen=MOST_HINTS)
        self._has_news = False
        self._called = asyncio.Event()
        self._is_listening = asyncio.Event()
        self._turn = (
            asyncio.Lock()
        )  # who joins is told of all up to one look, and of all from the next one on
        self._thread = ThreadPoolExecutor(
            1, "relay"
        )  # one connection, kept: a new one for each look costs more
        self._tasks: list[asyncio.Task[None]] = []

    async def join(self, client: Outbox, topics: list[str], since: int | None) -> None:
        """`client` follows `topics` from now on, after it was told what it has missed since the event `since`.

        Raises DatabaseError.
        """
        self._clients.add(client)
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._look_for_ever())]
        with suppress(TimeoutError):  # without a broker there are no hints, and news come with the next look
            await asyncio.wait_for(self._is_listening.wait(), LOOK_EVERY_S)
        async with self._turn:
            if self._tail.newest is None or (since or 0) > self._tail.newest:
                await self._look()
            until, gaps, latest = self._tail.newest or 0, self._tail.gaps, self._tail.safe
            client.put(as_text({"following": topics, "latest": latest}))
            if since is not None and (since != until or gaps):
                missed, is_complete = await self._ask(
                    lambda: events.since(since, topics, until=until, without=gaps)
                )
                found = [events.as_message(event) for event in missed]
                if not is_complete:
                    client.put(as_text({"reload": True, "latest": latest}))
                elif found:
                    client.put(as_text({"events": _for(topics, found, found), "latest": latest}))
            client.topics, client.since = tuple(topics), self._round

    async def leave(self, client: Outbox) -> None:
        self._clients.discard(client)
        if self._clients or not self._tasks:
            return
        tasks, self._tasks = self._tasks, []
        _relays.pop(asyncio.get_running_loop(), None)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(DatabaseError):
            await self._ask(_close)
        self._thread.shutdown(wait=False)

    async def _look_for_ever(self) -> None:
        looked_at = 0.0
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._called.wait(), LOOK_EVERY_S)
            self._called.clear()
            async with self._turn:
                self._spread_hints()
                if self._has_news or time.monotonic() - looked_at >= LOOK_EVERY_S:
                    self._has_news, looked_at = False, time.monotonic()
                    try:
                        await self._look()
                    except DatabaseError as error:
                        log.warning("relay_without_database", error=type(error).__name__)
            await asyncio.sleep(PACE_S)

    async def _look(self) -> None:
        is_first = self._tail.newest is None
        found, is_all = await self._ask(self._tail.look)
        if not is_first and not is_all:
            self._fleet.clear()
            self._tell_all({"reload": True, "latest": self._tail.safe})
        self._ended.extend(event.payload["id"] for event in found if event.type in events.ENDS)
        self._spread([events.as_message(event) for event in found])

    def _spread_hints(self) -> None:
        """A hint may be slower than the end of its job, which is in the database: then it is old."""
        hints, ended = list(self._hints), set(self._ended)
        self._hints.clear()
        self._spread([hint for hint in hints if hint["payload"].get("id") not in ended])

    def _spread(self, messages: list[Message]) -> None:
        """Puts `messages` into the outboxes of those who follow their topics; the fleet's wait for their second."""
        self._round += 1
        for message in messages:
            # Of each kind of news of each thing the fleet hears the newest only.
            key = (message["topic"], message["type"])
            self._fleet.pop(key, None)
            self._fleet[key] = (self._round, message)
        fleet: list[tuple[int, Message]] = []
        if self._fleet and time.monotonic() - self._fleet_at >= FLEET_EVERY_S:
            self._fleet_at = time.monotonic()
            fleet, self._fleet = list(self._fleet.values()), {}
        if not messages and not fleet:
            return
        eldest, latest = min((number for number, _ in fleet), default=0), self._tail.safe
        texts: dict[tuple[tuple[str, ...], int], str] = {}
        for client in self._clients:
            # Who has joined since the eldest of the fleet's news was told it then.
            since = client.since if client.since >= eldest else 0
            kind = (client.topics, since)
            if kind not in texts:
                fresh = [message for number, message in fleet if number > since]
                news = _for(client.topics, messages, fresh)
                texts[kind] = as_text({"events": news, "latest": latest}) if news else ""
            if texts[kind]:
                client.put(texts[kind], latest=latest)

    def _tell_all(self, content: Message) -> None:
        text = as_text(content)
        for client in self._clients:
            client.put(text, latest=self._tail.safe)

    async def _listen(self) -> None:
        """Hears the workers. Never waits for the database: the layer's queue to us has no bounds."""
        layer = get_channel_layer()
        while layer is not None:
            try:
                channel = await layer.new_channel()
                await layer.group_add(push.GROUP, channel)
                self._is_listening.set()
                try:
                    while True:
                        self._hear(await layer.receive(channel))
                finally:
                    await layer.group_discard(push.GROUP, channel)
            except (RedisError, OSError) as error:
                log.warning("relay_without_broker", error=type(error).__name__)
                await asyncio.sleep(LOOK_EVERY_S)

    def _hear(self, message: Message) -> None:
        self._has_news = self._has_news or message["has_news"]
        self._hints.extend(message["hints"])
        self._called.set()

    async def _ask(self, question: Callable[[], Answer]) -> Answer:
        """The answer of the database, in a thread of the relay's own. Raises DatabaseError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, _answer, question)


def _close() -> None:
    connection.close()  # the one of the thread that asks


def _answer(question: Callable[[], Answer]) -> Answer:
    try:
        return question()
    except DatabaseError:
        _close()  # the next question gets a new connection
        raise


_relays: WeakKeyDictionary[asyncio.AbstractEventLoop, Relay] = WeakKeyDictionary()


def here() -> Relay:
    """The relay of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _relays:
        _relays[loop] = Relay()
    return _relays[loop]


def as_text(content: Message) -> str:
    return json.dumps(content, cls=DjangoJSONEncoder, separators=(",", ":"))


def _for(topics: Iterable[str], messages: list[Message], fleet: list[Message]) -> list[Message]:
    """Of `messages` those on `topics`; where the fleet is one of them also what of `fleet` is new elsewhere."""
    wanted = set(topics)
    mine = [message for message in messages if message["topic"] in wanted]
    if push.FLEET not in wanted:
        return mine
    newest: dict[tuple[str, str], Message] = {}
    for message in fleet:
        key = (message["topic"], message["type"])
        newest.pop(key, None)
        newest[key] = message
    return mine + [message for message in newest.values() if message["topic"] not in wanted]
