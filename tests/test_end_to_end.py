"""Sixty slots of two cameras at one second over the real thing: PostgreSQL, Redis, and a process for each role."""

import cv2
import pytest

from tests.evidence import (
    assert_film_is_the_captures,
    assert_ledger_is_whole,
    assert_pictures_are_whole,
    captures,
    clocks_of_film,
    clocks_of_pictures,
    created,
    files_in_media,
    files_of_rows,
    following_film,
    listening,
    start_timelapse,
    stored,
    unfinished_files,
    wait_until_settled,
)
from tests.servers import fresh_database
from tests.stack import running_stack, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SLOTS = 60
# A slot's grace is half a second here. Two idle cores keep 60 of 60, and 60 of 60 were kept at a load of ten; but a
# neighbour who takes the machine away for half a second costs a slot, so this test asks for half of them, and that
# nothing but lateness cost the others. How late it is on a machine of one's own is bench/lateness.py's to say.
FEWEST_STORED = SLOTS // 2
LATE = {"scheduler_was_down", "not_planned_in_time", "not_sent_in_time", "no_worker", "camera_busy"}
ACTIVE = ("queued", "running", "waiting")


class Run:
    """A run that has come to rest, and what two pages heard of it."""

    def __init__(self, stack, api, timelapses, listeners):
        self.stack = stack
        self.api = api
        self.timelapses = timelapses
        self.listeners = listeners


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with (
        fresh_database(tmp_path_factory.mktemp("run")) as database_url,
        running_stack(database_url, TIMELAPSER_SEGMENT_FRAMES="10") as stack,
        stack.logged_in() as api,
    ):
        if database_url.startswith("sqlite"):
            pytest.skip("end to end needs PostgreSQL")
        harbour = start_timelapse(api, kind="rtsp", address=stack.rtsp_address, name="Harbour", slots=SLOTS)
        lakeside = start_timelapse(api, kind="http", address=stack.http_address, name="Lakeside", slots=SLOTS)
        topics = [f"timelapse.{harbour}", f"timelapse.{lakeside}"]
        with listening(stack, topics) as first, listening(stack, topics) as second:
            wait_until_settled(stack, within_s=SLOTS + 90)
            yield Run(stack, api, (harbour, lakeside), [first, second])


def test_every_slot_owed_has_one_row_with_its_state_and_reason(run):
    for timelapse in run.timelapses:
        assert_ledger_is_whole(run.stack, timelapse, slots=SLOTS)


def test_ledger_is_found_whole_by_its_own_check(run):
    assert "The ledger is whole." in run.stack.manage("check_ledger")


def test_slots_have_their_pictures_and_only_lateness_costs_one(run):
    for timelapse in run.timelapses:
        rows = captures(run.stack, timelapse)
        gone = {str(row["slot"]): row["reason"] for row in rows if row["state"] != "stored"}
        assert set(gone.values()) <= LATE, gone
        assert len(rows) - len(gone) >= FEWEST_STORED, gone


def test_pictures_show_the_time_of_their_slots(run):
    for timelapse in run.timelapses:
        rows = stored(run.stack, timelapse)
        for row, clock in zip(rows, clocks_of_pictures(run.stack, rows), strict=True):
            # Painted before the slot by one key frame's distance at most, after it by grace and reading at most.
            assert -2 < (clock - row["slot"]).total_seconds() < 0.5 + 10


def test_film_shows_the_stored_captures_in_order_for_its_exact_time(run):
    for timelapse in run.timelapses:
        assert_film_is_the_captures(run.stack, following_film(run.stack, timelapse))


def test_thumbnails_and_smalls_are_there_and_decode(run):
    for timelapse in run.timelapses:
        assert_pictures_are_whole(run.stack, timelapse)


def test_two_clients_heard_of_every_picture_and_of_the_last_film(run):
    wanted = {row["id"] for timelapse in run.timelapses for row in stored(run.stack, timelapse)}
    for listener in run.listeners:
        wait_for(
            lambda hears=listener: {event["capture"] for event in hears.of_type("capture_stored")} == wanted,
            within_s=5,
            what="every capture_stored",
        )
        heard = [event["capture"] for event in listener.of_type("capture_stored")]
        assert len(heard) == len(wanted)
        for timelapse in run.timelapses:
            film = following_film(run.stack, timelapse)
            told = [event for event in listener.of_type("video_ready") if event["video"] == film["id"]]
            assert told[-1]["frame_count"] == film["frame_count"]
            assert told[-1]["revision"] == film["revision"]


