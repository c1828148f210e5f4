"""The embedded default: supervisor, guard, data folder, Valkey and the page's address, with real processes."""

import asyncio
import io
import os
import re
import secrets
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from timelapser.embedded import guard, page, valkey
from timelapser.embedded.data_folder import SOCKET_PATH_BYTES, DataFolder, FolderInUse, FolderUnusable
from timelapser.embedded.postgres import Postgres
from timelapser.embedded.supervisor import Log, Program, StartFailed, Supervisor
from timelapser.embedded.up import PROJECT, Findings

WAIT = "import signal, time; signal.signal(signal.SIGTERM, {}); print('here', flush=True); time.sleep(600)"
FOR_EVER, STUBBORN = WAIT.format("lambda *_: exit(0)"), WAIT.format("signal.SIG_IGN")


def python(code):
    return (sys.executable, "-c", textwrap.dedent(code))


@pytest.fixture
def supervised(tmp_path):
    """A supervisor, what it printed, and the mark of its descendants; nothing of it is left afterwards."""
    run, shown = secrets.token_hex(8), io.StringIO()
    yield Supervisor(tmp_path, os.environ | {guard.RUN: run}, Log(shown)), shown, run
    guard.end_members(run, 0)


async def until(condition, within_s=20):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)


def wait_until(condition, within_s=30):
    asyncio.run(until(condition, within_s))


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_lines_appear_behind_their_program_s_name(supervised):
    supervisor, shown, _ = supervised
    await supervisor.run_once("first", python("print('one'); print('two')"), lambda line: line == "one")
    assert shown.getvalue() == "first     | two\n"


async def test_log_has_no_colours_where_it_is_not_a_terminal(supervised):
    supervisor, shown, _ = supervised
    await supervisor.run_once("first", python("print('one')"), lambda _line: False)
    assert "\x1b" not in shown.getvalue()


async def test_start_waits_until_the_program_is_ready(supervised, tmp_path):
    supervisor, _, _ = supervised
    mark = tmp_path / "ready"

    async def is_ready():
        return mark.exists()

    code = f"import pathlib, time; time.sleep(0.2); pathlib.Path({str(mark)!r}).touch(); time.sleep(600)"
    await supervisor.start(Program("slow", python(code), is_ready=is_ready))
    assert mark.exists()
    await supervisor.stop()


async def test_start_fails_where_the_program_ends_before_it_is_ready(supervised):
    supervisor, _, _ = supervised

    async def never():
        return False

    with pytest.raises(StartFailed, match="broken ended with exit code 7"):
        await supervisor.start(Program("broken", python("exit(7)"), is_ready=never))
    await supervisor.stop()


async def test_start_fails_where_the_program_is_not_ready_in_time(supervised):
    supervisor, _, run = supervised

    async def never():
        return False

    with pytest.raises(StartFailed, match="not ready within 0 s"):
        await supervisor.start(Program("slow", python(FOR_EVER), is_ready=never), within_s=0.1)
    await supervisor.stop()
    assert guard.members(run) == []


async def test_start_names_a_program_that_does_not_exist(supervised):
    supervisor, _, _ = supervised
    with pytest.raises(StartFailed, match="/no/such: No such file"):
        await supervisor.start(Program("ghost", ("/no/such",)))


async def test_run_once_fails_with_its_command(supervised):
    supervisor, _, _ = supervised
    with pytest.raises(StartFailed, match="prepare ended with exit code 3"):
        await supervisor.run_once("prepare", python("exit(3)"), lambda _line: False)
    await supervisor.stop()


async def test_killed_program_comes_back(supervised):
    supervisor, shown, _ = supervised
    await supervisor.start(Program("web", python(FOR_EVER)))
    first = supervisor.process_ids()["web"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.process_ids().get("web", first) != first)
    assert "web       | ended with signal SIGKILL; starts again in 1 s" in shown.getvalue()
    await supervisor.stop()


async def test_program_that_keeps_ending_is_started_again_with_growing_pauses(supervised, monkeypatch):
    monkeypatch.setattr("timelapser.embedded.supervisor.FIRST_PAUSE_S", 0.01)
    supervisor, shown, _ = supervised
    await supervisor.start(Program("web", python("print('again')")))
    await until(lambda: shown.getvalue().count("again in") >= 4)
    await supervisor.stop()
    assert shown.getvalue().count("| again\n") >= 4


