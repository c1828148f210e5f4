"""Cameras that do everything wrong, each in one way: what the sources must survive."""

import asyncio
import contextlib
import datetime
import random
import socket
import ssl
import struct
from contextlib import contextmanager

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from timelapser.demo.feed import encode_jpeg
from timelapser.demo.http_camera import send_answer
from timelapser.demo.rtp import Packetiser
from timelapser.demo.rtsp_server import Answer, CloseConnection, Mount


async def for_ever():
    await asyncio.Event().wait()


class SilentDescribe(Mount):
    async def intercept(self, request):
        if request.method == "DESCRIBE":
            await for_ever()


class SilentSetup(Mount):
    async def intercept(self, request):
        if request.method == "SETUP":
            await for_ever()


class NoPackets(Mount):
    async def play(self, send):
        await for_ever()


class Refusing(Mount):
    def __init__(self, feed, status):
        super().__init__(feed)
        self.status = status

    async def intercept(self, request):
        return Answer(self.status, {"X-Echo": request.address})


class AudioOnly(Mount):
    def describe(self, address):
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=control:*"]
        lines += ["m=audio 0 RTP/AVP 0", "c=IN IP4 0.0.0.0", "a=control:track1", ""]
        return "\r\n".join(lines)

    async def play(self, send):
        for number in range(1 << 16):
            await send(struct.pack(">BBHII", 0x80, 0, number, number * 160, 1) + bytes(160))
            await asyncio.sleep(0.02)


class OddlyNamed(Mount):
    """Its name is Latin-1 where UTF-8 is expected."""

    def describe(self, address):
        return super().describe(address).replace("Timelapser demonstration", "K\udce4se")


class GarbageSdp(Mount):
    def describe(self, address):
        return "<html><body>hello</body></html>"


class GarbagePayload(Mount):
    """A well-formed session whose video is noise."""

    async def play(self, send):
        chance = random.Random(1)
        for number in range(1 << 16):
            await send(
                struct.pack(">BBHII", 0x80, 96 | 0x80, number, number * 9000, 1) + chance.randbytes(700)
            )
            await asyncio.sleep(0.01)


class Filtered(Mount):
    """Lets the ordinary packets through `let_pass(number, packet)`."""

    def let_pass(self, number, packet):
        return True

    async def play(self, send):
        number = 0

        async def filtered(packet):
            nonlocal number
            number += 1
            if self.let_pass(number, packet):
                await send(packet)

        await super().play(filtered)


class Lossy(Filtered):
    """Every key frame loses one of its packets at least, besides the share that is lost by chance."""

    def __init__(self, feed, share):
        super().__init__(feed)
        self.share = share
        self.chance = random.Random(7)

    def let_pass(self, number, packet):
        is_middle_of_key_frame = packet[12] & 0x1F == 28 and packet[13] & 0xDF == 5 and number % 7 == 3
        return not is_middle_of_key_frame and self.chance.random() >= self.share


class Stalling(Filtered):
    """Stops for ever in the middle of the first key frame."""

    def let_pass(self, number, packet):
        return number <= 8


class Closing(Filtered):
    """Closes the connection in the middle of the first key frame."""

    def let_pass(self, number, packet):
        if number > 8:
            raise CloseConnection
        return True


class LateKeyFrame(Mount):
    """Joined in the middle of a group of pictures: the first key frame is not seen."""

    async def play(self, send):
        packetiser = Packetiser(self.feed.codec)
        async with contextlib.aclosing(self.feed.watch()) as pictures:
            seen = 0
            async for picture in pictures:
                seen += picture.is_key
                if not picture.is_key or seen > 1:
                    for packet in packetiser.packets(picture):
                        await send(packet)


class RawServer:
    """Answers each connection by `talk(reader, writer)`, whatever the protocol."""

    def __init__(self, talk, tls=None):
        self.talk = talk
        self.tls = tls
        self.tasks = set()

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self):
        self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def serve(self, reader, writer):
        self.tasks.add(task := asyncio.current_task())
        try:
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()


async def stay_silent(reader, writer):
    await for_ever()


async def close_at_once(reader, writer):
    await reader.read(1)


async def talk_garbage(reader, writer):
    await reader.read(10)
    writer.write(bytes(range(128, 256)) * 20 + b"\r\n\r\n")
    await writer.drain()
    await for_ever()


async def endless_header_line(reader, writer):
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"RTSP/1.0 200 OK\r\nX: " + b"a" * 4000)
            await writer.drain()
            await asyncio.sleep(0.05)


async def drip_header(reader, writer):
    """One byte at a time: each single wait is short, all together never end."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 10_000:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0.05)


def http_routes(camera, picture):
    """Adds the misbehaving paths to an HttpCamera."""

    async def drip(request, writer):
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(picture)}\r\n\r\n".encode())
        for byte in picture:
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0.05)

    async def endless(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n" + picture[:1000])
        while True:
            writer.write(bytes(65536))
            await writer.drain()

    async def too_long(request, writer):
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(picture) + 999}\r\n\r\n".encode() + picture)
        await writer.drain()
        writer.close()

    async def cut(request, writer):
        await send_answer(writer, 200, picture[: len(picture) // 2], "image/jpeg")

    async def html(request, writer):
        await send_answer(writer, 200, b"\r\n<!DOCTYPE html><html>Login</html>", "image/jpeg")

    async def nonsense_type(request, writer):
        await send_answer(writer, 200, picture, "text/html; charset=nonsense")

    async def huge_header(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nX-Huge: " + b"a" * 1_000_000 + b"\r\n\r\n")
        await writer.drain()

    async def busy(request, writer):
        await send_answer(writer, 503)

    async def empty(request, writer):
        await send_answer(writer, 200, b"", "image/jpeg")

    def redirect(location):
        async def route(request, writer):
            await send_answer(writer, 302, headers={"Location": location})

        return route

    def parts(*bodies, head="Content-Type: image/jpeg\r\n", boundary="xyz", mark="--xyz"):
        async def route(request, writer):
            kind = f"multipart/x-mixed-replace;boundary={boundary}"
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode())
            for body in bodies:
                writer.write(f"{mark}\r\n{head}\r\n".encode() + body + b"\r\n")
                await writer.drain()
            await for_ever()

        return route

    half = picture[: len(picture) // 2]
    camera.routes |= {
        "/drip": drip, "/endless": endless, "/too-long": too_long, "/cut": cut, "/html": html,
        "/nonsense-type": nonsense_type, "/huge-header": huge_header, "/busy": busy, "/empty": empty,
        "/loop": redirect("/loop"), "/once": redirect("/snapshot.jpg"),
        "/to-metadata": redirect("http://169.254.169.254/latest/"), "/to-file": redirect("file:///etc/passwd"),
        "/to-nowhere": redirect("http://[bad/"),
        "/parts-by-boundary": parts(picture, picture), "/parts-first-cut": parts(half, picture, picture),
        "/parts-dashes": parts(picture, picture, boundary="--xyz"),
        "/parts-never-whole": parts(half, half, half), "/parts-none": parts(),
    }  # fmt: skip


def make_picture(scene, moment):
    return encode_jpeg(scene.draw(moment))


@contextmanager
def closed_port():
    """A port on which nobody listens, kept from others while the block lasts."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def self_signed(folder, name="localhost"):
    """(server context, certificate file) with a certificate made just now that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "camera.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, path
