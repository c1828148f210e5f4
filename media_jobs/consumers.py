"""The WebSocket: who follows what, what they missed, and what happens from now on."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from media_jobs import events, roles
from media_jobs.models import Event
from media_jobs.push import group_of

_TOPIC = re.compile(r"(fleet|camera\.(new|\d{1,18})|timelapse\.\d{1,18})")
MOST_TOPICS = 100
LONGEST_MESSAGE = 16_384


class EventsConsumer(AsyncJsonWebsocketConsumer):
    """`{"follow": [topics], "since": id or null}` in; `{"following"…}`, `{"events": […]}`, `{"reload": true}` out."""

    topics: list[str]

    async def connect(self) -> None:
        self.topics = []
        user = self.scope.get("user")
        if user is None or not await database_sync_to_async(roles.may)(user, roles.SEE):
            await self.close(code=4401)
            return
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await asyncio.gather(*(self._leave(topic) for topic in self.topics))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **_: Any) -> None:
        if text_data is None or len(text_data) > LONGEST_MESSAGE:
            await self.send_json({"error": "Send short JSON texts."})
            return
        try:
            await super().receive(text_data=text_data)
        except (ValueError, RecursionError):
            await self.send_json({"error": "This is not JSON."})

    async def receive_json(self, content: Any, **_: Any) -> None:
        wanted = content.get("follow") if isinstance(content, dict) else None
        since = content.get("since") if isinstance(content, dict) else None
        if (
            not isinstance(wanted, list)
            or not _are_topics(wanted)
            or not (since is None or (type(since) is int and since >= 0))
        ):
            await self.send_json({"error": 'Send {"follow": [topics], "since": id or null}.'})
            return
        allowed = [topic for topic in wanted if await self._may_follow(topic)]
        # First the group, then the look back: so nothing falls between; clients know events by their ids.
        await asyncio.gather(*(self._join(topic) for topic in allowed if topic not in self.topics))
        await asyncio.gather(*(self._leave(topic) for topic in self.topics if topic not in allowed))
        self.topics = allowed
        await self.send_json({"following": allowed, "latest": await database_sync_to_async(latest_id)()})
        if since is not None:
            await self._catch_up(since)

    async def push_messages(self, message: dict[str, Any]) -> None:
        await self.send_json({"events": message["messages"]})

    async def _catch_up(self, since: int) -> None:
        missed, is_complete = await database_sync_to_async(events.since)(since, self.topics)
        if not is_complete:
            await self.send_json({"reload": True, "latest": await database_sync_to_async(latest_id)()})
        elif missed:
            await self.send_json({"events": [events.as_message(event) for event in missed]})

    async def _may_follow(self, topic: str) -> bool:
        allowed: bool = await database_sync_to_async(roles.may)(self.scope["user"], roles.SEE, topic)
        return allowed

    async def _join(self, topic: str) -> None:
        await self.channel_layer.group_add(group_of(topic), self.channel_name)

    async def _leave(self, topic: str) -> None:
        await self.channel_layer.group_discard(group_of(topic), self.channel_name)


def latest_id() -> int:
    """The id of the newest event, 0 where there is none."""
    newest = Event.objects.order_by("-id").values_list("id", flat=True).first()
    return newest or 0


def _are_topics(wanted: list[Any]) -> bool:
    return len(wanted) <= MOST_TOPICS and all(
        isinstance(topic, str) and _TOPIC.fullmatch(topic) for topic in wanted
    )
