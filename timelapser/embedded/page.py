"""The page's address: whether it can be had, by which names browsers call it, and whether it answers."""

from __future__ import annotations

import asyncio
import socket

LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on


class PortUnusable(Exception):
    """The page's address cannot be listened on; the text says why, in one sentence."""


def check_port(host: str, port: int) -> None:
    """Raises PortUnusable where the page could not be served at `host` and `port`."""
    try:
        if not 0 < port < 65_536:  # getaddrinfo would fold it
            raise OSError(None, "ports go from 1 to 65535")
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        raise PortUnusable(
            f"Port {port} on {host} cannot be used ({error.strerror}); choose another, for example --port 8001."
        ) from error


def address_of(host: str, port: int) -> str:
    """Where this machine's own browser finds the page."""
    reachable = EVERYWHERE.get(host, host)
    return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{port}/"


async def answers(host: str, port: int) -> bool:
    """Whether /health/live says 200 within two seconds."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(EVERYWHERE.get(host, host), port)
            try:
                writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


def own_names(host: str) -> list[str]:
    """The names by which a browser may call this machine, with its addresses when it listens on all."""
    names = ["localhost", "127.0.0.1", "[::1]"]
    if host in LOOPBACK:
        return names
    if host not in EVERYWHERE:
        return [*names, f"[{host}]" if ":" in host else host]
    name = socket.gethostname()
    return [*names, name, f"{name}.local", *_own_addresses(name)]


def _own_addresses(name: str) -> list[str]:
    found = []
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(name, None, family=socket.AF_INET)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as toward:
            toward.connect(("192.0.2.1", 9))  # documentation address (RFC 5737); connecting UDP sends nothing
            found.append(toward.getsockname()[0])
    except OSError:
        pass  # no network: the names must do
    return sorted(set(found))
