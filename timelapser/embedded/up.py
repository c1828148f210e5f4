"""`up`: everything on this machine under one supervisor, in one data folder. Does not import Django."""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
import re
import secrets
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from timelapser.embedded import page, valkey
from timelapser.embedded.data_folder import DataFolder, FolderUnusable, chosen_folder
from timelapser.embedded.guard import RUN, post_guard
from timelapser.embedded.supervisor import Log, Program, StartFailed, Supervisor
from timelapser.queues import POOLS, SMALL_POOLS, site_pool, worker_command

OF_THE_CENTRE = ("TIMELAPSER_DATABASE_URL", "TIMELAPSER_REDIS_URL", "TIMELAPSER_SEALING_KEYS")
PROJECT = Path(__file__).resolve().parents[2]
# Stopped in this order, 8.5 s at the longest: no new work, then the work, then what they lean on.
CLOCK_STAGE, WORK_STAGE, DEMO_STAGE, BROKER_STAGE = range(4)


@dataclass(slots=True)
class Findings:
    """What the children said on their way up."""

    login: list[str] = field(default_factory=list)
    rtsp_address: str = ""
    http_address: str = ""

    def take_login(self, line: str) -> bool:
        if line.startswith("login:"):
            self.login.append(line.removeprefix("login:").strip())
        return line.startswith("login:")

    def take_addresses(self, line: str) -> bool:
        """The demonstration says where its cameras are in one line of JSON."""
        try:
            told = json.loads(line)
        except ValueError:
            return False  # a line of its log
        for address in _addresses(told):
            if address.startswith("rtsp://"):
                self.rtsp_address = address
            elif address.startswith("http://"):
                self.http_address = address
        return True

    async def has_addresses(self) -> bool:
        return bool(self.rtsp_address and self.http_address)


class SiteUnusable(Exception):
    """The workers of a site cannot be started; the text says why, in one sentence."""


def main(arguments: list[str]) -> int:
    """Runs until a signal; 0 after an orderly stop, 1 where it could not start."""
    options = _options(arguments)
    folder = chosen_folder(options.data)
    try:
        if options.site:
            _check_site(options.site)
        else:
            page.check_port(options.host, options.port)
        binary = None if os.environ.get("TIMELAPSER_REDIS_URL") else valkey.find_binary()
        folder.create()
        folder.lock()
    except (SiteUnusable, page.PortUnusable, FolderUnusable, valkey.NoValkey) as error:
        print(error, file=sys.stderr)
        return 1
    run = secrets.token_hex(8)
    guard = post_guard(run, folder.remove_socket_folder)
    try:
        return asyncio.run(_run(options, folder, binary, run))
    finally:
        guard.dismiss()


async def _run(options: argparse.Namespace, folder: DataFolder, binary: Path | None, run: str) -> int:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    log = Log()
    supervisor = Supervisor(PROJECT, _environment(options, folder, run), log)
    starting = asyncio.create_task(_start(supervisor, options, folder, binary, log))
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
    code = 0
    try:
        if starting.done():
            starting.result()
            await waiting
        log.say("\nStopping ...")
    except (StartFailed, FolderUnusable) as error:
        log.say(f"\nTimelapser could not start: {error}")
        code = 1
    finally:
        starting.cancel()
        waiting.cancel()
        await asyncio.gather(starting, waiting, return_exceptions=True)
        await supervisor.stop()
    if not code:
        log.say("Stopped.")
    return code


async def _start(
    supervisor: Supervisor, options: argparse.Namespace, folder: DataFolder, binary: Path | None, log: Log
) -> None:
    if options.site:
        pool = site_pool(options.site)
        await supervisor.start(Program(pool.name, tuple(worker_command(pool)), WORK_STAGE, 3.5))
        log.say(f"\nCapturing for the site {options.site}.\n  stop    Ctrl-C\n")
        return
    findings = Findings()
    await asyncio.gather(
        _start_broker(supervisor, folder, binary), _start_demo(supervisor, options, folder, findings)
    )
    demo = (
        ("--demo-rtsp", findings.rtsp_address, "--demo-http", findings.http_address) if options.demo else ()
    )
    await supervisor.run_once("prepare", _python("manage.py", "prepare", *demo), findings.take_login)
    is_shown = functools.partial(page.answers, options.host, options.port)
    web = Program("web", web_command(options.host, options.port), CLOCK_STAGE, 2.0, is_shown)
    pools = SMALL_POOLS if options.profile == "small" else POOLS
    workers = [Program(name, tuple(worker_command(pool)), WORK_STAGE, 3.5) for name, pool in pools.items()]
    await asyncio.gather(*(supervisor.start(program) for program in (web, *workers)))
    # Last: a clock that ticks before there are workers would only make slots that are missed.
    await supervisor.start(Program("beat", beat_command(), CLOCK_STAGE, 2.0))
    log.say(_welcome(options, folder, findings))


