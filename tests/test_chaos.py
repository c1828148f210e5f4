"""Twenty processes killed at random while three cameras owe a picture each second (see docs/chaos.md)."""

import secrets

import pytest

from tests.chaos.kills import SETTINGS as OF_THE_COURSE
from tests.chaos.kills import VICTIMS, Course, harm
from tests.chaos.outages import LATE
from tests.chaos.verdict import promised, taken_twice
from tests.stack import is_ready, running_stack, wait_for
from timelapser.queues import POOLS

pytestmark = [pytest.mark.e2e, pytest.mark.harm, pytest.mark.timeout(400)]

KILLS = 20
REASONS = LATE | {"scheduler_was_down", "broker_away", "worker_lost", "unexpected"}


@pytest.fixture(scope="module")
def survived():
    """(stack, course, outcome) after every kill, once all has come to rest again."""
    course = Course.drawn(seed=secrets.randbelow(10**6), kills=KILLS, every_s=1.8, timelapses=3)
    with running_stack(None, **OF_THE_COURSE) as stack:
        yield stack, course, harm(stack, course, quiet_within_s=150)


def test_each_was_killed_and_all_came_back(survived):
    stack, _, outcome = survived
    assert sum(outcome.killed.values()) == KILLS
    assert set(outcome.killed) == set(VICTIMS)
    wait_for(lambda: is_ready(stack), within_s=60, what="everything to be ready again", every_s=0.5)


def test_nothing_is_unexplained_doubled_lost_or_left_over(survived):
    _, course, outcome = survived
    assert outcome.quiet_after_s is not None, f"seed {course.seed}: {outcome.unsettled}"
    assert outcome.verdict.is_clean, f"seed {course.seed}\n{outcome.verdict.table()}"


def test_states_add_up_to_the_slots_owed_and_pictures_were_taken(survived):
    _, course, outcome = survived
    assert outcome.verdict.owed == course.timelapses * course.seconds
    assert sum(outcome.verdict.states.values()) == outcome.verdict.owed
    # Seven seconds before the first kill belong to all cameras; what comes later is chance.
    assert outcome.verdict.states["stored"] >= 3 * course.timelapses


def test_reasons_blame_the_outages_and_not_the_cameras(survived):
    _, _, outcome = survived
    assert {reason.partition(": ")[2] for reason in outcome.verdict.reasons} <= REASONS


def test_frames_without_a_row_are_no_more_than_the_killed_workers_had_in_hand(survived):
    # Killed between the file and its row: nobody can know of such a frame but who looks through the folder.
    _, course, outcome = survived
    in_hand = min(course.timelapses, POOLS["capture"].concurrency)
    most = (outcome.killed["capture"] + outcome.killed["database"]) * in_hand
    assert len(outcome.verdict.ownerless_frames) <= most, outcome.verdict.ownerless_frames


def test_the_same_seed_is_the_same_course():
    first, second, other = (Course.drawn(seed=seed, kills=30, every_s=2, timelapses=1) for seed in (7, 7, 8))
    assert first == second
    assert first != other
    assert len(first.steps) == 30
    assert {name for _, name in first.steps} == set(VICTIMS)


def test_a_picture_that_was_taken_twice_is_counted_though_its_row_is_one():
    folder = "cameras/1/timelapses/1/frames/2026-03-01/20260301T120000.000000Z"
    rows = [
        {"id": 7, "attempt": 1, "file": f"{folder}_7.jpg"},
        {"id": 8, "attempt": 2, "file": f"{folder}_8-2.jpg"},
    ]
    own = {row["file"] for row in rows} | {f"{folder}_8.jpg", folder.replace("frames", "smalls") + "_7.webp"}

    assert taken_twice(rows, own) == []
    (fault,) = taken_twice(rows, own | {f"{folder}_7-2.jpg"})
    assert fault == "capture 7: 2 pictures were taken in 1 tries"


def test_slots_are_counted_from_start_and_end_alone():
    from datetime import UTC, datetime, timedelta

    start = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
    at = [start + timedelta(seconds=0.25 + number) for number in range(5)]
    assert promised(start, start + timedelta(seconds=5), at[1:3]) == at
    assert promised(start, start + timedelta(seconds=5.2), at) == at
    assert len(promised(start, start + timedelta(seconds=5.3), at)) == 6
    assert len(promised(start, start + timedelta(seconds=5), [])) == 5
