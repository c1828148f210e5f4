"""Documentation that is not true is a defect: what exists is in docs/, what is in docs/ exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from media_jobs.events import EventType
from timelapser.queues import QUEUES
from timelapser.schedule import ENTRIES

ROOT = Path(__file__).resolve().parents[1]
DOCS = {path.name: path.read_text() for path in (ROOT / "docs").glob("*.md")}
PYTHON = [
    path
    for folder in ("timelapser", "cameras", "captures", "videos", "media_jobs", "tests", "bench")
    for path in (ROOT / folder).rglob("*.py")
]


def test_every_environment_variable_is_described_and_every_described_one_exists():
    name = re.compile(r"TIMELAPSER_[A-Z_]+[A-Z]")
    used = {found.removesuffix("_FILE") for path in PYTHON for found in name.findall(path.read_text())} - {
        "TIMELAPSER_RUN"
    }
    described = {found.removesuffix("_FILE") for found in name.findall(DOCS["configuration.md"])}
    assert used - described == set()
    assert described - used == set()


def test_every_queue_and_every_entry_is_described():
    text = DOCS["configuration.md"]
    for queue in QUEUES:
        assert f"`{queue}`" in text
    for entry in ENTRIES:
        assert f"| `{entry.task}` | {entry.every_s} s |" in text


def test_every_event_is_described_and_every_described_one_exists():
    described = set(re.findall(r"^\| `(\w+)`", DOCS["events.md"], re.MULTILINE))
    assert described == {event.value for event in EventType}


def test_every_command_is_described():
    commands = {path.stem for path in ROOT.glob("*/management/commands/*.py") if path.stem != "__init__"}
    for command in commands:
        assert f"`manage.py {command}" in DOCS["configuration.md"]


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")], ids=lambda path: path.name
)
def test_links_lead_somewhere(path: Path):
    for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_decisions_are_short_and_say_what_would_reopen_them():
    for path in (ROOT / "docs" / "adr").glob("*.md"):
        text = path.read_text()
        assert 5 <= len(text.splitlines()) <= 40, path.name
        assert "Reopen it" in text, path.name
