"""Broker, database, disk and memory fail in turn: pictures come back by themselves, and every slot is explained.

Seconds of outage each; TIMELAPSER_OUTAGE_S=600 makes them the ten minutes of the promise (see docs/chaos.md).
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.chaos.outages import LATE, OUTAGES, end_all, look_back, pass_through
from tests.chaos.rooms import Room, RoomRefused
from tests.chaos.verdict import judge
from tests.evidence import unfinished_files
from tests.stack import is_ready, running_stack, wait_for

OUTAGE_S = float(os.environ.get("TIMELAPSER_OUTAGE_S", "3"))
pytestmark = [pytest.mark.e2e, pytest.mark.harm, pytest.mark.timeout(300 + len(OUTAGES) * (OUTAGE_S + 60))]

# Away for a second, some to start again, and a clock of its own that goes round: idle, all were back in 4 s.
BACK_WITHIN_S = 30
SETTLED_WITHIN_S = (
    180  # a lost job is found when its lease has run out, a full disk is tried again after a minute
)
SETTINGS = {
    "TIMELAPSER_MIN_FREE_MB": "0",  # so that the kernel says that the disk is full, and not our own reserve
    "TIMELAPSER_SEGMENT_FRAMES": "20",
}


class Passed:
    """What remains when all outages are over and everything has come to rest."""

    def __init__(self, stack, seen, ready, verdict):
        self.stack = stack
        self.ready = ready  # what /health/ready said in the end
        self.verdict = verdict
        self.seen = {found.outage.name: found for found in seen}


@pytest.fixture(scope="module")
def passed():
    folder = Path(tempfile.mkdtemp(prefix="tls-"))
    media = folder / "media"
    media.mkdir()
    outages = list(OUTAGES)
    room = None
    try:
        room = Room("mount")
        room.run("mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(media))
    except RoomRefused:  # then all but the full disk
        outages = [outage for outage in outages if outage.name != "disk full"]
    with running_stack(None, room=room, folder=folder, **SETTINGS) as stack:
        timelapses = stack.add_timelapses(
            [("http", stack.http_address, "Lakeside"), ("rtsp", stack.rtsp_address, "Harbour")],
            seconds=86_400,
        )
        seen = pass_through(stack, timelapses, outages, seconds=OUTAGE_S)
        with suppress(AssertionError):  # the test says so
            wait_for(lambda: is_ready(stack), within_s=60, what="everything to be ready", every_s=0.5)
        ready = httpx.get(f"{stack.url}/health/ready", timeout=10).json()
        end_all(stack, timelapses, within_s=SETTLED_WITHIN_S)
        stack.restart(
            "video"
        )  # a parent that lived on when its child was killed clears up when it is started anew
        wait_for(lambda: not unfinished_files(stack), within_s=60, what="leftovers to be cleared")
        for found in seen:
            look_back(stack, timelapses, found)
        yield Passed(stack, seen, ready, judge(stack, timelapses))
    if room:
        room.close()


@pytest.fixture(params=OUTAGES, ids=lambda outage: outage.name.replace(" ", "-"))
def seen(request, passed):
    if request.param.name not in passed.seen:
        pytest.skip("no file system of its own for the media folder: mount namespaces are not permitted here")
    return passed.seen[request.param.name]


def test_pictures_come_back_by_themselves(seen):
    assert seen.back_after_s is not None
    assert seen.back_after_s < BACK_WITHIN_S


def test_every_second_around_the_outage_has_one_row_and_a_reason(seen):
    assert seen.faults == []
    assert seen.rows == seen.owed > OUTAGE_S
    assert sum(seen.states.values()) == seen.rows


def test_reasons_blame_what_failed(seen):
    assert set(seen.reasons) <= seen.outage.reasons | LATE


@pytest.mark.parametrize("name", ["broker unreachable", "database unreachable"])
def test_seconds_in_which_nothing_was_planned_are_said_to_be_so(passed, name):
    assert passed.seen[name].reasons["scheduler_was_down"] + passed.seen[name].reasons["broker_away"] > 0


def test_disk_that_was_full_is_named(passed):
    if "disk full" not in passed.seen:
        pytest.skip("no file system of its own for the media folder: mount namespaces are not permitted here")
    assert passed.seen["disk full"].reasons["disk_full"] > 0


def test_all_are_ready_again(passed):
    assert set(passed.ready["codes"]) <= {"storage_trouble"}  # the disk was full a moment ago


def test_nothing_is_lost_doubled_or_left_over(passed):
    assert passed.verdict.is_clean, passed.verdict.table()


def test_ledger_is_found_whole_by_its_own_check(passed):
    assert "The ledger is whole." in passed.stack.manage("check_ledger")
