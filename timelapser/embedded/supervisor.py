"""Starts programs, shows their lines, starts again what ended, and stops all of them in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from timelapser.embedded.guard import end_with_parent

FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 30.0
STEADY_S = 60.0  # after so long, the next end counts as the first again
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)


class StartFailed(Exception):
    """A program ended before it was ready, or was not ready in time."""


@dataclass(frozen=True, slots=True)
class Program:
    """One process that must run. `stage`: the lower, the earlier stopped; `stop_s`: its time to stop."""

    name: str
    command: tuple[str, ...]
    stage: int = 0
    stop_s: float = 3.0
    is_ready: Callable[[], Awaitable[bool]] | None = None
    takes_line: Callable[[str], bool] = field(default=lambda _line: False)


class Log:
    """Lines of many programs on one stream, each behind its program's name."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._has_colours = stream.isatty() and "NO_COLOR" not in os.environ
        self._names: list[str] = []

    def line(self, name: str, text: str) -> None:
        if name not in self._names:
            self._names.append(name)
        prefix = f"{name:<10}|"
        if self._has_colours:
            prefix = f"\x1b[{COLOURS[self._names.index(name) % len(COLOURS)]}m{prefix}\x1b[0m"
        self.say(f"{prefix} {text}")

    def say(self, text: str) -> None:
        # The terminal may be gone; the cameras go on.
        with contextlib.suppress(OSError, ValueError):
            print(text, file=self._stream, flush=True)


class Supervisor:
    """Keeps programs running in `folder` with `environment` until `stop`."""

    def __init__(self, folder: Path, environment: Mapping[str, str], log: Log) -> None:
        self._folder = folder
        self._environment = environment
        self._log = log
        self._programs: dict[str, Program] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._readers: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def process_ids(self) -> dict[str, int]:
        """The running process of each program, by the program's name."""
        return {name: process.pid for name, process in self._processes.items() if process.returncode is None}

    async def start(self, program: Program, *, within_s: float = 60.0) -> None:
        """Starts `program`, keeps it running, and returns when it is ready; raises StartFailed otherwise."""
        self._programs[program.name] = program
        process = await self._spawn(program.name, program.command, program.takes_line)
        self._processes[program.name] = process
        if program.is_ready is not None:
            deadline = time.monotonic() + within_s
            while not await program.is_ready():
                if process.returncode is not None:
                    raise StartFailed(f"{program.name} ended with {_ending(process)} before it was ready.")
                if time.monotonic() > deadline:
                    raise StartFailed(f"{program.name} was not ready within {within_s:.0f} s.")
                await asyncio.sleep(0.05)
        self._keepers[program.name] = asyncio.create_task(self._keep(program, process))

    async def run_once(self, name: str, command: tuple[str, ...], takes_line: Callable[[str], bool]) -> None:
        """Runs `command` to its end; raises StartFailed where it fails."""
        process = await self._spawn(name, command, takes_line)
        self._processes[name] = process
        await process.wait()
        if self._readers:
            await asyncio.wait(self._readers, timeout=0.2)  # its last lines
        if process.returncode:
            raise StartFailed(f"{name} ended with {_ending(process)}; its last lines are above.")

    async def _keep(self, program: Program, process: asyncio.subprocess.Process) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            started = time.monotonic()
            await process.wait()
            if self._is_stopping:
                return
            _signal_group(process, signal.SIGKILL)  # what it leaves behind must not work beside its successor
            if time.monotonic() - started > STEADY_S:
                pause_s = FIRST_PAUSE_S
            self._log.line(program.name, f"ended with {_ending(process)}; starts again in {pause_s:.0f} s")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LAST_PAUSE_S)
            process = await self._spawn(program.name, program.command, program.takes_line)
            self._processes[program.name] = process

    async def _spawn(
        self, name: str, command: tuple[str, ...], takes_line: Callable[[str], bool]
    ) -> asyncio.subprocess.Process:
        # A pipe of our own: asyncio's would keep wait() waiting for grandchildren that hold it open.
        reading, writing = os.pipe()
        parent = os.getpid()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops in order
                preexec_fn=lambda: end_with_parent(parent),
            )
        except OSError as error:
            os.close(reading)
            raise StartFailed(f"{name} cannot be started: {command[0]}: {error.strerror}.") from error
        finally:
            os.close(writing)
        reader = asyncio.create_task(self._show(name, reading, takes_line))
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)
        return process

    async def _show(self, name: str, descriptor: int, takes_line: Callable[[str], bool]) -> None:
        stream = asyncio.StreamReader()
        pipe = os.fdopen(descriptor, "rb", buffering=0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), pipe
        )
        rest = b""
        try:
            while chunk := await stream.read(65_536):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > 65_536:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._offer(name, line, takes_line)
            if rest:
                self._offer(name, rest, takes_line)
        finally:
            transport.close()

    def _offer(self, name: str, line: bytes, takes_line: Callable[[str], bool]) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if text and not takes_line(text):
            self._log.line(name, text)

    async def stop(self) -> None:
        """Ends the stages one after the other; whatever outlasts its time is killed with its whole group."""
        self._is_stopping = True
        for name, keeper in self._keepers.items():
            if self._processes[name].returncode is not None:
                keeper.cancel()
        stages = {
            name: self._programs[name].stage if name in self._programs else 0 for name in self._processes
        }
        for stage in sorted(set(stages.values())):
            await asyncio.gather(*(self._end(name) for name in stages if stages[name] == stage))
        for task in (*self._keepers.values(), *self._readers):
            task.cancel()
        await asyncio.gather(*self._keepers.values(), *self._readers, return_exceptions=True)

    async def _end(self, name: str) -> None:
        process = self._processes[name]
        stop_s = self._programs[name].stop_s if name in self._programs else 1.0
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), stop_s)
        _signal_group(process, signal.SIGKILL)
        await process.wait()


def _signal_group(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)  # a new session's group has its first process' number


def _ending(process: asyncio.subprocess.Process) -> str:
    code = process.returncode or 0
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
