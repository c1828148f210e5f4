"""A camera over HTTP: /snapshot.jpg, /snapshot.png, endless /stream.mjpg; basic or digest login."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import cv2

from timelapser.demo.feed import Feed, JpegEncoder, encode_jpeg
from timelapser.demo.login import Login
from timelapser.demo.scene import Scene

REASONS = {
    200: "OK",
    302: "Found",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Error",
}
IDLE_S = 60.0
BOUNDARY = "timelapserpicture"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    method: str
    path: str
    headers: dict[str, str]


Route = Callable[[HttpRequest, asyncio.StreamWriter], Awaitable[None]]


class HttpCamera:
    """`routes` may be extended; a route writes its whole answer (misbehaving ones do in the tests)."""

    def __init__(
        self,
        scene: Scene,
        *,
        login: Login | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        fps: int = 5,
    ) -> None:
        self.host = host
        self.port = port
        self._scene = scene
        self._login = login
        self._tls = tls
        self._feed = Feed(scene, JpegEncoder, fps=fps)
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()
        self.routes: dict[str, Route] = {
            "/snapshot.jpg": self._send_snapshot,
            "/snapshot.png": self._send_snapshot,
            "/stream.mjpg": self._send_stream,
        }

    def address(self, path: str) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}{path}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions):
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in one
        self._sessions.add(task)
        try:
            while (request := await asyncio.wait_for(_read_request(reader), IDLE_S)) is not None:
                await self._answer(request, writer)
                if request.headers.get("connection", "").lower() == "close":
                    break
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError, ssl.SSLError, ValueError):
            pass
        except asyncio.CancelledError:  # the server stops; asyncio would log it as an error
            writer.transport.abort()  # a polite end of TLS would wait for the viewer
        finally:
            self._sessions.discard(task)
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, request: HttpRequest, writer: asyncio.StreamWriter) -> None:
        if request.method not in ("GET", "HEAD"):
            await send_answer(writer, 405)
            return
        authorization = request.headers.get("authorization", "")
        if self._login is not None and not self._login.accepts(request.method, authorization):
            await send_answer(writer, 401, headers={"WWW-Authenticate": self._login.challenge()})
            return
        route = self.routes.get(request.path)
        if route is None:
            await send_answer(writer, 404)
            return
        await route(request, writer)

    async def _send_snapshot(self, request: HttpRequest, writer: asyncio.StreamWriter) -> None:
        is_png = request.path.endswith(".png")
        picture = await asyncio.to_thread(self._draw_png if is_png else self._draw_jpeg)
        await send_answer(writer, 200, picture, "image/png" if is_png else "image/jpeg")

    def _draw_jpeg(self) -> bytes:
        return encode_jpeg(self._scene.draw(datetime.now(UTC)))

    def _draw_png(self) -> bytes:
        return cv2.imencode(".png", self._scene.draw(datetime.now(UTC)))[1].tobytes()

    async def _send_stream(self, request: HttpRequest, writer: asyncio.StreamWriter) -> None:
        kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode())
        async with aclosing(self._feed.watch()) as pictures:
            async for picture in pictures:
                body = picture.parts[0]
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body + b"\r\n")
                await writer.drain()


async def send_answer(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes = b"",
    content_type: str = "text/plain",
    headers: dict[str, str] | None = None,
) -> None:
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}", f"Content-Length: {len(body)}"]
    lines += [f"Content-Type: {content_type}", "Cache-Control: no-store"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()


async def _read_request(reader: asyncio.StreamReader) -> HttpRequest | None:
    line = (await reader.readline()).decode("utf-8", "replace").strip()
    if not line:
        return None
    method, address, _ = [*line.split(" "), "", ""][:3]
    headers: dict[str, str] = {}
    while header := (await reader.readline()).decode("utf-8", "replace").strip():
        name, _, value = header.partition(":")
        headers[name.strip().lower()] = value.strip()
    return HttpRequest(method.upper(), urlsplit(address).path, headers)
