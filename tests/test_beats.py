"""One authority, however many beats: three of them and three planners for a minute at 1 s slots, one beat killed.

And what can only be seen while everything runs: entries' runs, edited periods, a queue that loses its workers, a site.
"""

import itertools
import os
import signal
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.evidence import (
    assert_film_is_the_captures,
    assert_ledger_is_whole,
    captures,
    following_film,
    start_timelapse,
    wait_until_settled,
)
from tests.servers import fresh_database
from tests.stack import running_stack, wait_for
from timelapser.embedded.up import beat_command
from timelapser.queues import POOLS, site_pool, worker_command

pytestmark = [pytest.mark.e2e, pytest.mark.harm, pytest.mark.soak, pytest.mark.timeout(300)]

SLOTS = 60
TIMELAPSES = 4
BEAT_LIVES_S = 25


def extra_planner(number):
    return worker_command(replace(POOLS["planner"], name=f"planner{number}"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with fresh_database(tmp_path_factory.mktemp("beats")) as url:
        if url.startswith("sqlite"):
            pytest.skip("several beats need PostgreSQL")
        with running_stack(url, TIMELAPSER_SEGMENT_FRAMES="20") as stack:
            for number in (2, 3):
                stack.start(f"beat{number}", beat_command())
                stack.start(f"planner{number}", extra_planner(number))
            yield stack


@pytest.fixture(scope="module")
def survived(stack):
    """The timelapses after their minute, from whose middle on the first beat is dead."""
    with stack.logged_in() as api:
        timelapses = [
            start_timelapse(api, kind=kind, address=address, name=f"{kind} {number}", slots=SLOTS)
            for number in range(TIMELAPSES // 2)
            for kind, address in (("rtsp", stack.rtsp_address), ("http", stack.http_address))
        ]
    (started,) = stack.rows("SELECT max(start_at) AS at FROM captures_timelapse")
    wait_for(
        lambda: stack.rows(
            "SELECT clock_timestamp() >= %s + %s * interval '1 second' AS due", started["at"], BEAT_LIVES_S
        )[0]["due"],
        within_s=90,
        what="the middle of the minute",
    )
    with stack.down("beat"):
        wait_until_settled(stack, within_s=SLOTS + 90)
    return timelapses


def test_no_slot_is_lost_or_doubled(stack, survived):
    assert ("beat", -signal.SIGKILL) in stack.endings
    for timelapse in survived:
        assert_ledger_is_whole(stack, timelapse, slots=SLOTS)


def test_no_picture_is_taken_twice(stack, survived):
    rows = stack.rows("SELECT timelapse_id, slot, attempt FROM captures_capture WHERE state = 'stored'")
    assert {row["attempt"] for row in rows} == {1}
    assert len(list((stack.media / "cameras").rglob("frames/*/*.jpg"))) == len(rows)


def test_no_film_is_made_twice(stack, survived):
    for timelapse in survived:
        assert_film_is_the_captures(stack, following_film(stack, timelapse))
    renders = stack.rows(
        "SELECT key, started_at, finished_at FROM media_jobs_mediajob"
        " WHERE task = 'videos.render' ORDER BY key, started_at"
    )
    for before, after in itertools.pairwise(renders):
        assert before["key"] != after["key"] or before["finished_at"] <= after["started_at"]


def test_the_end_of_a_beat_leaves_no_gap_of_more_than_two_seconds(stack, survived):
    """Slots that nobody planned or sent in time; what a loaded machine's workers missed is another matter."""
    for timelapse in survived:
        unplanned = [
            row["slot"]
            for row in captures(stack, timelapse)
            if row["reason"] in ("scheduler_was_down", "not_planned_in_time", "not_sent_in_time")
        ]
        stretches = [
            len(list(group))
            for _, group in itertools.groupby(
                enumerate(unplanned), key=lambda pair: pair[1] - pair[0] * timedelta(seconds=1)
            )
        ]
        assert max(stretches, default=0) <= 2
    sent = stack.rows("SELECT max(sent_at - slot) AS late FROM captures_capture WHERE state = 'stored'")
    assert sent[0]["late"] <= timedelta(seconds=2)


def test_each_occurrence_of_a_minute_was_done_once(stack, survived):
    runs = stack.rows(
        "SELECT name, instant, runs, failures, error FROM media_jobs_run WHERE name = 'cameras.probe'"
    )
    assert runs
    assert {(row["runs"], row["failures"], row["error"]) for row in runs} == {(1, 0, "")}
    assert {row["instant"].second for row in runs} == {0}
    failed = stack.rows("SELECT name, error FROM media_jobs_run WHERE failures > 0")
    assert failed == []


def test_the_planners_ticks_are_counted(stack, survived):
    (row,) = stack.rows(
        "SELECT max(runs) AS runs, count(DISTINCT worker) AS workers FROM media_jobs_run WHERE name = 'captures.plan'"
    )
    assert row["runs"] >= 60  # two or three beats' ticks in a full minute


def test_an_edited_period_is_obeyed_without_a_restart(stack, survived):
    stack.python(
        "from django_celery_beat.models import IntervalSchedule, PeriodicTask\n"
        "row = PeriodicTask.objects.get(task='videos.tidy')\n"
        "row.interval, _ = IntervalSchedule.objects.get_or_create(every=2, period='seconds')\n"
        "row.save()"
    )
    wait_for(
        lambda: stack.rows("SELECT runs FROM media_jobs_run WHERE name = 'videos.tidy' AND runs >= 3"),
        within_s=60,
        what="three runs of what came every five minutes",
    )


def test_run_now_runs(stack):
    with stack.logged_in() as api:
        assert api.post("/api/v1/clock/media_jobs.prune/run/").status_code == 202
        found = wait_for(
            lambda: api.get("/api/v1/clock/media_jobs.prune/runs/").json()["results"],
            within_s=20,
            what="the run that was asked for",
        )
    assert found[0]["result"]["by"] == stack.username


def test_workers_and_queues_tell_of_themselves(stack, survived):
    with stack.logged_in() as api:
        workers = {row["name"].partition("@")[0]: row for row in api.get("/api/v1/workers/").json()}
        queues = {row["name"]: row for row in api.get("/api/v1/queues/").json()}
    assert workers.keys() == {*POOLS, "planner2", "planner3"}
    assert all(row["is_alive"] and not row["is_clock_wrong"] for row in workers.values())
    assert {name: workers[name]["concurrency"] for name in POOLS} == {
        name: pool.concurrency for name, pool in POOLS.items()
    }
    assert workers["video"]["pool"] == "prefork"
    assert workers["video"]["taken"] > 0  # also for a pool of processes
    assert queues["planner"]["rate_per_min"] > 0
    assert {name: len(queues[name]["workers"]) for name in queues} == dict.fromkeys(queues, 1) | {
        "planner": 3
    }


def test_a_site_without_workers_is_an_alarm_until_they_are_there(stack):
    with stack.logged_in() as api:
        site = api.post("/api/v1/sites/", json={"name": "Garden", "slug": "garden"}).json()
        camera = {"name": "Far", "kind": "http", "address": stack.http_address, "site": site["id"]}
        camera = api.post("/api/v1/cameras/", json=camera).json()
        test = api.post(f"/api/v1/cameras/{camera['id']}/test/").json()

        told = wait_for(
            lambda: stack.rows("SELECT payload FROM media_jobs_event WHERE type = 'queue_without_worker'"),
            within_s=45,
            what="the alarm",
        )
        assert [row["payload"]["queue"] for row in told] == ["capture.garden"]
        assert "No worker serves the queue capture.garden." in api.get("/health/ready").json()["faults"]
        assert "No worker serves the queue capture.garden." in api.get("/").text
        assert api.get(f"/api/v1/jobs/{test['id']}/").json()["state"] == "queued"

        stack.start("capture.garden", worker_command(site_pool("garden")))
        wait_for(
            lambda: stack.rows("SELECT id FROM media_jobs_event WHERE type = 'queue_served_again'"),
            within_s=60,
            what="the end of the alarm",
        )
        job = wait_for(
            lambda: (found := api.get(f"/api/v1/jobs/{test['id']}/").json())["state"] == "done" and found,
            within_s=30,
            what="the test of the camera",
        )
    assert job["worker"].startswith("capture.garden@")
    assert job["result"]["ok"] is True


def test_a_worker_that_ends_in_order_takes_its_sign_of_life_with_it(stack):
    def row():
        return stack.rows("SELECT facts FROM media_jobs_pulse WHERE name LIKE 'planner3@%%'")

    before = wait_for(row, within_s=60, what="the planner's row")[0]["facts"]["pid"]
    os.kill(stack.pid("planner3"), signal.SIGTERM)
    wait_for(lambda: not row(), within_s=30, what="the row to go", every_s=0.05)
    wait_for(
        lambda: (found := row()) and found[0]["facts"]["pid"] != before,
        within_s=60,
        what="its successor's row",
    )
