"""A room of its own for processes: Linux namespaces that a sleeping process holds open."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from timelapser.embedded.guard import end_with_parent

PROJECT = Path(__file__).resolve().parents[2]
WITHIN_S = 10.0


class RoomRefused(Exception):
    """This machine lets nobody have namespaces of his own; the text says which and why."""


class Room:
    """`kinds` are the namespaces as unshare(1) calls them: mount, net, uts. They end with `close`.

    What is started behind `prefix` lives in the room, under the same process id. Without root it is a user namespace
    as well. Raises RoomRefused.
    """

    def __init__(self, *kinds: str) -> None:
        if not (shutil.which("unshare") and shutil.which("nsenter")):
            raise RoomRefused("unshare and nsenter are missing (apt install util-linux)")
        is_root = os.geteuid() == 0
        words = [f"--{kind}" for kind in kinds]
        maker = ["unshare", *words, *(() if is_root else ("--user", "--map-root-user"))]
        parent = os.getpid()
        self._holder = subprocess.Popen(
            [*maker, "sleep", "infinity"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: end_with_parent(parent),
        )
        # Who enters another mount namespace finds himself in its root folder.
        own = ["nsenter", "--target", str(self._holder.pid), *words, f"--wdns={PROJECT}"]
        self.prefix: list[str] = [*own, *(() if is_root else ("--user", "--preserve-credentials"))]
        self._await_namespaces(kinds)

    @property
    def pid(self) -> int:
        return self._holder.pid

    def _await_namespaces(self, kinds: tuple[str, ...]) -> None:
        kind = "mnt" if kinds[0] == "mount" else kinds[0]  # as /proc calls it
        ours = Path("/proc/self/ns", kind).readlink()
        theirs = Path("/proc", str(self.pid), "ns", kind)
        deadline = time.monotonic() + WITHIN_S
        while True:
            if self._holder.poll() is not None or time.monotonic() > deadline:
                self._holder.kill()
                said = self._holder.communicate()[1].decode(errors="replace").strip()
                raise RoomRefused(f"namespaces ({', '.join(kinds)}) are not permitted: {said}")
            try:
                # Only once it sleeps is all of it done: the namespaces, and the private propagation of mounts.
                if theirs.readlink() != ours and "sleep" in (theirs.parents[1] / "comm").read_text():
                    return
            except OSError:
                pass
            time.sleep(0.01)

    def run(self, *command: str) -> str:
        """Runs a command in the room; raises RoomRefused with its own words where it fails."""
        done = subprocess.run([*self.prefix, *command], capture_output=True, text=True)
        if done.returncode:
            raise RoomRefused(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def path(self, inside: Path) -> Path:
        """Where a file of the room's mounts is seen from outside."""
        return Path(f"/proc/{self.pid}/root{inside}")

    def close(self) -> None:
        self._holder.kill()
        self._holder.communicate()
