"""A small RTSP server (RFC 2326): TCP interleaved and UDP, basic and digest login, many viewers."""

import asyncio
import base64
import contextlib
import secrets
import ssl
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from timelapser.demo.feed import Feed
from timelapser.demo.login import Login
from timelapser.demo.rtp import PAYLOAD_TYPE_H264, PAYLOAD_TYPE_JPEG, Packetiser

MAX_LINE_BYTES = 8192
MAX_BODY_BYTES = 65_536
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
           455: "Method Not Valid In This State", 461: "Unsupported Transport"}  # fmt: skip
Send = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    address: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class CloseConnection(Exception):
    """Ends the connection without a word."""


class Mount:
    """What is served at one path. Misbehaving cameras in the tests override its methods."""

    def __init__(self, feed: Feed, login: Login | None = None) -> None:
        self.feed = feed
        self.login = login

    async def intercept(self, request: Request) -> Answer | None:
        """An answer in place of the ordinary one."""
        return None

    def describe(self, address: str) -> str:
        """The session description, RFC 4566."""
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=Timelapser demonstration", "t=0 0", "a=control:*"]
        if self.feed.codec == "JPEG":
            lines += [f"m=video 0 RTP/AVP {PAYLOAD_TYPE_JPEG}", "c=IN IP4 0.0.0.0"]
        else:
            sets = ",".join(base64.b64encode(unit).decode() for unit in self.feed.parameter_sets)
            profile = self.feed.parameter_sets[0][1:4].hex()
            lines += [
                f"m=video 0 RTP/AVP {PAYLOAD_TYPE_H264}",
                "c=IN IP4 0.0.0.0",
                f"a=rtpmap:{PAYLOAD_TYPE_H264} H264/90000",
                f"a=fmtp:{PAYLOAD_TYPE_H264} packetization-mode=1;profile-level-id={profile};"
                f"sprop-parameter-sets={sets}",
            ]
        return "\r\n".join([*lines, "a=control:track1", ""])

    async def play(self, send: Send) -> None:
        """Sends RTP packets until it is cancelled."""
        packetiser = Packetiser(self.feed.codec)
        has_begun = False
        async with aclosing(self.feed.watch()) as pictures:
            async for picture in pictures:
                has_begun = has_begun or picture.is_key or not self.feed.joins_at_key
                if has_begun:
                    for packet in packetiser.packets(picture):
                        await send(packet)


class RtspServer:
    def __init__(
        self,
        mounts: dict[str, Mount],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.mounts = mounts
        self.host = host
        self.port = port
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    def address(self, path: str) -> str:
        scheme = "rtsps" if self._tls else "rtsp"
        return f"{scheme}://{self.host}:{self.port}{path}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, self.host, self.port, ssl=self._tls, limit=MAX_LINE_BYTES * 8
        )
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
        session = _Session(self.mounts, reader, writer)
        try:
            await session.run()
        except (CloseConnection, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, ValueError):
            pass
        except asyncio.CancelledError:  # the server stops; asyncio would log it as an error
            writer.transport.abort()  # a polite end of TLS would wait for the viewer
        finally:
            await session.close()
            self._sessions.discard(task)