def _check_site(site: str) -> None:
    if not re.fullmatch(r"[-a-zA-Z0-9_]{1,40}", site):
        raise SiteUnusable(f"“{site}” is no site's name: letters, digits, - and _, 40 at the most.")
    missing = [name for name in OF_THE_CENTRE if not (os.environ.get(name) or os.environ.get(f"{name}_FILE"))]
    if missing:
        raise SiteUnusable(f"The workers of a site work for another machine: set {', '.join(missing)}.")


async def _start_broker(supervisor: Supervisor, folder: DataFolder, binary: Path | None) -> None:
    if binary is None:
        return
    command = valkey.server_command(binary, folder.valkey, folder.redis_socket)
    ready = functools.partial(valkey.answers, folder.redis_url)
    await supervisor.start(Program("valkey", tuple(command), BROKER_STAGE, 2.0, ready, valkey.is_chatter))


async def _start_demo(
    supervisor: Supervisor, options: argparse.Namespace, folder: DataFolder, findings: Findings
) -> None:
    if not options.demo:
        return
    rtsp_port, http_port = folder.demo_ports()
    ports = ("--rtsp-port", str(rtsp_port), "--http-port", str(http_port))
    command = _python("-m", "timelapser.demo", *ports)
    program = Program("demo", command, DEMO_STAGE, 1.0, findings.has_addresses, findings.take_addresses)
    await supervisor.start(program)


def web_command(host: str, port: int) -> tuple[str, ...]:
    """The ASGI server: WebSocket and pages in one process (55 MB where daphne takes 73)."""
    address = ("--host", host, "--port", str(port))
    # Proxies are believed where the settings name them, and there alone (timelapser/asgi.py).
    quiet = ("--no-proxy-headers", "--no-access-log", "--no-server-header", "--log-level", "warning")
    return _python(
        "-m", "uvicorn", "timelapser.asgi:application", *address, *quiet, "--timeout-graceful-shutdown", "1"
    )


def beat_command() -> tuple[str, ...]:
    return _python(
        "-m", "celery", "--quiet", "-A", "celery_app", "beat", "--pidfile=", "--loglevel", "WARNING"
    )


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, *arguments)


def _environment(options: argparse.Namespace, folder: DataFolder, run: str) -> dict[str, str]:
    environment = folder.environment() | {RUN: run}
    environment.setdefault("TIMELAPSER_ALLOWED_HOSTS", ",".join(page.own_names(options.host)))
    if options.demo and not options.site:
        environment.setdefault("TIMELAPSER_ALLOW_LOOPBACK_CAMERAS", "1")
    return environment


def _welcome(options: argparse.Namespace, folder: DataFolder, findings: Findings) -> str:
    lines = ["", "Timelapser is running.", f"  page    {page.address_of(options.host, options.port)}"]
    lines += [f"  login   {line}" for line in findings.login]
    lines += [f"  data    {folder.root}", "  stop    Ctrl-C", ""]
    return "\n".join(lines)


def _addresses(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _addresses(part)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="up", description="Start everything on this machine; Ctrl-C stops it."
    )
    parser.add_argument(
        "--data", metavar="DIR", help="where everything is kept (default: TIMELAPSER_DATA or ./data)"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address of the page; 0.0.0.0 for the whole network"
    )
    parser.add_argument("--port", type=int, default=8000, help="port of the page (default: 8000)")
    parser.add_argument(
        "--no-demo", dest="demo", action="store_false", help="without the demonstration cameras"
    )
    parser.add_argument(
        "--profile",
        choices=("standard", "small"),
        default="standard",
        help="small: fewer processes, for a board with 1 GB of memory",
    )
    parser.add_argument(
        "--site",
        metavar="NAME",
        default=os.environ.get("TIMELAPSER_SITE", ""),
        help="only the workers that read this site's cameras, for another machine's database and broker",
    )
    return parser.parse_args(arguments)
