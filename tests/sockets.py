"""A WebSocket client that speaks ASGI to the application. (Channels' own needs daphne to be installed.)"""

import asyncio
import contextlib
import json

from asgiref.testing import ApplicationCommunicator

TIMEOUT_S = 20


class Socket:
    def __init__(self, application, path, headers):
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": b"",
            "headers": headers,
            "subprotocols": [],
        }
        self._peer = ApplicationCommunicator(application, scope)

    async def connect(self):
        """Whether the server took it, and the code with which it did not."""
        await self._peer.send_input({"type": "websocket.connect"})
        answer = await self._peer.receive_output(TIMEOUT_S)
        return answer["type"] == "websocket.accept", answer.get("code")

    async def send(self, *, text=None, data=None):
        await self._peer.send_input({"type": "websocket.receive", "text": text, "bytes": data})

    async def send_json(self, content):
        await self.send(text=json.dumps(content))

    async def receive_json(self):
        answer = await self._peer.receive_output(TIMEOUT_S)
        assert answer["type"] == "websocket.send", answer
        return json.loads(answer["text"])

    async def hears_nothing(self):
        return await self._peer.receive_nothing(timeout=0.2)

    async def close(self):
        await self._peer.send_input({"type": "websocket.disconnect", "code": 1000})
        with contextlib.suppress(asyncio.CancelledError):
            await self._peer.wait(TIMEOUT_S)
