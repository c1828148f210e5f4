"""How late timelapses are: 100, 1,000 and 10,000 at 60 s, idle and with every render slot busy, against the peer.

    python bench/lateness.py [--timelapses 100 1000 10000] [--interval 60] [--seconds 20] [--pictures 1000]

Ours is beat, `captures.plan` and a planner; the peer is plain django-celery-beat with one PeriodicTask for each
timelapse. Both run as in production on PostgreSQL and Valkey, one after the other for each number, and their messages
are taken from the queue by the same bare reader, which notes the instant: so what is measured is the clock, without the
work behind it. Up to `--pictures` timelapses ours also runs with the capture workers that read a file each and keep it.
The limit is a bare loop that sleeps until each instant and asks the broker for one PING.

A render slot is busy with the encoder as the video worker runs it, niced.
"""

import argparse
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "timelapser.settings"

import cv2
import numpy as np
import redis

from bench import processes
from tests.servers import fresh_database
from tests.stack import Stack, running_stack
from timelapser.embedded.up import beat_command
from timelapser.queues import POOLS, worker_command

WORKERS = tuple(POOLS)
SETTLE_S = 15
SETTLE_EACH_S = 0.005  # what was owed while they were started is written first
GRACE_S = 31
PAUSE_S = 12  # between the peer's two lines: the encoders start, the reader ends

OURS = """
from cameras.models import Camera
from captures import campaign
from captures.intervalometer import every
from captures.models import Timelapse

folder, first, end, interval_s = given
numbers = range(first, end)
cameras = [Camera(name=f"Camera {n:05d}", kind="files", address=f"{folder}/{n:05d}.jpg") for n in numbers]
Camera.objects.bulk_create(cameras)
for camera in cameras:
    timelapse = Timelapse.objects.create(camera=camera, name=camera.name, plan=every(interval_s))
    campaign.start(timelapse, by="bench")
"""
# As an application without a planner would do it: a row for each, spread over the interval by their last runs.
PEERS = """
from datetime import datetime, timedelta, UTC
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

count, interval_s, start = given
PeriodicTask.objects.all().delete()
every, _ = IntervalSchedule.objects.get_or_create(every=interval_s, period="seconds")
begin = datetime.fromtimestamp(start, UTC) - timedelta(seconds=interval_s)
PeriodicTask.objects.bulk_create(
    PeriodicTask(
        name=f"timelapse {n}", task="captures.take", queue="capture", args=f"[{n}]", interval=every,
        last_run_at=begin + timedelta(seconds=interval_s * n / count),
    )
    for n in range(count)
)
PeriodicTasks.update_changed()
"""
RENDERS = """
import sys, pathlib, cv2, numpy
from videos.encoding.look import Look
from videos.encoding.segments import encode_segment
noise = [numpy.random.default_rng(n).integers(0, 255, (1080, 1920, 3), numpy.uint8) for n in range(8)]
pictures = [cv2.imencode(".jpg", picture)[1].tobytes() for picture in noise]
while True:
    frames = [lambda picture=picture: picture for picture in pictures] * 15
    encode_segment(frames, Look(1920, 1080, 25), pathlib.Path(sys.argv[1]),
                   on_progress=lambda n: None, should_stop=lambda: False, time_limit_s=3600)
"""


