"""The WebSocket: who follows what, what they missed, and what happens from now on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.db import Error as DatabaseError

from media_jobs import push, relay, roles

MOST_TOPICS = 100
LONGEST_MESSAGE = 16_384
TRY_AGAIN_LATER = 1013  # RFC 6455's registry of close codes


class EventsConsumer(AsyncJsonWebsocketConsumer):
    """`{"follow": [topics], "since": id or null}` in; `{"following"…}`, `{"events": […]}`, `{"reload": true}` out.

    All that goes out goes through the outbox, written by a task of its own: a client that does not read holds up
    nobody, itself included.
    """

    channel_layer_alias = (
        "none"  # the relay hears for all: a queue of the layer for each client would have no bounds
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._outbox = relay.Outbox()
        self._relay: relay.Relay | None = None
        self._writer: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # However it ended: closed, refused, broken, or the server stops.
            if self._writer is not None:
                self._writer.cancel()
            if self._relay is not None:
                await self._relay.leave(self._outbox)

    async def connect(self) -> None:
        user = self.scope.get("user")
        if user is None or not await database_sync_to_async(roles.may)(user, roles.SEE):
            await self.close(code=4401)
            return
        await self.accept()
        self._writer = asyncio.create_task(self._write())

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **_: Any) -> None:
        if text_data is None or len(text_data) > LONGEST_MESSAGE:
            self._say({"error": "Send short JSON texts."})
            return
        try:
            await super().receive(text_data=text_data)
        except (ValueError, RecursionError):
            self._say({"error": "This is not JSON."})

    async def receive_json(self, content: Any, **_: Any) -> None:
        wanted = content.get("follow") if isinstance(content, dict) else None
        since = content.get("since") if isinstance(content, dict) else None
        if (
            not isinstance(wanted, list)
            or not _are_topics(wanted)
            or not (since is None or (type(since) is int and since >= 0))
        ):
            self._say({"error": 'Send {"follow": [topics], "since": id or null}.'})
            return
        allowed = [topic for topic in wanted if await self._may_follow(topic)]
        self._relay = relay.here() if self._relay is None else self._relay
        try:
            await self._relay.join(self._outbox, allowed, since)
        except DatabaseError:
            await self.close(code=TRY_AGAIN_LATER)

    async def _write(self) -> None:
        with suppress(OSError, RuntimeError):  # the client has gone, or was sent away
            while True:
                await self.send(text_data=await self._outbox.take())

    def _say(self, content: dict[str, Any]) -> None:
        self._outbox.put(relay.as_text(content))

    async def _may_follow(self, topic: str) -> bool:
        allowed: bool = await database_sync_to_async(roles.may)(self.scope["user"], roles.SEE, topic)
        return allowed


def _are_topics(wanted: list[Any]) -> bool:
    return len(wanted) <= MOST_TOPICS and all(
        isinstance(topic, str) and push.FOLLOWED.fullmatch(topic) for topic in wanted
    )
