"""Servers in a thread with a loop of its own, for tests and for whatever is not asynchronous itself."""

import asyncio
import threading
from types import TracebackType
from typing import Protocol, Self

START_TIMEOUT_S = 20.0


class Server(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class InBackground:
    """`with InBackground(server): ...` starts all servers, and stops them at the end of the block."""

    def __init__(self, *servers: Server) -> None:
        self._servers = servers
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="camera-servers", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        for server in self._servers:
            asyncio.run_coroutine_threadsafe(server.start(), self._loop).result(START_TIMEOUT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            asyncio.run_coroutine_threadsafe(server.stop(), self._loop).result(START_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