@dataclass(slots=True)
class Found:
    """What one run gave: milliseconds after the slots, CPU seconds by process, and what was owed."""

    owed: int
    arrived: list[float] = field(default_factory=list)
    shots: int = 0  # messages in all, where they are more than those that were owed
    cpu_s: dict[str, float] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--timelapses", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--interval", type=int, default=60)
    parser.add_argument(
        "--seconds", type=int, default=20, help="of each line; twice, and a pause, fit an interval"
    )
    parser.add_argument("--pictures", type=int, default=1000, help="up to so many, pictures are really taken")
    options = parser.parse_args()
    if 2 * options.seconds + PAUSE_S > options.interval:
        parser.error("Two runs and the pause between them must fit into one interval.")
    print(f"One slot in {options.interval} s each, {options.seconds} s for each line; ms after the slot:\n")
    print("| timelapses | renders | clock | owed | came | p50 | p95 | p99 | max | CPU ms a shot |")
    print("|--:|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for count in options.timelapses:
        runs = {
            "limit: bare loop, sleep and one PING": bare_loop(count, options),
            "**ours**, message at a worker": run_ours(count, options),
            "a PeriodicTask each, message at a worker": run_peer(count, options),
        }
        if count <= options.pictures:
            runs["**ours**, reading begins"] = run_with_pictures(count, options)
        for number, renders in enumerate(("none", "every slot")):
            for name, found in runs.items():
                show(count, renders, name, found[number])


def run_ours(count: int, options: argparse.Namespace) -> list[Found]:
    """Beat and planner; the messages are taken by the bare reader. Idle, then with every render slot busy."""
    found = []
    with stack_of(count) as (stack, folder):
        start_all(stack, folder, count, options.interval)
        stack.start("planner", worker_command(POOLS["planner"]))
        stack.start("beat", beat_command())
        read_queue(stack, SETTLE_S + count * SETTLE_EACH_S, settle=True)
        for is_busy in (False, True):
            with busy_slots(is_busy=is_busy):
                read_queue(stack, 1, settle=True)
                start, before = time.time(), cpu_of(stack, "beat", "planner")
                arrivals = read_queue(stack, options.seconds, settle=True)
                cpu_s = cpu_of(stack, "beat", "planner", since=before)
            slots = slots_of(stack, start, options.seconds)
            lateness = [(arrivals[pk] - slot) * 1000 for pk, slot in slots.items() if pk in arrivals]
            found.append(Found(len(slots), lateness, shots=len(arrivals), cpu_s=cpu_s))
    return found


def run_with_pictures(count: int, options: argparse.Namespace) -> list[Found]:
    """The same with the workers that take the pictures and look after the ledger."""
    spans = []
    with stack_of(count) as (stack, folder):
        start_all(stack, folder, count, options.interval)
        for name in ("planner", "capture", "upkeep"):
            stack.start(name, worker_command(POOLS[name]))
        stack.start("beat", beat_command())
        time.sleep(SETTLE_S + count * SETTLE_EACH_S)
        for is_busy in (False, True):
            with busy_slots(is_busy=is_busy):
                start, before = time.time(), cpu_of(stack, "beat", "planner")
                time.sleep(options.seconds)
                spans.append((start, cpu_of(stack, "beat", "planner", since=before)))
        time.sleep(GRACE_S)
        return [_read(stack, start, options.seconds, cpu_s) for start, cpu_s in spans]


def _read(stack: Stack, start: float, seconds: float, cpu_s: dict[str, float]) -> Found:
    rows = stack.rows(
        "SELECT state, lateness_ms FROM captures_capture WHERE slot >= to_timestamp(%s) AND slot < to_timestamp(%s)",
        start,
        start + seconds,
    )
    late = [float(row["lateness_ms"]) for row in rows if row["state"] == "stored"]
    return Found(len(rows), late, cpu_s=cpu_s)


def start_all(stack: Stack, folder: pathlib.Path, count: int, interval_s: int) -> None:
    """`count` timelapses that run, a thousand at a time."""
    for first in range(0, count, 1000):
        stack.python(OURS, str(folder), first, min(first + 1000, count), interval_s)


def run_peer(count: int, options: argparse.Namespace) -> list[Found]:
    """Beat alone, which has a row for each timelapse. What comes after the line's end has not come."""
    found, step = [], options.interval / count
    with stack_of(count) as (stack, _):
        start = time.time() + 2 * SETTLE_S
        stack.python(PEERS, count, options.interval, start)
        stack.start("beat", beat_command())
        if start - time.time() < SETTLE_S / 2:
            raise SystemExit("The machine is too busy: beat was not ready before the first slot.")
        for begin, is_busy in ((0, False), (options.seconds + PAUSE_S, True)):
            with busy_slots(is_busy=is_busy):
                time.sleep(max(0.0, start + begin - time.time()))
                before = cpu_of(stack, "beat")
                arrivals = read_queue(stack, options.seconds)
                cpu_s = cpu_of(stack, "beat", since=before)
            owed = [n for n in range(count) if begin <= n * step < begin + options.seconds]
            lateness = [(arrivals[n] - start - n * step) * 1000 for n in owed if n in arrivals]
            found.append(Found(len(owed), lateness, shots=len(arrivals), cpu_s=cpu_s))
    return found


def bare_loop(count: int, options: argparse.Namespace) -> list[Found]:
    """The limit of the machine."""
    found = []
    with stack_of(1) as (stack, _):
        broker = broker_of(stack)
        broker.ping()
        for is_busy in (False, True):
            with busy_slots(is_busy=is_busy):
                step, start, late = options.interval / count, time.time() + 0.1, []
                for number in range(int(options.seconds / step)):
                    instant = start + number * step
                    time.sleep(max(0.0, instant - time.time()))
                    broker.ping()
                    late.append((time.time() - instant) * 1000)
            found.append(Found(len(late), late))
        broker.close()
    return found


@contextmanager
def stack_of(count: int) -> Iterator[tuple[Stack, pathlib.Path]]:
    """An empty database and a broker; the processes are started by the run."""
    with tempfile.TemporaryDirectory(prefix="tlb-") as name, fresh_database(pathlib.Path(name)) as url:
        folder = fill(pathlib.Path(name), count)
        environment = {"TIMELAPSER_CAMERA_FOLDERS": str(folder)}
        without = ("web", "beat", *WORKERS)
        with running_stack(url, has_demo=False, without=without, **environment) as stack:
            yield stack, folder


def fill(base: pathlib.Path, count: int) -> pathlib.Path:
    """One small picture under as many names as there are cameras."""
    folder = base / "pictures"
    folder.mkdir()
    noise = np.random.default_rng(1).integers(0, 255, (36, 64, 3), np.uint8)
    picture = cv2.resize(noise, (640, 360), interpolation=cv2.INTER_CUBIC)
    (folder / "00000.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    for number in range(1, count):
        os.link(folder / "00000.jpg", folder / f"{number:05d}.jpg")
    return folder


def read_queue(stack: Stack, seconds: float, *, settle: bool = False) -> dict[int, float]:
    """Takes the messages of the capture queue for `seconds` and gives the instant of each one's first arrival.

    With `settle` the rows are ended behind it in bulk, as workers would: else the sweep and the planner see them again.
    """
    broker, found, ended = broker_of(stack), {}, set()
    is_over = threading.Event()

    def settle_rows() -> None:
        while not is_over.wait(1.0):
            fresh = [pk for pk in list(found) if pk not in ended]
            ended.update(fresh)
            stack.rows(
                "UPDATE captures_capture SET state = 'failed', reason = 'bench' WHERE id = ANY(%s) RETURNING id",
                fresh,
            )

    settling = threading.Thread(target=settle_rows)
    if settle:
        settling.start()
    until = time.time() + seconds
    while (left := until + 2 - time.time()) > 0:
        message = broker.brpop(["capture"], timeout=max(0.1, left))
        if message is None:
            continue
        at = time.time()
        body = json.loads(base64.b64decode(json.loads(message[1])["body"]))
        found.setdefault(int(body[0][0]), at)
    is_over.set()
    if settle:
        settling.join()
    broker.close()
    return found


def slots_of(stack: Stack, start: float, seconds: float) -> dict[int, float]:
    rows = stack.rows(
        "SELECT id, extract(epoch FROM slot)::float AS slot FROM captures_capture"
        " WHERE slot >= to_timestamp(%s) AND slot < to_timestamp(%s)",
        start,
        start + seconds,
    )
    return {row["id"]: row["slot"] for row in rows}


def broker_of(stack: Stack) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(stack.folder / "redis.sock"))


def cpu_of(stack: Stack, *names: str, since: dict[str, float] | None = None) -> dict[str, float]:
    return {name: processes.cpu_s(stack.pid(name)) - (since or {}).get(name, 0.0) for name in names}


@contextmanager
def busy_slots(*, is_busy: bool) -> Iterator[None]:
    """As many renders as the video pool has slots, each encoding without end."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tlb-"))
    count = POOLS["video"].concurrency if is_busy else 0
    nice = str(POOLS["video"].nice)
    running = [
        subprocess.Popen(
            ["nice", "-n", nice, sys.executable, "-c", RENDERS, str(folder / f"{n}.mp4")],
            cwd=pathlib.Path(__file__).resolve().parent.parent,
            start_new_session=True,
        )
        for n in range(count)
    ]
    try:
        time.sleep(5 if count else 0)
        yield
    finally:
        for child in running:
            os.killpg(child.pid, 9)
            child.wait()
        shutil.rmtree(folder, ignore_errors=True)


def show(count: int, renders: str, name: str, found: Found) -> None:
    values = sorted(found.arrived)
    at = [min(len(values) - 1, int(len(values) * share)) for share in (0.5, 0.95, 0.99, 1)]
    points = [f"{values[position]:,.1f}" for position in at] if values else ["–"] * 4
    cpu = [
        f"{1000 * spent / max(1, found.shots or len(values)):.2f} {process}"
        for process, spent in found.cpu_s.items()
    ]
    cells = [
        f"{count:,}",
        renders,
        name,
        f"{found.owed:,}",
        f"{len(values):,}",
        *points,
        " + ".join(cpu) or "–",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
