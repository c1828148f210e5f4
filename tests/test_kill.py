"""Sixty slots while each process in turn is killed with SIGKILL: nothing unexplained, nothing doubled, films whole."""

import signal

import pytest

from tests.evidence import (
    assert_film_is_the_captures,
    assert_ledger_is_whole,
    assert_pictures_are_whole,
    captures,
    files_in_media,
    files_of_rows,
    following_film,
    start_timelapse,
    unfinished_files,
    wait_until_settled,
)
from tests.servers import fresh_database
from tests.stack import is_ready, running_stack, wait_for
from timelapser.queues import POOLS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SLOTS = 60
VICTIMS = ("web", "beat", "planner", "capture", "thumbnail", "video", "upkeep", "broker")
SLOTS_APART = 7
# What an outage may leave behind a picture that is not there. "worker_lost" and "no_worker" name the workers, the
# others the clock and its broker; a camera that is well must not be blamed.
REASONS = {"scheduler_was_down", "not_sent_in_time", "no_worker", "worker_lost", "camera_busy"}


@pytest.fixture(scope="module")
def survived(tmp_path_factory):
    """(stack, timelapses) after every process was killed once and all has come to rest again."""
    with (
        fresh_database(tmp_path_factory.mktemp("kill")) as database_url,
        running_stack(database_url, TIMELAPSER_SEGMENT_FRAMES="20") as stack,
    ):
        if database_url.startswith("sqlite"):
            pytest.skip("end to end needs PostgreSQL")
        with stack.logged_in() as api:
            timelapses = [
                start_timelapse(api, kind=kind, address=address, name=kind, slots=SLOTS)
                for kind, address in (("rtsp", stack.rtsp_address), ("http", stack.http_address))
            ]
        (started,) = stack.rows("SELECT min(start_at) AS at FROM captures_timelapse")
        for number, victim in enumerate(VICTIMS, start=1):
            wait_for(
                lambda after_s=number * SLOTS_APART: stack.rows(
                    "SELECT clock_timestamp() >= %s + %s * interval '1 second' AS due", started["at"], after_s
                )[0]["due"],
                within_s=120,
                what=f"the time to kill {victim}",
            )
            if victim == "video":  # in the middle of its work
                wait_for(stack.ffmpegs, within_s=20, what="ffmpeg to begin", every_s=0.01)
            stack.kill(victim)
        wait_until_settled(stack, within_s=SLOTS + 90)
        yield stack, timelapses


def test_each_was_killed_and_all_came_back(survived):
    stack, _ = survived
    killed = {name for name, code in stack.endings if code == -signal.SIGKILL}
    assert killed == set(VICTIMS)
    wait_for(lambda: is_ready(stack), within_s=60, what="everything to be ready again", every_s=0.5)


def test_no_slot_is_unexplained_and_none_is_doubled(survived):
    stack, timelapses = survived
    for timelapse in timelapses:
        assert_ledger_is_whole(stack, timelapse, slots=SLOTS)


def test_reasons_blame_the_outages_and_not_the_cameras(survived):
    stack, timelapses = survived
    found = {row["reason"] for timelapse in timelapses for row in captures(stack, timelapse)} - {""}
    assert found <= REASONS


def test_each_outage_cost_only_its_own_time(survived):
    # Four of the eight processes are needed for a picture; away for a second and some to start again, each.
    stack, timelapses = survived
    for timelapse in timelapses:
        states = [row["state"] for row in captures(stack, timelapse)]
        assert states[:SLOTS_APART].count("stored") >= SLOTS_APART // 2
        assert states.count("stored") >= SLOTS // 4


def test_films_are_complete_and_equal_to_the_captures(survived):
    stack, timelapses = survived
    for timelapse in timelapses:
        assert_film_is_the_captures(stack, following_film(stack, timelapse))


def test_pictures_and_thumbnails_are_whole(survived):
    stack, timelapses = survived
    for timelapse in timelapses:
        assert_pictures_are_whole(stack, timelapse)


def test_no_job_is_stuck_or_failed(survived):
    stack, _ = survived
    assert stack.rows("SELECT task, state, error FROM media_jobs_mediajob WHERE state <> 'done'") == []


def test_no_file_in_the_making_and_no_ffmpeg_is_left(survived):
    stack, _ = survived
    wait_for(lambda: not stack.ffmpegs(), within_s=5, what="ffmpeg to end")
    wait_for(lambda: not unfinished_files(stack), within_s=15, what="leftovers to be cleared")
    assert files_of_rows(stack) - files_in_media(stack) == set()


def test_frames_without_a_row_are_no_more_than_the_killed_worker_had_in_hand(survived):
    # Killed between the file and its row: nobody can know of such a frame but who looks through the folder.
    stack, _ = survived
    ownerless = {name for name in files_in_media(stack) - files_of_rows(stack) if "/frames/" in name}
    assert len(ownerless) <= VICTIMS.count("capture") * POOLS["capture"].concurrency, sorted(ownerless)
