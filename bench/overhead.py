"""From "asked" to "sent" and to "started": a recorded job against Celery's bare apply_async, interleaved.

    python bench/overhead.py [--rounds 300] [--warm 30]

One broker, one PostgreSQL, one real worker with threads as the capture pool has them. "Asked" is the call (of
`lifecycle.record`, or of `apply_async`), "sent" its return: the message is in the broker, and the job's row and its
event are committed. "Started" is the first line of the work. All by one machine's monotonic clock. A round is one of
each, in turn, with a pause, so that the worker is idle. Then the same from the outside: what a person waits for.
"""

import argparse
import os
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "timelapser.settings"

from tests.servers import fresh_database
from tests.stack import Stack, running_stack, wait_for
from timelapser.queues import POOLS, worker_command

PAUSE_S = 0.03
QUEUE = "overhead"
# The worker's side: beside the project's own tasks one that is bare, and one kind of job. Both note when they begin.
WORKER = """
import sys, time
from pathlib import Path

import celery_app
from media_jobs.kinds import kind

notes = open(sys.argv.pop(1), "a", buffering=1)

@celery_app.app.task(name="bench.bare")
def bare(number):
    notes.write(f"bare {number} {time.monotonic()}\\n")

def begin(running):
    notes.write(f"job {running.args['number']} {time.monotonic()}\\n")
    return {}

@celery_app.app.on_after_finalize.connect
def add(**_):
    kind("bench.job", limit_s=60)(begin)

celery_app.app.worker_main(sys.argv[1:])
"""
ASK = """
import time
from celery import current_app
from media_jobs import lifecycle
from media_jobs.kinds import kind

rounds, queue, pause_s = given
kind("bench.job", limit_s=60)(lambda running: {})

@current_app.task(name="bench.bare")
def bare(number):
    pass

def one_bare(number):
    bare.apply_async(args=[number], queue=queue)

def one_job(number):
    lifecycle.record(
        "bench.job", key=str(number), topic="camera.1", title="Bench", args={"number": number}, queue=queue,
        requested_by="bench", priority=0,
    )

answer = []
for number in range(rounds):
    for name, ask in (("bare", one_bare), ("job", one_job)):
        begun = time.monotonic()
        ask(number)
        answer.append([name, number, begun, time.monotonic()])
        time.sleep(pause_s)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--warm", type=int, default=30, help="first rounds, which are not counted")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="tlo-") as name,
        fresh_database(pathlib.Path(name)) as url,
        running_stack(url, without=("beat", "planner", "upkeep"), TIMELAPSER_SEGMENT_FRAMES="30") as stack,
    ):
        _interleaved(stack, options)
        _from_outside(stack)


def _interleaved(stack: Stack, options: argparse.Namespace) -> None:
    notes, script = stack.folder / "notes", stack.folder / "worker.py"
    script.write_text(WORKER)
    command = worker_command(POOLS["capture"])
    arguments = command[command.index("worker") :]
    arguments[arguments.index("--queues") + 1] = QUEUE
    arguments[arguments.index("--hostname") + 1] = "overhead@%h"
    stack.environment["PYTHONPATH"] = str(pathlib.Path(__file__).resolve().parent.parent)
    stack.start("overhead", [sys.executable, str(script), str(notes), *arguments])
    wait_for(
        lambda: stack.rows("SELECT 1 FROM media_jobs_pulse WHERE name LIKE 'overhead@%%'"),
        within_s=60,
        what="the worker to live",
    )
    rows = stack.python(ASK, options.rounds + options.warm, QUEUE, PAUSE_S)
    wait_for(lambda: len(notes.read_text().splitlines()) >= len(rows), within_s=30, what="all to have begun")
    started = {
        (name, int(number)): float(at) for name, number, at in map(str.split, notes.read_text().splitlines())
    }
    counted = [row for row in rows if row[1] >= options.warm]
    print(f"{options.rounds} rounds, one of each in turn; milliseconds.\n")
    print("| | p50 | p95 | p99 |\n|---|--:|--:|--:|")
    medians = {}
    for what in ("sent", "started"):
        for name, words in (("bare", "bare `apply_async`"), ("job", "recorded job")):
            values = sorted(
                1000 * ((sent if what == "sent" else started[kind, number]) - asked)
                for kind, number, asked, sent in counted
                if kind == name
            )
            medians[what, name] = _at(values, 0.5)
            print(
                f"| asked to {what}, {words} | "
                + " | ".join(f"{_at(values, p):.2f}" for p in (0.5, 0.95, 0.99))
                + " |"
            )
    print()
    for what in ("sent", "started"):
        job, bare = medians[what, "job"], medians[what, "bare"]
        print(
            f"- asked to {what}: {job:.2f} ms, {job / bare:.1f} × bare, {job - bare:.2f} ms more (goal: ≤ 5 ms, ≤ 3 ×)"
        )


def _from_outside(stack: Stack) -> None:
    """What the seeds promised: 50 ms for the asking, 500 ms for a thumbnail, 1 s for a picture, 2 s for a film."""
    print("\n| from outside, through the API | median of 9 | promised |\n|---|--:|--:|")
    with stack.logged_in() as api:
        camera = api.post(
            "/api/v1/cameras/", json={"name": "Bench", "kind": "http", "address": stack.http_address}
        ).json()["id"]
        timelapse = api.post("/api/v1/timelapses/", json={"camera": camera, "name": "Bench"}).json()["id"]
        api.post(f"/api/v1/timelapses/{timelapse}/start/").raise_for_status()
        answers, taken, thumbnails = [], [], []
        for _ in range(9):
            begun = time.monotonic()
            capture = api.post(f"/api/v1/cameras/{camera}/capture-now/").raise_for_status().json()
            answers.append(time.monotonic() - begun)
            row = _row(stack, "claimed_at IS NOT NULL", capture["id"])
            taken.append((row["claimed_at"] - row["slot"]).total_seconds())
            row = _row(stack, "thumbnail <> ''", capture["id"])
            thumbnails.append(_thumbnail_s(stack, capture["id"]))
        _outside("asking for a picture (request and answer)", answers, 0.05)
        _outside("trigger: asked to the camera being read", taken, 1)
        _outside("thumbnail: picture stored to thumbnail ready", thumbnails, 0.5)
        film = api.post(
            "/api/v1/videos/", json={"timelapse": timelapse, "recipe": 1, "name": "Bench"}
        ).json()["id"]
        begins = []
        for _ in range(9):
            api.post(f"/api/v1/cameras/{camera}/capture-now/").raise_for_status()
            time.sleep(0.5)
            job = api.post(f"/api/v1/videos/{film}/render/").raise_for_status().json()["id"]
            seen = wait_for(
                lambda job=job: stack.rows(
                    "SELECT extract(epoch FROM min(e.created_at) - min(j.requested_at)) AS s"
                    " FROM media_jobs_mediajob j JOIN media_jobs_event e ON e.payload->>'id' = j.id::text"
                    " WHERE j.id = %s AND j.state = 'done' AND e.type = 'job_started' HAVING count(*) > 0",
                    job,
                ),
                within_s=60,
                what="the film",
                every_s=0.02,
            )
            begins.append(float(seen[0]["s"]))
        _outside("film by hand: asked to its work having begun", begins, 2)


def _row(stack: Stack, condition: str, capture: int) -> dict:
    sql = f"SELECT * FROM captures_capture WHERE id = %s AND {condition}"  # noqa: S608 - the bench's own words
    return wait_for(lambda: stack.rows(sql, capture), within_s=30, what=condition, every_s=0.01)[0]


def _thumbnail_s(stack: Stack, capture: int) -> float:
    rows = stack.rows(
        "SELECT extract(epoch FROM finished_at - requested_at) AS s FROM media_jobs_mediajob WHERE key = %s",
        f"capture.{capture}",
    )
    return float(rows[0]["s"] or 0)


def _outside(words: str, seconds: list[float], promised_s: float) -> None:
    print(f"| {words} | {1000 * _at(sorted(seconds), 0.5):.0f} ms | {1000 * promised_s:.0f} ms |")


def _at(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


if __name__ == "__main__":
    main()