class _Session:
    """One connection of one viewer."""

    def __init__(
        self, mounts: dict[str, Mount], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._mounts = mounts
        self._reader = reader
        self._writer = writer
        self._id = secrets.token_hex(4)
        self._send: Send | None = None
        self._udp: list[asyncio.DatagramTransport] = []
        self._playing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        while (request := await self._read_request()) is not None:
            mount = self._find_mount(request.address)
            answer = await self._answer(request, mount)
            await self._write_answer(request, answer)
            if (
                request.method == "PLAY"
                and answer.status == 200
                and mount
                and self._send
                and not self._playing
            ):
                self._playing = asyncio.create_task(self._play(mount, self._send))
            if request.method == "TEARDOWN":
                return

    async def close(self) -> None:
        for transport in self._udp:
            transport.close()
        self._writer.close()
        with contextlib.suppress(OSError, ssl.SSLError, asyncio.CancelledError):
            if self._playing is not None:
                self._playing.cancel()
                await asyncio.gather(self._playing, return_exceptions=True)
            await self._writer.wait_closed()

    async def _play(self, mount: Mount, send: Send) -> None:
        try:
            await mount.play(send)
        except CloseConnection:
            self._writer.close()
        except (ConnectionError, ssl.SSLError, RuntimeError):  # the viewer is gone
            pass

    def _find_mount(self, address: str) -> Mount | None:
        path = urlsplit(address).path.rstrip("/")
        return self._mounts.get(path) or self._mounts.get(path.rpartition("/")[0])

    async def _answer(self, request: Request, mount: Mount | None) -> Answer:
        if request.method == "OPTIONS":
            return Answer(headers={"Public": "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"})
        if mount is None:
            return Answer(404)
        login = mount.login
        if login is not None and not login.accepts(request.method, request.headers.get("authorization", "")):
            return Answer(401, {"WWW-Authenticate": login.challenge()})
        intercepted = await mount.intercept(request)
        if intercepted is not None:
            return intercepted
        match request.method:
            case "DESCRIBE":
                body = mount.describe(request.address).encode("utf-8", "surrogateescape")
                base = request.address.rstrip("/") + "/"
                return Answer(200, {"Content-Base": base, "Content-Type": "application/sdp"}, body)
            case "SETUP":
                return await self._set_up(request.headers.get("transport", ""))
            case "PLAY":
                return Answer(200 if self._send else 455, {"Session": self._id, "Range": "npt=now-"})
            case "TEARDOWN" | "GET_PARAMETER":
                return Answer(200, {"Session": self._id})
        return Answer(405)

    async def _set_up(self, wish: str) -> Answer:
        options = dict(part.strip().partition("=")[::2] for part in wish.split(";"))
        if "RTP/AVP/TCP" in wish:
            channel = int(options.get("interleaved", "0-1").split("-")[0])
            self._send = self._sender_over_tcp(channel)
            transport = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"
        elif "client_port" in options and "multicast" not in options:
            viewer = self._writer.get_extra_info("peername")[0]
            port = int(options["client_port"].split("-")[0])
            ours = await self._open_udp(viewer, port)
            transport = f"RTP/AVP;unicast;client_port={port}-{port + 1};server_port={ours}-{ours + 1}"
        else:
            return Answer(461)
        return Answer(200, {"Session": f"{self._id};timeout=60", "Transport": transport})

    def _sender_over_tcp(self, channel: int) -> Send:
        async def send(packet: bytes) -> None:
            self._writer.write(b"$" + bytes((channel,)) + len(packet).to_bytes(2) + packet)
            await self._writer.drain()

        return send

    async def _open_udp(self, viewer: str, port: int) -> int:
        host = self._writer.get_extra_info("sockname")[0]
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(host, 0))
        self._udp.append(transport)
        # Sent evenly, as cameras do: a burst would overrun the small receive buffer of the viewer.
        burst = 0

        async def send(packet: bytes) -> None:
            nonlocal burst
            transport.sendto(packet, (viewer, port))
            burst += 1
            if burst % 16 == 0:
                await asyncio.sleep(0.001)

        self._send = send
        return int(transport.get_extra_info("sockname")[1])

    async def _read_request(self) -> Request | None:
        while True:
            first = await self._reader.read(1)
            if not first:
                return None
            if first == b"$":  # what the viewer reports back (RTCP)
                size = int.from_bytes((await self._reader.readexactly(3))[1:])
                await self._reader.readexactly(size)
                continue
            line = (first + await self._reader.readline()).decode("utf-8", "replace").strip()
            if line:
                break
        method, _, rest = line.partition(" ")
        headers: dict[str, str] = {}
        while header := (await self._reader.readline()).decode("utf-8", "replace").strip():
            name, _, value = header.partition(":")
            headers[name.strip().lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
        if length > MAX_BODY_BYTES:
            raise CloseConnection
        await self._reader.readexactly(length)
        return Request(method.upper(), rest.split(" ")[0], headers)

    async def _write_answer(self, request: Request, answer: Answer) -> None:
        headers = {"CSeq": request.headers.get("cseq", "0"), **answer.headers}
        if answer.body:
            headers["Content-Length"] = str(len(answer.body))
        lines = [f"RTSP/1.0 {answer.status} {REASONS.get(answer.status, 'Error')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + answer.body)
        await self._writer.drain()
