"""The one folder that everything lives in: its layout, its lock, and what the child processes learn of it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import random
import re
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

# sun_path in Linux' unix(7) holds 108 bytes with the final NUL.
SOCKET_PATH_BYTES = 107
# Below the ports of outgoing connections (32768 and up on Linux), so that a stopped demo keeps its own.
DEMO_PORTS = range(20_000, 30_000)


class FolderUnusable(Exception):
    """The data folder cannot be used; the text says why, in one sentence."""


class FolderInUse(FolderUnusable):
    """Another process runs on this data folder."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths below `root`, which is absolute."""

    root: Path

    @property
    def valkey(self) -> Path:
        return self.root / "valkey"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    @property
    def demo_file(self) -> Path:
        return self.root / "demo.json"

    @property
    def socket_folder(self) -> Path:
        """The data folder, or a short private one where its path is too long or too odd for a socket address.

        The same data folder always has the same one, so that a command finds a running server.
        """
        path = str(self.valkey / "redis.sock")
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES and re.fullmatch(r"[A-Za-z0-9/._-]+", path):
            return self.valkey
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"timelapser-{os.getuid()}-{name}"

    @property
    def redis_socket(self) -> Path:
        return self.socket_folder / "redis.sock"

    @property
    def redis_url(self) -> str:
        return f"unix://{self.redis_socket}"

    @property
    def database_url(self) -> str:
        return f"sqlite:///{quote(str(self.root / 'timelapser.sqlite3'))}"

    def create(self) -> None:
        """Makes what is missing, for this user only.

        Raises FolderUnusable where it cannot be written or the socket's folder is somebody else's.
        """
        try:
            for folder in (self.root, self.valkey):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root) as trial:
                trial.write(b"x" * 4096)
        except OSError as error:
            raise FolderUnusable(
                f"The data folder {self.root} cannot be written ({error.strerror}); "
                "choose another with --data."
            ) from error
        if self.socket_folder != self.valkey:
            self._make_socket_folder()

    def _make_socket_folder(self) -> None:
        folder = self.socket_folder
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
        except OSError as error:
            raise FolderUnusable(
                f"{folder} cannot be made ({error.strerror}); choose a shorter --data."
            ) from error
        # Anybody may write to the temporary folder: a link or a folder laid there by another user is refused.
        if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise FolderUnusable(f"{folder} belongs to somebody else; choose a shorter --data.")

    def remove_socket_folder(self) -> None:
        """Takes away the short private folder, where there is one."""
        if self.socket_folder != self.valkey:
            self.redis_socket.unlink(missing_ok=True)
            self.socket_folder.rmdir()

    def lock(self, *, patience_s: float = 12.0) -> int:
        """Takes the folder for this process and returns the lock's file descriptor; it ends with the process.

        Waits up to `patience_s` where the process that held it is gone and its children are just ending.
        Raises FolderInUse otherwise.
        """
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
                if _is_alive(holder) or time.monotonic() > deadline:
                    os.close(descriptor)
                    raise FolderInUse(
                        f"Timelapser is already running on {self.root} (process {holder or 'unknown'}); "
                        "stop that one first, or choose another folder with --data."
                    ) from None
                time.sleep(0.1)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        return descriptor

    def demo_ports(self) -> tuple[int, int]:
        """(RTSP, HTTP) of the demonstration cameras: the same at every start, because addresses name them.

        Where another program took one meanwhile, new ones are chosen and kept.
        """
        try:
            stored = json.loads(self.demo_file.read_text(encoding="utf-8"))
            ports = int(stored["rtsp_port"]), int(stored["http_port"])
            if all(is_free(port) for port in ports):
                return ports
        except (OSError, ValueError, KeyError, TypeError):
            pass  # the first start, or a file that a full disk cut short
        rtsp_port, http_port = _free_ports(2)
        draft = self.demo_file.with_suffix(".part")
        draft.write_text(json.dumps({"rtsp_port": rtsp_port, "http_port": http_port}), encoding="utf-8")
        draft.replace(self.demo_file)
        return rtsp_port, http_port

    def environment(self) -> dict[str, str]:
        """What the children read (docs/configuration.md); what the user's own environment says wins."""
        defaults = {
            "TIMELAPSER_DATABASE_URL": self.database_url,
            "TIMELAPSER_REDIS_URL": self.redis_url,
        }
        return defaults | dict(os.environ) | {"TIMELAPSER_DATA": str(self.root), "PYTHONUNBUFFERED": "1"}


def chosen_folder(option: str | None = None) -> DataFolder:
    """The folder of --data, else of TIMELAPSER_DATA, else ./data."""
    return DataFolder(Path(option or os.environ.get("TIMELAPSER_DATA") or "data").expanduser().resolve())


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError:
            return False
    return True


def _free_ports(count: int) -> list[int]:
    candidates = random.sample(DEMO_PORTS, k=200)
    free = [port for port in candidates if is_free(port)]
    if len(free) < count:
        raise FolderUnusable("No free port was found for the demonstration cameras; start with --no-demo.")
    return free[:count]


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (ValueError, OSError):
        return False
    return True
