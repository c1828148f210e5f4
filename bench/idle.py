"""What the whole costs when nothing happens, and how long a newcomer waits for the first picture.

    python bench/idle.py [--seconds 30] [--only idle|clone]

Idle: `manage.py up` with and without the demonstration, in both profiles; memory is PSS, so that shared pages count
once; CPU is that of the whole tree. Clone: `git clone` of this repository's HEAD into an empty folder with an empty
HOME, `python3 go.py up`, until the database knows of the first picture, thumbnail and film.
"""

import argparse
import contextlib
import itertools
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from bench import processes

ROOT = pathlib.Path(__file__).resolve().parent.parent
WARM_UP_S = 20  # imports, migrations and the first ticks are not idle
MILESTONES = {
    "first picture": "SELECT count(*) FROM captures_capture WHERE state = 'stored'",
    "first thumbnail": "SELECT count(*) FROM captures_capture WHERE thumbnail <> ''",
    "first film": "SELECT count(*) FROM videos_video WHERE revision > 0",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--only", choices=("idle", "clone"))
    options = parser.parse_args()
    if options.only != "clone":
        print(
            "| profile | demonstration | processes | memory (PSS) | CPU of one core |\n|---|---|--:|--:|--:|"
        )
        details = [
            _idle(profile, options.seconds, has_demo=has_demo)
            for profile in ("standard", "small")
            for has_demo in (False, True)
        ]
        print(f"\n{details[0]}")
    if options.only != "idle":
        _clone()


def _idle(profile: str, seconds: float, *, has_demo: bool) -> str:
    """Prints one line; gives the table of the tree's processes."""
    arguments = ["--profile", profile, *([] if has_demo else ["--no-demo"])]
    with tempfile.TemporaryDirectory(prefix="tlb-") as data:
        command = [sys.executable, "manage.py", "up", "--data", data, *arguments]
        with _running(command, ROOT, dict(os.environ)) as (up, port):
            _wait(lambda: _is_up(port), 120)
            time.sleep(WARM_UP_S)
            before = processes.cpu_s(up)
            time.sleep(seconds)
            share = 100 * (processes.cpu_s(up) - before) / seconds
            memory = {pid: processes.pss_mb(pid) for pid in processes.tree(up)}
            lines = ["| process | PSS MB |", "|---|--:|"]
            for pid, size in sorted(memory.items(), key=lambda pair: -pair[1]):
                lines.append(f"| {_name(pid)} | {size:.0f} |")
    demonstration = "two cameras" if has_demo else "none"
    print(
        f"| {profile} | {demonstration} | {len(memory)} | {sum(memory.values()):.0f} MB | {share:.1f} % |",
        flush=True,
    )
    return "\n".join(lines)


def _name(pid: int) -> str:
    words = processes.command(pid).split()
    for before, word in itertools.pairwise(words):
        if before == "--hostname":
            return f"worker {word.partition('@')[0]}"
    known = ("uvicorn", "beat", "timelapser.demo", "valkey-server", "redis-server", "up")
    return next((name for name in known if any(name in word for word in words)), " ".join(words)[:40])


def _clone() -> None:
    with tempfile.TemporaryDirectory(prefix="tlb-") as name:
        base, home = pathlib.Path(name), pathlib.Path(name) / "home"
        home.mkdir()
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TIMELAPSER_")}
        environment |= {"HOME": str(home)}
        for key in ("VIRTUAL_ENV", "PYTHONPATH", "XDG_CACHE_HOME", "UV_CACHE_DIR"):
            environment.pop(key, None)
        python = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin:" + os.environ["PATH"])
        started = time.monotonic()
        subprocess.run(["git", "clone", "-q", str(ROOT), str(base / "clone")], check=True)
        print(
            f"\n| seconds after `git clone` began | |\n|---|--:|\n| cloned | {time.monotonic() - started:.1f} |"
        )
        command = [str(python), "go.py", "up", "--data", str(base / "data")]
        with _running(command, base / "clone", environment) as (_, port):
            _wait(lambda: _is_up(port), 300)
            print(f"| page answers | {time.monotonic() - started:.1f} |", flush=True)
            for milestone, query in MILESTONES.items():
                _wait(lambda query=query: _count(base / "data" / "timelapser.sqlite3", query), 300)
                print(f"| {milestone} | {time.monotonic() - started:.1f} |", flush=True)


@contextlib.contextmanager
def _running(
    command: list[str], folder: pathlib.Path, environment: dict[str, str]
) -> Iterator[tuple[int, int]]:
    """Gives the process id and the port; stops it as Ctrl-C does."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process.pid, port
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode("utf-8", "replace")[-3000:])
            raise
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def _count(database: pathlib.Path, query: str) -> int:
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)
        ) as connection:
            return connection.execute(query).fetchone()[0]
    except sqlite3.OperationalError:  # not made yet
        return 0


def _wait(condition: Callable[[], object], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {within_s:.0f} s")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
