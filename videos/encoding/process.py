"""The only place that runs ffmpeg: fed, watched, limited, and always ended."""

import contextlib
import ctypes
import fcntl
import functools
import logging
import os
import selectors
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import imageio_ffmpeg

from videos.encoding.errors import (
    DiskFull,
    EncoderMissing,
    EncodingCancelled,
    EncodingFailed,
    EncodingTookTooLong,
)

POLL_S = 0.1  # how often should_stop is asked, at most and (but for the caller's own work) at least
TERM_GRACE_S = 0.5  # after SIGTERM; ffmpeg would flush its encoder, for a file that nobody wants
NICENESS = 10
_TAIL_BYTES = 8192
_CHUNK_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031  # linux/fcntl.h; Python's fcntl names it for Linux only
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_DISK_FULL_TEXTS = ("No space left on device", "Disk quota exceeded", "File too large")

# The standard library's: a program that uses this core alone prints nothing. Ours add the id of the deed.
log = logging.getLogger(__name__)


@functools.cache
def ffmpeg_binary() -> Path:
    """The ffmpeg that imageio-ffmpeg ships. Raises EncoderMissing."""
    try:
        return Path(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise EncoderMissing(str(error)) from error


class Ffmpeg:
    """One ffmpeg child, used as a context manager: when the block is left, however, the child is gone.

    `arguments` are what follows the common options. Reading from stdin: `feed` bytes, then `finish`.
    `should_stop` is asked every 0.1 s, also while the child is blocked. `on_output` receives what the child
    writes to stdout. Raises EncodingCancelled, EncodingTookTooLong, DiskFull and EncodingFailed (with the
    child's last lines).
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        should_stop: Callable[[], bool],
        time_limit_s: float,
        on_output: Callable[[bytes], None] | None = None,
        loglevel: str = "warning",
        encoder_loglevel: int = 1,
    ) -> None:
        self._command = [
            str(ffmpeg_binary()), "-nostdin", "-hide_banner", "-loglevel", loglevel,
            "-protocol_whitelist", "file,pipe", *arguments,
        ]  # fmt: skip
        self._should_stop = should_stop
        self._time_limit_s = time_limit_s
        self._on_output = on_output
        self._tail = b""
        self._environment = {"LC_ALL": "C", "SVT_LOG": str(encoder_loglevel)}  # SVT-AV1 heeds no -loglevel
        self._asked_at = 0.0

    def __enter__(self) -> Self:
        self._deadline = time.monotonic() + self._time_limit_s
        log.info("ffmpeg: %s", shlex.join(self._command))
        try:
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
                preexec_fn=functools.partial(_be_a_good_child, os.getpid()),
                env=self._environment,
            )
        except (FileNotFoundError, PermissionError) as error:
            raise EncoderMissing(str(error)) from error
        assert self._child.stdin is not None  # noqa: S101 - Popen was asked for all three
        assert self._child.stdout is not None  # noqa: S101 - it is a pipe; for the type checker
        assert self._child.stderr is not None  # noqa: S101 - it is a pipe; for the type checker
        self._stdin, self._stdout, self._stderr = self._child.stdin, self._child.stdout, self._child.stderr
        # A larger pipe saves wake-ups; unprivileged users have a budget for it.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._stdin, _F_SETPIPE_SZ, _CHUNK_BYTES)
        self._selector = selectors.DefaultSelector()
        for pipe, events in (
            (self._stdin, selectors.EVENT_WRITE),
            (self._stdout, selectors.EVENT_READ),
            (self._stderr, selectors.EVENT_READ),
        ):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, events)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        self._selector.close()
        for pipe in (self._stdin, self._stdout, self._stderr):
            with contextlib.suppress(OSError):
                pipe.close()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def last_lines(self) -> str:
        """The end of what the child wrote to stderr (at most 8 KiB)."""
        return self._tail.decode("utf-8", "replace").strip()

    def attend(self) -> None:
        """Ask should_stop and look at the clock; for callers whose own work between two `feed` takes time."""
        now = time.monotonic()
        if now >= self._deadline:
            raise EncodingTookTooLong(f"({self._time_limit_s:g} s)")
        if now - self._asked_at >= POLL_S:
            self._asked_at = now
            if self._should_stop():
                raise EncodingCancelled

    def feed(self, data: bytes | memoryview) -> None:
        """Write all of `data` to the child's stdin, however long the child takes."""
        rest = memoryview(data).cast("B")
        while rest:
            self.attend()
            if self._exchange(writing=True):
                try:
                    written = os.write(self._stdin.fileno(), rest[:_CHUNK_BYTES])
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    self._wait_and_raise()
                rest = rest[written:]

    def finish(self) -> None:
        """Close stdin and wait for a good end."""
        self._selector.unregister(self._stdin)
        self._stdin.close()
        self._wait()
        if self._child.returncode:
            raise self._failure()

    def _wait(self) -> None:
        while self._child.poll() is None:
            self.attend()
            if self._selector.get_map():
                self._exchange(writing=False)
            else:  # it closed its pipes and has only to exit
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._child.wait(POLL_S)
        while self._exchange(writing=False, timeout_s=0):
            pass

    def _wait_and_raise(self) -> None:
        """The child closed its stdin: it died or is about to."""
        if self._stdin in self._selector.get_map():
            self._selector.unregister(self._stdin)
        self._wait()
        raise self._failure()

    def _exchange(self, *, writing: bool, timeout_s: float = POLL_S) -> bool:
        """Drain what the child says. True if stdin takes bytes (writing) or if anything was read (else)."""
        is_writable = has_read = False
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is self._stdin:
                is_writable = True
                continue
            chunk = os.read(key.fd, 65536)
            has_read = has_read or bool(chunk)
            if not chunk:
                self._selector.unregister(key.fileobj)
            elif key.fileobj is self._stderr:
                self._tail = (self._tail + chunk)[-_TAIL_BYTES:]
            elif self._on_output:
                self._on_output(chunk)
        return is_writable if writing else has_read

    def _failure(self) -> EncodingFailed | DiskFull:
        code = self._child.returncode
        lines = self.last_lines.splitlines()[-12:]
        if code == -signal.SIGXFSZ or any(text in line for line in lines for text in _DISK_FULL_TEXTS):
            return DiskFull("\n".join(lines[-2:]))
        how = f"(signal {-code})" if code < 0 else f"(exit code {code})"
        return EncodingFailed("\n".join([how, *lines]))

    def _end(self) -> None:
        for number, grace_s in ((signal.SIGTERM, TERM_GRACE_S), (signal.SIGKILL, None)):
            if self._child.poll() is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(grace_s)


def _be_a_good_child(parent: int) -> None:
    """Runs between fork and exec: nicer than its parent, and killed when the thread that started it dies."""
    os.nice(NICENESS)
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)


def run_ffmpeg(
    arguments: Sequence[str], *, time_limit_s: float, loglevel: str = "warning", encoder_loglevel: int = 1
) -> tuple[bytes, str]:
    """Run to the end; give stdout and the end of stderr (at most 8 KiB)."""
    output: list[bytes] = []
    child = Ffmpeg(
        arguments,
        should_stop=lambda: False,
        time_limit_s=time_limit_s,
        on_output=output.append,
        loglevel=loglevel,
        encoder_loglevel=encoder_loglevel,
    )
    with child:
        child.finish()
        return b"".join(output), child.last_lines
