"""What import-linter cannot say about the picture in docs/architecture.md."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("timelapser", "cameras", "captures", "videos", "media_jobs")
SOURCES = [
    path for app in OURS for path in sorted((ROOT / app).rglob("*.py")) if "migrations" not in path.parts
]
APPS = [path for path in SOURCES if path.relative_to(ROOT).parts[0] != "timelapser"]

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
VAGUE = {"utils", "helpers", "services", "managers", "common", "core", "misc"}
VAGUE_ENDINGS = re.compile(
    r"(Manager|Service|Helper|Handler|Processor|Pipeline|Orchestrator|Coordinator|Factory)$"
)

# Ways to put work into a queue, to delay it there, to wait or to run beside, under whatever name they are imported.
SENDING = {
    "delay",
    "apply_async",
    "send_task",
    "signature",
    "si",
    "chord",
    "chain",
    "basic_publish",
    "producers",
    "Producer",
}
TIMING = {"eta", "countdown"}
WAITING = {
    "sleep",
    "Thread",
    "Timer",
    "call_later",
    "call_at",
    "ThreadPoolExecutor",
    "ProcessPoolExecutor",
    "Process",
}
PERIODS = {
    "PeriodicTask",
    "IntervalSchedule",
    "CrontabSchedule",
    "crontab",
    "add_periodic_task",
    "beat_schedule",
}
MAY_SEND = "media_jobs/outbox.py"
# Who may wait or start a thread, and why.
MAY_WAIT = {
    "captures/dispatch.py": "the planner waits for each slot",
    "media_jobs/push.py": "one sender loop for each process",
    "media_jobs/relay.py": "the pace at which a client is told",
    "media_jobs/workers.py": "the sign of life of each worker",
    "media_jobs/heartbeat.py": "the sign of life of the work",
}
# Programs of their own, which know nothing of queues: the supervisor, and the demonstration's cameras.
PROGRAMS = ("timelapser/embedded/", "timelapser/demo/")
# Who knows beat's tables: hands the entries over, and shows them.
KNOW_PERIODS = {
    "timelapser/management/commands/sync_schedule.py",
    "timelapser/admin.py",
    "timelapser/entries.py",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def decorated_by(decorator: str) -> Counter[str]:
    """The names that the apps' tasks.py give with `decorator`."""
    calls = (
        node
        for path in APPS
        if path.name == "tasks.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == decorator
    )
    named = ([*call.args, *(word.value for word in call.keywords if word.arg == "name")] for call in calls)
    return Counter(values[0].value for values in named)


def test_every_task_has_a_unique_name_and_a_queue():
    from celery_app import app
    from timelapser.queues import QUEUE_OF_KIND, QUEUE_OF_TASK, QUEUES

    app.loader.import_default_modules()
    named = decorated_by("shared_task")
    # Which queue a message of "media_jobs.work" wakes is its argument.
    tasks = {*QUEUE_OF_TASK, "media_jobs.work"}
    assert set(named) == tasks
    assert set(named.values()) == {1}
    assert {task for task in app.tasks if not task.startswith("celery.")} == tasks
    assert {*QUEUE_OF_TASK.values(), *QUEUE_OF_KIND.values()} == set(QUEUES)


def test_every_kind_of_job_has_a_unique_name_a_queue_and_no_messages_of_its_own():
    from timelapser.queues import QUEUE_OF_KIND, QUEUE_OF_TASK

    named = decorated_by("kind")
    assert set(named) == set(QUEUE_OF_KIND)
    assert set(named.values()) == {1}
    assert not set(named) & set(QUEUE_OF_TASK)


def test_every_entry_of_the_clock_is_a_task_and_expires_before_it_recurs():
    from timelapser.queues import QUEUE_OF_TASK
    from timelapser.schedule import ENTRIES

    assert {entry.task for entry in ENTRIES} <= set(QUEUE_OF_TASK)
    assert all(entry.expires_s < entry.every_s for entry in ENTRIES if entry.every_s > 1)


def test_every_queue_has_exactly_one_pool():
    from timelapser.queues import POOLS, QUEUES, SMALL_POOLS

    for pools in (POOLS, SMALL_POOLS):
        served = Counter(queue for pool in pools.values() for queue in pool.queues)
        assert served == Counter(QUEUES)


@pytest.mark.parametrize("path", [*SOURCES, ROOT / "celery_app.py"], ids=name_of)
def test_only_the_outbox_sends_and_nobody_else_keeps_time(path: Path):
    assert offences(path.read_text(), name_of(path)) == []


def offences(source: str, name: str) -> list[str]:
    """What in the module `name` belongs to somebody else: sending, delaying, waiting, running beside, periods."""
    forbidden = set()
    if name != MAY_SEND:
        forbidden |= SENDING
    if name not in KNOW_PERIODS:
        forbidden |= PERIODS
    # The core reads cameras and runs ffmpeg: it waits for those, and decides no timing.
    is_core = "/sources/" in name or "/encoding/" in name
    if not (name in MAY_WAIT or is_core or name.startswith(PROGRAMS)):
        forbidden |= WAITING
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            found.append(node.attr)
        elif isinstance(node, ast.ImportFrom):
            found += [(node.module or "").partition(".")[0], *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            found += [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.Call):
            found += [f"{word.arg}=" for word in node.keywords if word.arg in TIMING]
            found += [value.value for value in node.args[1:2] if _is_called(node, "getattr", value)]
    return [word for word in found if word in forbidden or word.endswith("=")]


def _is_called(call: ast.Call, name: str, value: ast.expr) -> bool:
    return (
        getattr(call.func, "id", "") == name
        and isinstance(value, ast.Constant)
        and isinstance(value.value, str)
    )


@pytest.mark.parametrize(
    "source",
    [
        "from captures.tasks import take\ntake.delay(1)",
        "send = take.apply_async\nsend(args=[1])",
        "getattr(take, 'apply_async')(args=[1])",
        "app.send_task('captures.take', countdown=3)",
        "outbox.send('captures.take', 1, eta=moment)",
        "from time import sleep as rest\nrest(1)",
        "import threading\nthreading.Timer(1, work).start()",
        "from concurrent.futures import ThreadPoolExecutor",
        "asyncio.get_running_loop().call_later(1, work)",
        "app.conf.beat_schedule = {}",
        "from django_celery_beat.models import PeriodicTask",
        "from kombu.pools import producers",
    ],
)
def test_whoever_sends_waits_or_keeps_periods_is_found(source: str):
    assert offences(source, "captures/campaign.py")


def test_the_list_of_those_who_may_wait_is_no_longer_than_it_must_be():
    for name in MAY_WAIT:
        assert re.search(r"\b(sleep|Thread)\(", (ROOT / name).read_text()), (
            f"{name} waits for nothing any more"
        )


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_and_functions_stay_short_and_names_say_what_happens(path: Path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_MODULE
    assert path.stem not in VAGUE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            assert not VAGUE_ENDINGS.search(node.name), node.name
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("path", [path for path in SOURCES if path.stat().st_size], ids=name_of)
def test_every_module_says_in_a_line_what_happens_in_it(path: Path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring
    assert docstring.splitlines()[0].rstrip().endswith((".", "?", ":", "!"))


def test_suppressions_carry_their_reason():
    bare = [
        f"{name_of(path)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if (found := re.search(r"#\s*(noqa|type: ignore|pragma: no cover)\b", line))
        and not re.search(r"( - | # )\S+ \S+", line[found.end() :])
    ]
    assert bare == []