async def test_grandchildren_of_a_killed_program_go_with_it(supervised):
    supervisor, shown, run = supervised
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {FOR_EVER!r}])"
    await supervisor.start(Program("worker", python(code)))
    await until(lambda: "here" in shown.getvalue())
    before = set(guard.members(run))
    assert len(before) == 2
    os.kill(supervisor.process_ids()["worker"], signal.SIGKILL)
    await until(lambda: shown.getvalue().count("here") == 2)
    assert not before & set(guard.members(run))
    await supervisor.stop()
    await until(lambda: guard.members(run) == [])


async def test_stop_ends_the_stages_in_order(supervised, tmp_path):
    supervisor, shown, _ = supervised
    order = tmp_path / "order"
    code = """
        import signal, sys, time
        def leave(*_):
            open({file!r}, "a").write({name!r} + " ")
            sys.exit()
        signal.signal(signal.SIGTERM, leave)
        print("here", flush=True)
        time.sleep(600)
    """
    for name, stage in (("broker", 3), ("worker", 1), ("web", 0)):
        command = python(textwrap.dedent(code).format(file=str(order), name=name))
        await supervisor.start(Program(name, command, stage))
    await until(lambda: shown.getvalue().count("here") == 3)
    await supervisor.stop()
    assert order.read_text() == "web worker broker "


async def test_stop_kills_what_outlasts_its_time(supervised):
    supervisor, shown, run = supervised
    await supervisor.start(Program("worker", python(STUBBORN), stop_s=0.2))
    await until(lambda: "here" in shown.getvalue())
    await supervisor.stop()
    assert guard.members(run) == []


async def test_stop_does_not_wait_for_a_program_that_is_about_to_start_again(supervised):
    supervisor, shown, run = supervised
    await supervisor.start(Program("web", python("exit(1)")))
    await until(lambda: "starts again" in shown.getvalue())
    started = time.monotonic()
    await supervisor.stop()
    assert time.monotonic() - started < 1.0
    assert guard.members(run) == []


SUPERVISED_TREE = """
    import asyncio, os, pathlib, sys
    from timelapser.embedded import guard
    from timelapser.embedded.supervisor import Log, Program, Supervisor

    async def main():
        supervisor = Supervisor(pathlib.Path("."), os.environ | {guard.RUN: sys.argv[1]}, Log())
        for name, code in (("polite", sys.argv[2]), ("stubborn", sys.argv[3])):
            code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], start_new_session=True)"
            await supervisor.start(Program(name, (sys.executable, "-c", code)))
        await asyncio.Event().wait()

    guard.GRACE_S = 0.5
    guard.post_guard(sys.argv[1])
    asyncio.run(main())
"""


def test_nothing_is_left_when_the_supervisor_itself_is_killed(tmp_path):
    run = secrets.token_hex(8)
    process = subprocess.Popen(
        [*python(SUPERVISED_TREE), run, FOR_EVER, STUBBORN],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        lines = [process.stdout.readline() for _ in range(2)]
        assert sorted(lines) == ["polite    | here\n", "stubborn  | here\n"]
        assert len(guard.members(run)) == 4  # two programs with a grandchild each, in sessions of their own
        process.kill()
        process.wait()
        wait_until(lambda: guard.members(run) == [])


# --- data folder


def test_data_folder_is_for_its_owner_only(tmp_path):
    folder = DataFolder(tmp_path / "data")
    folder.create()
    assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.valkey.stat().st_mode) == 0o700


def test_data_folder_that_cannot_be_written_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FolderUnusable, match=r"^The data folder .* cannot be written \(Not a directory\); "):
        DataFolder(tmp_path / "file" / "data").create()


def test_second_start_names_the_first_one_s_process(tmp_path):
    folder = DataFolder(tmp_path)
    descriptor = folder.lock()
    try:
        with pytest.raises(FolderInUse, match=rf"already running on {tmp_path} \(process {os.getpid()}\)"):
            folder.lock()
    finally:
        os.close(descriptor)


def test_lock_waits_for_the_children_of_a_killed_holder(tmp_path):
    folder = DataFolder(tmp_path)
    # The shell that took the lock is gone at once; its child keeps it for a moment.
    code = f"""
        import os, pathlib, time
        from timelapser.embedded.data_folder import DataFolder
        os.set_inheritable(DataFolder(pathlib.Path({str(tmp_path)!r})).lock(), True)
        if os.fork() == 0:
            time.sleep(0.5)
    """
    subprocess.run(python(code), cwd=PROJECT, check=True)
    started = time.monotonic()
    os.close(folder.lock())
    assert time.monotonic() - started > 0.1


def test_demo_ports_stay_the_same(tmp_path):
    folder = DataFolder(tmp_path)
    first = folder.demo_ports()
    assert folder.demo_ports() == first
    assert len(set(first)) == 2


