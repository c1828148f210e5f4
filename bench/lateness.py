"""How late a thousand timelapses are: the planner's sending, and the beginning of the reading.

    python bench/lateness.py [--timelapses 1000] [--interval 60] [--seconds 90]

Beat, planner, capture and upkeep worker as in production on PostgreSQL and Valkey; the cameras are files, so that
what is measured is the clock. Beside it, at the same instants on the same machine, the limit: a bare loop that sleeps
until each instant and asks the broker for one PING.
"""

import argparse
import os
import pathlib
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "timelapser.settings"

import cv2
import numpy as np
import redis

from bench import processes
from tests.servers import fresh_database
from tests.stack import Stack, running_stack

SET_UP = """
import os
from cameras.models import Camera
from captures import campaign
from captures.models import Timelapse

folder, count, interval_s = given
cameras = [Camera(name=f"Camera {n:05d}", kind="files", address=f"{folder}/{n:05d}.jpg") for n in range(count)]
Camera.objects.bulk_create(cameras)
for camera in cameras:
    timelapse = Timelapse.objects.create(camera=camera, name=camera.name, interval_s=interval_s)
    campaign.start(timelapse, by="bench")
"""
SETTLE_S = 15  # the first tick after a thousand starts is not the measured one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--timelapses", type=int, default=1000)
    parser.add_argument("--interval", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=90)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tlb-") as name, fresh_database(pathlib.Path(name)) as url:
        folder = _fill(pathlib.Path(name), options.timelapses)
        left_out = ("web", "thumbnail", "video")
        environment = {"TIMELAPSER_CAMERA_FOLDERS": str(folder)}
        with running_stack(url, has_demo=False, without=left_out, **environment) as stack:
            stack.python(SET_UP, str(folder), options.timelapses, options.interval)
            time.sleep(SETTLE_S)
            _measure(stack, options)


def _fill(base: pathlib.Path, count: int) -> pathlib.Path:
    """One small picture under as many names as there are cameras."""
    folder = base / "pictures"
    folder.mkdir()
    noise = np.random.default_rng(1).integers(0, 255, (36, 64, 3), np.uint8)
    picture = cv2.resize(noise, (640, 360), interpolation=cv2.INTER_CUBIC)
    (folder / "00000.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    for number in range(1, count):
        os.link(folder / "00000.jpg", folder / f"{number:05d}.jpg")
    return folder


def _measure(stack: Stack, options: argparse.Namespace) -> None:
    (now,) = stack.rows("SELECT clock_timestamp() AS at")
    start = now["at"].timestamp()
    roots = {name: stack.pid(name) for name in ("beat", "planner", "capture", "upkeep", "broker")}
    roots["database"] = _postmaster()
    before = {name: processes.cpu_s(pid) for name, pid in roots.items()}
    limit: list[float] = []
    bare = threading.Thread(target=_bare_loop, args=(stack, start, options, limit))
    bare.start()
    bare.join()
    spent = {name: processes.cpu_s(pid) - before[name] for name, pid in roots.items()}
    time.sleep(31)  # until the last grace has passed and the sweep has been
    rows = stack.rows(
        "SELECT slot, state, reason, lateness_ms, extract(epoch FROM sent_at - slot) * 1000 AS sent_ms,"
        " extract(epoch FROM taken_at - slot) * 1000 AS taken_ms"
        " FROM captures_capture WHERE slot >= to_timestamp(%s) AND slot < to_timestamp(%s)",
        start,
        start + options.seconds,
    )
    stored = [row for row in rows if row["state"] == "stored"]
    print(f"{options.timelapses} timelapses, one slot in {options.interval} s each, {options.seconds} s:")
    print(f"{len(rows)} slots owed, {len(stored)} stored, {len(rows) - len(stored)} not.\n")
    for reason in sorted({row["reason"] for row in rows} - {""}):
        print(f"- {reason}: {sum(row['reason'] == reason for row in rows)}")
    print("| ms after the slot | p50 | p95 | p99 | max |\n|---|--:|--:|--:|--:|")
    _line("limit: bare loop, sleep and one PING", limit)
    _line("planner begins to send", [float(row["sent_ms"]) for row in rows if row["sent_ms"] is not None])
    _line("reading begins", [float(row["lateness_ms"]) for row in stored])
    _line("picture read", [float(row["taken_ms"]) for row in stored])
    print("\n| CPU | seconds | of one core | ms a slot |\n|---|--:|--:|--:|")
    for name, seconds in spent.items():
        share, each = 100 * seconds / options.seconds, 1000 * seconds / max(1, len(rows))
        print(f"| {name} | {seconds:.1f} | {share:.1f} % | {each:.2f} |")


def _bare_loop(stack: Stack, start: float, options: argparse.Namespace, found: list[float]) -> None:
    broker = redis.Redis(unix_socket_path=str(stack.folder / "redis.sock"))
    broker.ping()
    step = options.interval / options.timelapses
    for number in range(int(options.seconds / step)):
        instant = start + number * step
        time.sleep(max(0.0, instant - time.time()))
        broker.ping()
        found.append((time.time() - instant) * 1000)
    broker.close()


def _postmaster() -> int:
    """The database server that `tests.servers` started for this process."""
    mine = processes.tree(os.getpid())
    return next(pid for pid in mine if processes.command(pid).split(" ")[0].endswith("/postgres"))


def _line(name: str, values: list[float]) -> None:
    values = sorted(values)
    if not values:
        print(f"| {name} | – | – | – | – |")
        return
    points = [values[min(len(values) - 1, int(len(values) * share))] for share in (0.5, 0.95, 0.99, 1)]
    print(f"| {name} | " + " | ".join(f"{point:.1f}" for point in points) + " |")


if __name__ == "__main__":
    main()
