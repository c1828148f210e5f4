"""The real thing for tests and benches: web, beat, a worker of each pool and the cameras, as processes of their own.

Each is started by the command that the supervisor and compose use, in a temporary data folder, on free ports, and is
started again when it ends, as in production. A PostgreSQL that may be killed, too, is among them where none is given.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.chaos.rooms import Room
from timelapser.embedded import valkey
from timelapser.embedded.guard import RUN, end_members, end_with_parent, members
from timelapser.embedded.up import beat_command, web_command
from timelapser.queues import POOLS, worker_command

PROJECT = Path(__file__).resolve().parents[1]
KEYS = {
    "TIMELAPSER_SECRET_KEY": "a key for the tests only",
    "TIMELAPSER_SEALING_KEYS": "dGhpcyBrZXkgaXMgZm9yIHRoZSB0ZXN0cyBvbmx5ISE=",
}
# A pause as the supervisor has it, so that a killed process is really away for a while.
RESTART_PAUSE_S = 1.0
START_S = 90.0  # on a loaded machine; a dozen processes import Django at once
STOP_STAGES = ("web", "beat"), (), ("demo",), ("broker", "database")  # the workers are all others
PATIENCE_S = 30.0  # of a question to a database that is being started


class Stack:
    """What `running_stack` gives. Processes are called web, beat, demo, broker, database, and by their pool's name.

    With a `room` all of them live in its namespaces; `media` is then where the test finds what they wrote.
    """

    def __init__(
        self, folder: Path, database_url: str, *, room: Room | None = None, **environment: str
    ) -> None:
        self.folder = folder
        self.room = room
        self.media = room.path(folder / "media") if room else folder / "media"
        self.database_url = database_url
        self.run_mark = folder.name
        self.endings: list[tuple[str, int]] = []  # every process that ended, but for the end of all
        self.username = self.password = ""
        self.rtsp_address = self.http_address = ""
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIMELAPSER_")}
        self.environment = {
            **inherited,
            **KEYS,
            "DJANGO_SETTINGS_MODULE": "timelapser.settings",
            "PYTHONUNBUFFERED": "1",
            "TIMELAPSER_DATA": str(folder),
            "TIMELAPSER_DATABASE_URL": database_url,
            "TIMELAPSER_REDIS_URL": f"unix://{folder / 'redis.sock'}",
            "TIMELAPSER_ALLOW_LOOPBACK_CAMERAS": "1",
            RUN: self.run_mark,
            **environment,
        }
        self._commands: dict[str, list[str]] = {}
        self._environments: dict[str, dict[str, str]] = {}
        self.own: dict[str, dict[str, str]] = {}  # what single processes have besides
        self._held_down: set[str] = set()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._is_stopping = threading.Event()
        self._lock = threading.Lock()
        (folder / "logs").mkdir()
        # Linux ends a child with the *thread* that started it: so one thread starts all and lasts until the end.
        self._wanted: list[str] = []
        self._keeper = threading.Thread(target=self._keep, name="stack", daemon=True)
        self._keeper.start()

    # --- processes --------------------------------------------------------------------------------------------

    def start(
        self, name: str, command: list[str] | tuple[str, ...], *, room: Room | None = None, **environment: str
    ) -> None:
        """Starts `command` as the process `name`, and again whenever it ends; `environment` is added to the common."""
        room = room or self.room
        with self._lock:
            self._commands[name] = [*(room.prefix if room else ()), *command]
            self._environments[name] = self.environment | self.own.get(name, {}) | environment
            self._wanted.append(name)
        wait_for(lambda: name in self._processes, within_s=30, what=f"{name} to be started")

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self._processes.items()}

    def kill(self, name: str) -> None:
        """SIGKILL to the process alone, as the kernel does it for want of memory; returns when it has ended."""
        process = self._processes[name]
        process.kill()
        wait_for(lambda: process.poll() is not None, within_s=10, what=f"{name} to be gone")

    def restart(self, name: str) -> None:
        """Kills the process unless it is gone, and returns when there is a new one."""
        process = self._processes[name]
        if process.poll() is None:
            self.kill(name)
        wait_for(lambda: self._processes[name] is not process, within_s=30, what=f"{name} to be back")

    @contextmanager
    def down(self, *names: str) -> Iterator[None]:
        """The processes are killed, and not started again before the block is left."""
        self._held_down.update(names)
        try:
            for name in names:
                self.kill(name)
            yield
        finally:
            self._held_down.difference_update(names)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """SIGSTOP to the process and all its children: its sockets take what is sent, and nothing answers."""
        family = [self.pid(name), *descendants(self.pid(name))]
        _send(family, signal.SIGSTOP)
        try:
            yield
        finally:
            _send(family, signal.SIGCONT)

    def is_up(self, name: str) -> bool:
        return self._processes[name].poll() is None

    def log(self, name: str) -> str:
        file = self.folder / "logs" / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def ffmpegs(self) -> list[int]:
        """The living ffmpeg processes that work below this stack's folder."""
        found = []
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                words = (folder / "cmdline").read_bytes() if folder.name.isdigit() else b""
                if b"ffmpeg" in words.partition(b"\0")[0] and os.fsencode(self.folder) in words:
                    found.append(int(folder.name))
        return found

    def _keep(self) -> None:
        due: dict[str, float] = {}
        while not self._is_stopping.wait(0.05):
            with self._lock:
                started, self._wanted = self._wanted, []
            for name in started:
                self._processes[name] = self._spawn(name)
            for name, process in list(self._processes.items()):
                if process.poll() is None:
                    continue
                if name not in due:
                    self.endings.append((name, process.returncode))
                    _signal_group(process.pid, signal.SIGKILL)  # as the supervisor clears up behind it
                    due[name] = time.monotonic() + RESTART_PAUSE_S
                elif time.monotonic() >= due[name] and name not in self._held_down:
                    del due[name]
                    self._processes[name] = self._spawn(name)

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        parent = os.getpid()
        with (self.folder / "logs" / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                self._commands[name],
                cwd=PROJECT,
                env=self._environments[name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: end_with_parent(parent),
            )

    def stop(self) -> None:
        """Ends all in order; what does not end by itself within its time is killed. Leaves nothing running."""
        self._is_stopping.set()
        late = {name for stage in STOP_STAGES for name in stage}
        workers = tuple(name for name in self._processes if name not in late)
        for stage in (STOP_STAGES[0], workers, *STOP_STAGES[2:]):
            group = [self._processes[name] for name in stage if name in self._processes]
            for process in group:
                process.terminate()
            deadline = time.monotonic() + 5
            for process in group:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
                _signal_group(process.pid, signal.SIGKILL)
                process.wait()
        self._keeper.join()
        end_members(self.run_mark, 1.0)

    # --- what a test asks ---------------------------------------------------------------------------------------

    def manage(self, *arguments: str, check: bool = True) -> str:
        """Runs a management command on this stack's data and gives what it printed."""
        return self._run(["manage.py", *arguments], check=check)

    def python(self, code: str, *values: Any) -> Any:
        """Runs `code` with Django and this stack's data; `given` is the list of `values`, `answer` what it gives."""
        frame = "import sys, json, django; django.setup(); given = json.loads(sys.argv[1]); answer = None\n"
        end = "\nsys.stdout.write('\\n' + json.dumps(answer))"
        said = self._run(["-c", frame + code + end, json.dumps(values)])
        return json.loads(said.splitlines()[-1])

    def _run(self, arguments: list[str], *, check: bool = True) -> str:
        done = subprocess.run(
            [*(self.room.prefix if self.room else ()), sys.executable, *arguments],
            cwd=PROJECT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        if check and done.returncode:
            raise AssertionError(f"{arguments[:2]} ended with {done.returncode}:\n{done.stdout[-4000:]}")
        return done.stdout

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """What the database says, asked without the code under test (PostgreSQL only).

        One that is being started, or dies with the question, is asked again for PATIENCE_S.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                with psycopg.connect(**_server_of(self.database_url), row_factory=dict_row) as connection:
                    return connection.execute(sql, values).fetchall()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    @contextmanager
    def logged_in(self) -> Iterator[httpx.Client]:
        """An HTTP client that went through the real login page; writes carry its CSRF token."""
        with httpx.Client(base_url=self.url, timeout=30, headers={"Referer": f"{self.url}/"}) as client:
            self._log_in(client)
            yield client

    def _log_in(self, client: httpx.Client) -> None:
        page = client.get("/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token, f"{page.status_code}: the login page has no form:\n{page.text[:2000]}"
        form = {
            "username": self.username,
            "password": self.password,
            "csrfmiddlewaretoken": token.group(1),
        }
        answer = client.post("/login/", data=form)
        assert answer.status_code == 302, f"{answer.status_code}: the login was refused"
        client.headers["X-CSRFToken"] = client.cookies["csrftoken"]

    def cookie(self) -> str:
        """The header `Cookie` of a new login."""
        with self.logged_in() as client:
            return "; ".join(f"{name}={value}" for name, value in client.cookies.items())

    def add_timelapse(self, kind: str, address: str, *, name: str, seconds: int, follows: bool = True) -> int:
        """A camera and its running timelapse of one slot a second, `seconds` slots long; gives the timelapse's id.

        Its end lies half an interval off the grid, so that neither rounding nor a tick decides about the last slot.
        """
        return self.add_timelapses([(kind, address, name)], seconds=seconds, follows=follows)[0]

    def add_timelapses(
        self,
        cameras: list[tuple[str, str, str]],
        *,
        seconds: int,
        follows: bool = True,
        starts_in_s: float = 2,
    ) -> list[int]:
        """The same for each of `cameras` (kind, address, name), all at once; gives the timelapses' ids."""
        return list(self.python(_ADD_TIMELAPSES, cameras, seconds, follows, starts_in_s))


_ADD_TIMELAPSES = """
from datetime import timedelta
from cameras.models import Camera
from captures import campaign, versions
from captures.intervalometer import every
from captures.models import Timelapse
from media_jobs import clock
from videos import rendering
from videos.models import Recipe

cameras, seconds, follows, starts_in_s = given
answer = []
begin = clock.now() + timedelta(seconds=starts_in_s)
for kind, address, name in cameras:
    camera = Camera.objects.create(name=name, kind=kind, address=address)
    timelapse = Timelapse(camera=camera, name=name, plan=every(1))
    timelapse.start_at = versions.timetable_of(timelapse, begin).next_after(begin) - timedelta(milliseconds=500)
    timelapse.end_at = timelapse.start_at + timedelta(seconds=seconds)
    timelapse.save()
    if follows:
        rendering.create_follower(timelapse, Recipe.objects.first())
    campaign.start(timelapse, by="test")
    answer.append(timelapse.pk)
"""


def wait_for(condition: Callable[[], Any], *, within_s: float, what: str, every_s: float = 0.1) -> Any:
    """What `condition` gives as soon as it is true; fails after `within_s`."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within_s:.0f} s in vain for {what}")
        time.sleep(every_s)
    return found


@contextmanager
def running_stack(
    database_url: str | None,
    *,
    has_demo: bool = True,
    without: tuple[str, ...] = (),
    room: Room | None = None,
    folder: Path | None = None,
    own: dict[str, dict[str, str]] | None = None,
    address: str = "",
    **environment: str,
) -> Iterator[Stack]:
    """Everything, ready, on an empty database, with a broker of its own; if the block fails the logs' ends are shown.

    `database_url`: None starts a PostgreSQL of its own, as the process `database`. `without` names processes to leave
    out (`workers`: all pools), `own` gives some of them an environment of their own, `room` all of them namespaces. At
    `address` database, broker and cameras listen for other machines.
    """
    database_folder = Path(tempfile.mkdtemp(prefix="tlpg-"))
    folder = folder or Path(tempfile.mkdtemp(prefix="tls-"))
    has_database = database_url is None
    url = database_url or f"postgresql://postgres@/{database_folder}/timelapser"
    stack = Stack(folder, url, room=room, **environment)
    stack.own = own or {}
    try:
        if has_database:
            start_database(stack, database_folder, address)
        _start_all(stack, has_demo=has_demo, without=without, address=address)
        yield stack
    except BaseException:
        for file in sorted((stack.folder / "logs").iterdir()):
            sys.stderr.write(f"--- {file.stem}\n{file.read_text(errors='replace')[-3000:]}\n")
        raise
    finally:
        stack.stop()
        left = [*members(stack.run_mark), *stack.ffmpegs()]
        shutil.rmtree(stack.folder, ignore_errors=True)
        shutil.rmtree(database_folder, ignore_errors=True)
    assert not left, f"still running after the end: {left}"


def start_database(stack: Stack, folder: Path, address: str = "") -> None:
    """A PostgreSQL of the stack's own in `folder`, with the empty database that its URL names."""
    listens = ("--listen", address, "--network", f"{address}/24") if address else ()
    stack.start("database", [sys.executable, "-m", "tests.chaos.database", str(folder), *listens])

    def create() -> bool:
        try:
            with psycopg.connect(
                host=str(folder), user="postgres", dbname="postgres", autocommit=True
            ) as connection:
                connection.execute("CREATE DATABASE timelapser")
        except psycopg.OperationalError:
            return False
        return True

    wait_for(create, within_s=START_S, what=f"PostgreSQL: {stack.log('database')[-500:]}")


def _start_all(stack: Stack, *, has_demo: bool, without: tuple[str, ...], address: str) -> None:
    redis_socket = stack.folder / "redis.sock"
    listens = ("--port", "6379", "--bind", address, "--protected-mode", "no") if address else ()
    broker = valkey.server_command(valkey.find_binary(), stack.folder, redis_socket)
    stack.start("broker", [*broker, *listens])
    if has_demo:
        # Ports of its own choice would change when it is started again.
        ports = ("--rtsp-port", str(_free_port()), "--http-port", str(_free_port()))
        host = ("--host", address) if address else ()
        stack.start("demo", [sys.executable, "-m", "timelapser.demo", *ports, *host])
    login = re.search(r"login: user (\S+), password (\S+)", stack.manage("prepare"))
    assert login, "prepare printed no login"
    stack.username, stack.password = login.groups()
    if has_demo:
        said = wait_for(
            lambda: re.search(r"^\{.*\}$", stack.log("demo"), re.M), within_s=START_S, what="the cameras"
        )
        addresses = json.loads(said.group())
        stack.rtsp_address, stack.http_address = addresses["rtsp"], addresses["http"]
    commands = {"web": web_command("127.0.0.1", stack.port), "beat": beat_command()}
    if "workers" not in without:
        commands |= {pool.name: tuple(worker_command(pool)) for pool in POOLS.values()}
    for name, command in commands.items():
        if name not in without:
            stack.start(name, command)
    if not without:
        wait_for(lambda: is_ready(stack), within_s=START_S, what="everything to be ready", every_s=0.5)


def is_ready(stack: Stack) -> bool:
    """Whether /health/ready says that pictures can be taken."""
    try:
        return httpx.get(f"{stack.url}/health/ready", timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def _server_of(url: str) -> dict[str, Any]:
    import environ

    found = environ.Env.db_url_config(url)
    words = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    return {name: found[key] for name, key in words.items() if found.get(key)}


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def descendants(process: int) -> list[int]:
    """Process ids of the living children of `process`, and of theirs."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError, IndexError):
            if folder.name.isdigit():
                # The name, in parentheses, may hold anything; the parent is the second word behind it (proc(5)).
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(folder.name))
    found = []
    waiting = [process]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _send(processes: list[int], number: int) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def _signal_group(process: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process, number)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "e2e: the real processes together, a minute and more")
    config.addinivalue_line("markers", "harm: of these, the ones in which processes are killed or cut off")
    config.addinivalue_line("markers", "soak: not part of the whole suite; `go.py test -m soak` runs them")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything running, with two demonstration cameras that no camera row names yet."""
    from tests.servers import fresh_database  # who imports it starts servers: for pytest alone

    with (
        fresh_database(tmp_path_factory.mktemp("stack")) as database_url,
        running_stack(database_url) as running,
    ):
        yield running