def test_demo_ports_change_when_one_was_taken(tmp_path):
    folder = DataFolder(tmp_path)
    first = folder.demo_ports()
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", first[0]))
        taker.listen()
        second = folder.demo_ports()
    assert first[0] not in second
    assert folder.demo_ports() == second


@pytest.mark.parametrize("content", ["", "{", "[]", '{"rtsp_port": "x", "http_port": 1}'])
def test_demo_ports_survive_a_broken_file(tmp_path, content):
    folder = DataFolder(tmp_path)
    folder.demo_file.write_text(content)
    assert folder.demo_ports() == folder.demo_ports()


def test_user_s_own_environment_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("TIMELAPSER_DATABASE_URL", "postgresql://db/x")
    monkeypatch.delenv("TIMELAPSER_REDIS_URL", raising=False)
    environment = DataFolder(tmp_path).environment()
    assert environment["TIMELAPSER_DATABASE_URL"] == "postgresql://db/x"
    assert environment["TIMELAPSER_REDIS_URL"] == f"unix://{tmp_path}/valkey/redis.sock"
    assert environment["TIMELAPSER_DATA"] == str(tmp_path)


@pytest.mark.parametrize("name", ["with a space", "é", "x" * SOCKET_PATH_BYTES])
def test_socket_moves_to_a_short_private_folder(tmp_path, name):
    folder = DataFolder(tmp_path / name)
    folder.create()
    assert folder.socket_folder != folder.valkey
    assert len(os.fsencode(folder.redis_socket)) <= SOCKET_PATH_BYTES
    assert stat.S_IMODE(folder.socket_folder.stat().st_mode) == 0o700
    assert DataFolder(tmp_path / name).redis_socket == folder.redis_socket
    folder.remove_socket_folder()
    assert not folder.socket_folder.exists()


def test_socket_folder_laid_by_somebody_else_is_refused(tmp_path):
    folder = DataFolder(tmp_path / "with a space")
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.socket_folder.symlink_to(tmp_path / "elsewhere")
    try:
        with pytest.raises(FolderUnusable, match="belongs to somebody else"):
            folder.create()
    finally:
        folder.socket_folder.unlink()


# --- Valkey, PostgreSQL, page


def test_valkey_answers_and_keeps_what_it_was_given(tmp_path):
    folder = DataFolder(tmp_path / "data")
    folder.create()
    command = valkey.server_command(valkey.find_binary(), folder.valkey, folder.redis_socket)
    for round_ in ("first", "second"):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            wait_until_answers(folder.redis_url)
            said = ask(folder.redis_socket, b"SET kept 1\r\n" if round_ == "first" else b"GET kept\r\n")
            process.terminate()
    assert said == b"$1\r\n1\r\n"


def wait_until_answers(url):
    deadline = time.monotonic() + 20
    while not asyncio.run(valkey.answers(url)):
        assert time.monotonic() < deadline


def ask(path, request):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(request)
        return connection.recv(100)


def test_valkey_with_a_password_answers_only_to_it(tmp_path):
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    command = [
        str(valkey.find_binary()),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--requirepass",
        "p%",
    ]
    with subprocess.Popen([*command, "--dir", str(tmp_path)], stdout=subprocess.DEVNULL) as process:
        wait_until_answers(f"redis://:p%25@127.0.0.1:{port}/0")
        assert not asyncio.run(valkey.answers(f"redis://:wrong@127.0.0.1:{port}/0"))
        assert not asyncio.run(valkey.answers(f"redis://127.0.0.1:{port}/0"))
        process.terminate()


def test_valkey_that_is_not_there_does_not_answer(tmp_path):
    assert not asyncio.run(valkey.answers(f"unix://{tmp_path}/none.sock"))


def test_no_valkey_names_the_package_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(valkey.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(valkey.NoValkey, match="apt install redis-server"):
        valkey.find_binary()


def test_postgres_leaves_nothing_behind():
    server = Postgres()
    try:
        server.start()
        assert server.url.endswith("/timelapser")
        folder = Path(server.url.removeprefix("postgresql://postgres@/").rpartition("/")[0])
        assert folder.is_dir()
    finally:
        server.stop()
    assert not folder.exists()


def test_port_in_use_is_said_in_one_sentence():
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        port = taker.getsockname()[1]
        with pytest.raises(
            page.PortUnusable, match=rf"^Port {port} on 127.0.0.1 cannot be used \(Address already"
        ):
            page.check_port("127.0.0.1", port)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("no.such.host.invalid", 8000)])
