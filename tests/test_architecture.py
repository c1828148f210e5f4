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

SENDING = {"delay", "apply_async", "send_task", "signature", "si", "chord", "chain"}
TIMING = {"eta", "countdown"}
# Who may wait or start a thread, and why.
MAY_WAIT = {
    "captures/dispatch.py": "the planner waits for each slot",
    "media_jobs/push.py": "one sender loop for each process",
    "media_jobs/workers.py": "the sign of life of each worker",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_task_has_a_unique_name_and_a_queue():
    from celery_app import app
    from timelapser.queues import QUEUE_OF_TASK, QUEUES

    app.loader.import_default_modules()
    named = Counter(
        keyword.value.value
        for path in APPS
        if path.name == "tasks.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "shared_task"
        for keyword in node.keywords
        if keyword.arg == "name"
    )
    assert set(named) == set(QUEUE_OF_TASK)
    assert set(named.values()) == {1}
    assert {task for task in app.tasks if not task.startswith("celery.")} == set(QUEUE_OF_TASK)
    assert set(QUEUE_OF_TASK.values()) == set(QUEUES)


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


@pytest.mark.parametrize("path", APPS, ids=name_of)
def test_only_the_outbox_sends_and_nobody_else_keeps_time(path: Path):
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in SENDING and name_of(path) != "media_jobs/outbox.py":
                found.append(called)
            if called in {"sleep", "Thread", "Timer"} and not may_wait(path):
                found.append(called)
            found += [keyword.arg for keyword in node.keywords if keyword.arg in TIMING]
    assert found == []


def may_wait(path: Path) -> bool:
    # The core reads cameras and runs ffmpeg: it waits for those, and decides no timing.
    return name_of(path) in MAY_WAIT or "sources" in path.parts or "encoding" in path.parts


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
