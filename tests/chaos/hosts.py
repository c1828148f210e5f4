"""Several machines on this one: network and host-name namespaces of their own, joined by a bridge, each with workers.

The first room is the server's: database, broker and cameras listen at its address on the bridge. Needs root.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.rooms import Room, RoomRefused
from tests.stack import Stack, running_stack, wait_for
from timelapser.embedded.up import beat_command
from timelapser.queues import SMALL_POOLS, worker_command

SERVER = "10.77.0.1"
SCHEDULERS_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Host:
    """A machine: its name, and its room. The other end of its cable is a port of the server's bridge."""

    name: str
    room: Room
    server: Room

    def cut_off(self) -> None:
        """The cable is pulled: nobody is told, packets are lost, connections stay open at both ends."""
        self.server.run("ip", "link", "set", self.name, "down")

    def reconnect(self) -> None:
        self.server.run("ip", "link", "set", self.name, "up")

    def ffmpegs(self, stack: Stack) -> list[int]:
        """The living ffmpeg processes that work for this machine."""
        here = Path("/proc", str(self.room.pid), "ns/net").readlink()
        return [pid for pid in stack.ffmpegs() if _network_of(pid) == here]


def _network_of(pid: int) -> Path | None:
    try:
        return Path("/proc", str(pid), "ns/net").readlink()
    except OSError:
        return None


@contextmanager
def machines(count: int) -> Iterator[tuple[Room, list[Host]]]:
    """The server's room and `count` hosts, wired. Raises RoomRefused."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        raise RoomRefused("networks of several machines need root and ip(8) (apt install iproute2)")
    with ExitStack() as rooms:
        server = Room("net", "uts")
        rooms.callback(server.close)
        server.run("ip", "link", "set", "lo", "up")
        server.run("ip", "link", "add", "bridge", "type", "bridge")
        server.run("ip", "address", "add", f"{SERVER}/24", "dev", "bridge")
        server.run("ip", "link", "set", "bridge", "up")
        hosts = []
        for number in range(1, count + 1):
            room = Room("net", "uts")
            rooms.callback(room.close)
            host = Host(f"host{number}", room, server)
            _wire(host, f"10.77.0.{10 + number}/24")
            hosts.append(host)
        yield server, hosts


def _wire(host: Host, address: str) -> None:
    cable = ["ip", "link", "add", host.name, "type", "veth", "peer", "name", "eth0"]
    host.server.run(*cable, "netns", str(host.room.pid))
    host.server.run("ip", "link", "set", host.name, "master", "bridge", "up")
    host.room.run("hostname", host.name)
    host.room.run("ip", "link", "set", "lo", "up")
    host.room.run("ip", "address", "add", address, "dev", "eth0")
    host.room.run("ip", "link", "set", "eth0", "up")


@contextmanager
def running_hosts(count: int, **environment: str) -> Iterator[tuple[Stack, list[Host]]]:
    """`count` machines, each with a beat and the small profile's workers, which all have given a sign of life."""
    with (
        machines(count) as (server, hosts),
        running_stack(
            None, room=server, address=SERVER, without=("web", "beat", "workers"), **environment
        ) as stack,
    ):
        for host in hosts:
            _start(stack, host)
        names = {f"{pool}@{host.name}" for host in hosts for pool in SMALL_POOLS}
        wait_for(lambda: names <= _alive(stack), within_s=SCHEDULERS_WITHIN_S, what=f"{names}", every_s=0.5)
        yield stack, hosts


def _start(stack: Stack, host: Host) -> None:
    reached = {
        "TIMELAPSER_DATABASE_URL": f"postgresql://postgres@{SERVER}:5432/timelapser",
        "TIMELAPSER_REDIS_URL": f"redis://{SERVER}:6379/0",
    }
    stack.start(f"beat@{host.name}", beat_command(), room=host.room, **reached)
    for pool in SMALL_POOLS.values():
        stack.start(f"{pool.name}@{host.name}", worker_command(pool), room=host.room, **reached)


def _alive(stack: Stack) -> set[str]:
    rows = stack.rows("SELECT name FROM media_jobs_pulse WHERE kind = 'worker'")
    return {row["name"] for row in rows}