def test_address_that_cannot_be_had_is_refused(host, port):
    with pytest.raises(page.PortUnusable):
        page.check_port(host, port)


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:80/"), ("0.0.0.0", "http://127.0.0.1:80/"), ("::", "http://[::1]:80/")],
)
def test_address_of_page_can_be_opened_on_this_machine(host, address):
    assert page.address_of(host, 80) == address


def test_browser_may_call_this_machine_by_its_name_when_it_listens_on_all():
    assert page.own_names("127.0.0.1") == ["localhost", "127.0.0.1", "[::1]"]
    assert socket.gethostname() in page.own_names("0.0.0.0")
    assert page.own_names("10.1.2.3")[-1] == "10.1.2.3"


def test_addresses_of_the_demonstration_are_found_by_their_scheme():
    findings = Findings()
    assert findings.take_addresses(
        '{"rtsp": "rtsp://127.0.0.1:1/a", "more": {"http": "http://127.0.0.1:2/b"}}'
    )
    assert (findings.rtsp_address, findings.http_address) == ("rtsp://127.0.0.1:1/a", "http://127.0.0.1:2/b")
    assert not findings.take_addresses("a line of the log")


# --- `up` as a person starts it


def start_up(folder, *options):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIMELAPSER_")}
    return subprocess.Popen(
        [sys.executable, "manage.py", "up", "--data", str(folder), *options],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port():
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def test_up_does_not_import_django():
    code = "import sys, timelapser.embedded.up; exit(any(name.split('.')[0] == 'django' for name in sys.modules))"
    subprocess.run(python(code), cwd=PROJECT, check=True)


def test_up_with_a_port_in_use_says_so_and_leaves_nothing(tmp_path):
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        port = str(taker.getsockname()[1])
        with start_up(tmp_path / "data", "--port", port) as process:
            said = process.stdout.read()
    assert process.returncode == 1
    assert re.fullmatch(rf"Port {port} on 127.0.0.1 cannot be used .*\n", said)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("site", "given", "words"),
    [
        ("garden", {}, "TIMELAPSER_DATABASE_URL, TIMELAPSER_REDIS_URL, TIMELAPSER_SEALING_KEYS"),
        (
            "garden",
            {"TIMELAPSER_DATABASE_URL": "sqlite:///x"},
            "TIMELAPSER_REDIS_URL, TIMELAPSER_SEALING_KEYS",
        ),
        ("no such name", {}, "letters, digits"),
    ],
)
def test_up_for_a_site_says_what_is_missing(tmp_path, site, given, words):
    bare = {name: value for name, value in os.environ.items() if not name.startswith("TIMELAPSER_")}
    command = [sys.executable, "manage.py", "up", "--data", str(tmp_path), "--site", site]

    ended = subprocess.run(
        command, cwd=PROJECT, env=bare | given, capture_output=True, text=True, timeout=60, check=False
    )

    assert (ended.returncode, ended.stdout) == (1, "")
    assert words in ended.stderr


def test_up_in_a_folder_in_use_says_so(tmp_path):
    folder = DataFolder(tmp_path)
    descriptor = folder.lock()
    with start_up(tmp_path, "--port", str(free_port())) as process:
        said = process.stdout.read()
    os.close(descriptor)
    assert process.returncode == 1
    assert re.fullmatch(rf"Timelapser is already running on {tmp_path} \(process {os.getpid()}\); .*\n", said)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_up_brings_everything_back_and_stops_cleanly(tmp_path):
    folder, port = tmp_path / "data of mine", free_port()
    with start_up(folder, "--port", str(port), "--no-demo") as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "stop    Ctrl-C" in line:
                break
        assert any(re.match(r"  login   user admin, password \S+$", line) for line in lines), "".join(lines)
        children = children_of(process.pid)
        assert len(children) == 9  # the guard, valkey, web, beat and five pools
        for killed in sorted(children)[1:]:
            os.kill(killed, signal.SIGKILL)
        wait_until(
            lambda: len(children_of(process.pid)) == 9 and len(children_of(process.pid) - children) == 8
        )
        wait_until_page(port)
        family = descendants_of(process.pid)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
    assert process.returncode == 0, said
    assert said.endswith("Stopped.\n")
    assert "Traceback" not in said
    assert time.monotonic() - started < 10
    assert not [pid for pid in family if is_running(pid)]


def children_of(pid):
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in found if is_running(int(child))}


def descendants_of(pid):
    children = children_of(pid)
    return children.union(*(descendants_of(child) for child in children))


def wait_until_page(port):
    deadline = time.monotonic() + 60
    while not asyncio.run(page.answers("127.0.0.1", port)):
        assert time.monotonic() < deadline