def test_api_shows_the_same_counts(run):
    for timelapse in run.timelapses:
        rows = captures(run.stack, timelapse)
        count = len(stored(run.stack, timelapse))
        found = run.api.get(f"/api/v1/timelapses/{timelapse}/").json()
        assert (found["state"], found["image_count"]) == ("completed", count)
        assert found["camera_image_count"] == count
        page = run.api.get("/api/v1/captures/", params={"timelapse": timelapse, "state": "stored"}).json()
        assert page["count"] == count
        span = {"start": rows[0]["slot"].isoformat(), "end": (rows[-1]["slot"]).isoformat()}
        coverage = run.api.get(f"/api/v1/timelapses/{timelapse}/coverage/", params=span).json()
        before_last = [row["state"] for row in rows[:-1]]
        assert coverage["owed_total"] == SLOTS - 1
        assert coverage["stored"] == before_last.count("stored")
        assert coverage["pending"] == 0


def test_media_are_served_to_those_who_are_logged_in(run):
    (film,) = run.stack.rows("SELECT * FROM videos_video WHERE follows ORDER BY id LIMIT 1")
    found = run.api.get(f"/api/v1/videos/{film['id']}/").json()["film"]
    answer = run.api.get(found["play"])
    assert answer.content == (run.stack.media / film["file"]).read_bytes()
    part = run.api.get(found["play"], headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, answer.content[100:200])
    stranger = run.api.__class__(base_url=run.stack.url)
    with stranger:
        assert stranger.get(found["play"]).status_code in (302, 401, 403)


def test_every_file_has_its_row_and_every_row_its_file(run):
    wait_until_settled(run.stack, within_s=60)
    assert files_in_media(run.stack) == files_of_rows(run.stack)
    assert unfinished_files(run.stack) == []


def test_no_process_ended_and_no_ffmpeg_is_left(run):
    assert run.stack.endings == []
    wait_for(lambda: not run.stack.ffmpegs(), within_s=5, what="ffmpeg to end")


def test_film_by_hand_shows_progress_and_asked_for_twice_is_one_job(run):
    timelapse = run.timelapses[0]
    video = _new_film(run, "By hand", {"fps": 30, "codec": "h264", "quality": "high", "height": 480})
    first, second = (run.api.post(f"/api/v1/videos/{video}/render/") for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 200)
    job = first.json()["id"]
    assert second.json()["id"] == job

    seen = []
    wait_for(lambda: _look(run, job, seen) not in ACTIVE, within_s=90, what="the film", every_s=0.05)

    count = len(stored(run.stack, timelapse))
    assert (seen[-1]["state"], seen[-1]["percent"]) == ("done", 100)
    done = [look["progress_done"] for look in seen]
    assert done == sorted(done)
    under_way = [look for look in seen if 0 < look["progress_done"] < look["progress_total"]]
    assert under_way
    assert {look["progress_total"] for look in under_way} == {count}
    assert any(look["eta_s"] is not None and look["eta_s"] > 0 for look in under_way)
    (film,) = run.stack.rows("SELECT * FROM videos_video WHERE id = %s", video)
    assert film["state"] == "ready"
    clocks, _, _ = clocks_of_film(run.stack.media / film["file"])
    assert clocks == clocks_of_pictures(run.stack, stored(run.stack, timelapse))
    assert_film_is_the_captures(run.stack, film, fps=30)
    assert cv2.imread(str(run.stack.media / film["poster"])).shape[:2] == (film["height"], film["width"])


def test_cancel_ends_ffmpeg_and_leaves_no_part_of_a_file(run):
    video = _new_film(run, "Not to be", {"fps": 25, "codec": "h265", "quality": "high", "height": 0})
    job = run.api.post(f"/api/v1/videos/{video}/render/").json()["id"]
    wait_for(run.stack.ffmpegs, within_s=60, what="ffmpeg to begin", every_s=0.02)

    answer = run.api.post(f"/api/v1/videos/{video}/cancel/")

    assert answer.status_code == 200
    # Two seconds are promised, and measured without the neighbours of this test by tests/test_rendering.py.
    wait_for(lambda: not run.stack.ffmpegs(), within_s=6, what="ffmpeg to end", every_s=0.02)
    wait_for(
        lambda: run.api.get(f"/api/v1/jobs/{job}/").json()["state"] == "cancelled", within_s=10, what="it"
    )
    wait_until_settled(run.stack, within_s=30)
    assert run.api.get(f"/api/v1/videos/{video}/").json()["state"] == "cancelled"
    assert unfinished_files(run.stack) == []
    assert list(run.stack.media.glob(f"cameras/*/timelapses/*/videos/{video}/*")) == []


def _new_film(run, name, recipe):
    made = created(run.api.post("/api/v1/recipes/", json={"name": name, **recipe}))
    wish = {"timelapse": run.timelapses[0], "recipe": made["id"], "name": name}
    return created(run.api.post("/api/v1/videos/", json=wish))["id"]


def _look(run, job, seen):
    seen.append(run.api.get(f"/api/v1/jobs/{job}/").json())
    return seen[-1]["state"]
