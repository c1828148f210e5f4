"""Wall clocks that can be set while processes run: of the database, and of everybody else."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


class NoCompiler(Exception):
    """No C compiler that can make a library was found; on Debian and Ubuntu: apt install gcc libc6-dev."""


class WallClock:
    """A clock for the processes that are started with `environment`; true until it is set. Raises NoCompiler."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / f"{name}.clock"
        self._file.write_bytes(struct.pack("q", 0))
        self.environment = {"LD_PRELOAD": str(_library(folder)), "CHAOS_CLOCK": str(self._file)}

    @contextmanager
    def wrong_by(self, seconds: int) -> Iterator[None]:
        """Set forth (or back, if negative) for the block; then true again."""
        self._set(seconds)
        try:
            yield
        finally:
            self._set(0)

    def _set(self, seconds: int) -> None:
        with self._file.open("r+b", buffering=0) as file:  # in place: it is mapped
            file.write(struct.pack("q", seconds))


def _library(folder: Path) -> Path:
    library = folder / "clock.so"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not library.exists():
        if compiler is None:
            raise NoCompiler(NoCompiler.__doc__)
        words = ["-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
        done = subprocess.run([compiler, *words], capture_output=True, text=True)
        if done.returncode:
            raise NoCompiler(f"{compiler}: {done.stderr[-300:]}")
    return library
