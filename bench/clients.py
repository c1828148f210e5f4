"""What two hundred pages cost: events received, how soon, and what a worker pays for telling them.

    python bench/clients.py [--clients 200] [--rate 50] [--seconds 30]

A real web process on PostgreSQL and Valkey, clients over real WebSockets in one process of their own, and a worker-like
process that changes a row and tells of it in the same transaction. It does so without clients, with them, and with as
many of which one never reads; beside each of its transactions it makes one that tells nothing.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import pathlib
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "timelapser.settings"

import httpx
from websockets.asyncio.client import ClientConnection, connect

from bench import processes
from tests.servers import fresh_database
from tests.stack import Stack, running_stack, wait_for

WITHOUT = ("beat", "planner", "capture", "thumbnail", "video", "upkeep")
TOPIC = "timelapse.1"
QUIET_S = 15  # so long nothing may come before the rest counts as lost
EMIT = """
import time
from django.db import transaction
from media_jobs import clock
from media_jobs.events import EventType, emit
from media_jobs.models import Pulse

count, rate, filler = given
Pulse.objects.get_or_create(name="bench", defaults={"kind": "bench", "at": clock.now()})

def change(number):
    with transaction.atomic():
        Pulse.objects.filter(name="bench").update(facts={"number": number})
        if number is not None:
            emit(EventType.CAPTURE_STORED, "timelapse.1", {"number": number, "sent": time.time(), "x": "x" * filler})

change(None)
start, answer = time.monotonic(), {"plain": [], "telling": []}
for number in range(count):
    if rate:
        time.sleep(max(0.0, start + number / rate - time.monotonic()))
    for name, value in (("plain", None), ("telling", number)) if rate else (("telling", number),):
        begun = time.perf_counter()
        change(value)
        answer[name].append((time.perf_counter() - begun) * 1000)
time.sleep(0.5)  # the sender's thread ends with the process
"""


@dataclass
class Heard:
    """What one client has received."""

    numbers: list[int] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    reloads: int = 0


@dataclass
class Measured:
    plain_ms: list[float]
    telling_ms: list[float]
    heard: list[Heard]
    web_cpu_s: float
    web_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rate", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    count = options.rate * options.seconds
    found: dict[str, Measured] = {}
    with (
        tempfile.TemporaryDirectory(prefix="tlb-") as name,
        fresh_database(pathlib.Path(name)) as url,
        web_alone(url) as stack,
    ):
        for words, clients, silent in (
            ("no client", 0, 0),
            (f"{options.clients} clients", options.clients, 0),
            (f"{options.clients} clients, one more never reads", options.clients, 1),
        ):
            found[words] = asyncio.run(
                measure(stack, clients=clients, silent=silent, count=count, rate=options.rate)
            )
    print(f"{options.rate} events a second for {options.seconds} s.\n")
    print(
        "| | received | p50 ms | p99 ms | told to reload | CPU of web | web PSS |\n|---|--:|--:|--:|--:|--:|--:|"
    )
    for words, each in found.items():
        late = [ms for heard in each.heard for ms in heard.late_ms]
        received, owed = sum(len(heard.numbers) for heard in each.heard), count * len(each.heard)
        share = 100 * each.web_cpu_s / options.seconds
        print(
            f"| {words} | {received:,} of {owed:,} | {point(late, 0.5)} | {point(late, 0.99)}"
            f" | {sum(heard.reloads for heard in each.heard)} | {share:.0f} % | {each.web_mb:.0f} MB |"
        )
    print("\n| a worker's transaction, ms | p50 | p99 | p50 without telling | p99 |\n|---|--:|--:|--:|--:|")
    for words, each in found.items():
        told, plain = each.telling_ms, each.plain_ms
        print(
            f"| {words} | {point(told, 0.5)} | {point(told, 0.99)} | {point(plain, 0.5)} | {point(plain, 0.99)} |"
        )


@contextlib.contextmanager
def web_alone(database_url: str):
    """A web process that answers, with its broker; nothing else."""
    with running_stack(database_url, has_demo=False, without=WITHOUT) as stack:
        wait_for(lambda: _answers(stack), within_s=60, what="the web process")
        yield stack


def _answers(stack: Stack) -> bool:
    try:
        return httpx.get(f"{stack.url}/health/live", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


async def measure(
    stack: Stack, *, clients: int, count: int, rate: int, silent: int = 0, filler: int = 0
) -> Measured:
    """Tells `count` events, `rate` a second (0: as quickly as can be), to `clients` and to `silent` ones."""
    cookie = await asyncio.to_thread(stack.cookie)
    web = stack.pid("web")
    async with contextlib.AsyncExitStack() as opened:
        quiet = [opened.enter_context(never_reading(stack, cookie)) for _ in range(silent)]
        assert len(quiet) == silent
        sockets = [await opened.enter_async_context(following(stack, cookie)) for _ in range(clients)]
        heard = [Heard() for _ in sockets]
        before = processes.cpu_s(web)
        readers = [asyncio.create_task(_listen(*each, count)) for each in zip(sockets, heard, strict=True)]
        costs = await asyncio.to_thread(stack.python, EMIT, count, rate, filler)
        await asyncio.gather(*readers)
        return Measured(
            plain_ms=costs["plain"],
            telling_ms=costs["telling"],
            heard=heard,
            web_cpu_s=processes.cpu_s(web) - before,
            web_mb=processes.pss_mb(web),
        )


@contextlib.asynccontextmanager
async def following(stack: Stack, cookie: str) -> AsyncIterator[ClientConnection]:
    """A page that follows the topic from now on."""
    async with connect(
        f"ws://127.0.0.1:{stack.port}/ws/events/",
        origin=stack.url,
        additional_headers={"Cookie": cookie},
        max_size=None,
        open_timeout=60,
    ) as peer:
        await peer.send(json.dumps({"follow": [TOPIC], "since": None}))
        answer = json.loads(await peer.recv())
        assert answer["following"] == [TOPIC], answer
        yield peer


@contextlib.contextmanager
def never_reading(stack: Stack, cookie: str):
    """A client that follows the topic and then reads nothing, with as little room for it as the kernel allows."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.connect(("127.0.0.1", stack.port))
    with peer:
        key = base64.b64encode(os.urandom(16)).decode()
        peer.sendall(
            f"GET /ws/events/ HTTP/1.1\r\nHost: 127.0.0.1:{stack.port}\r\nOrigin: {stack.url}\r\n"
            f"Cookie: {cookie}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += peer.recv(1)
        assert b" 101 " in answer, answer
        wish = json.dumps({"follow": [TOPIC], "since": None}).encode()
        # RFC 6455, 5.2: final text frame, masked with zeros, shorter than 126 bytes.
        peer.sendall(bytes([0x81, 0x80 | len(wish), 0, 0, 0, 0]) + wish)
        yield peer


async def _listen(peer: ClientConnection, heard: Heard, count: int) -> None:
    with contextlib.suppress(TimeoutError):
        while len(heard.numbers) < count:
            message = json.loads(await asyncio.wait_for(peer.recv(), QUIET_S + (0 if heard.numbers else 60)))
            now = time.time()
            heard.reloads += "reload" in message
            for event in message.get("events", ()):
                heard.numbers.append(event["payload"]["number"])
                heard.late_ms.append((now - event["payload"]["sent"]) * 1000)


def point(values: list[float], share: float) -> str:
    values = sorted(values)
    return f"{values[min(len(values) - 1, int(len(values) * share))]:.1f}" if values else "–"


if __name__ == "__main__":
    main()
