"""All scheduled work: everything that is to be done is in the list, in order, once."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from media_jobs import clock
from tests.factories import make_capture, make_job, make_timelapse
from timelapser.work import Kind, Scheduled, is_scheduled


@pytest.fixture
def now(db):
    return clock.now()


def make_work(now):
    """One of each kind that has rows, in the order of time: a job, a capture, a slot."""
    timelapse = make_timelapse(state="running", next_slot_at=now + timedelta(minutes=5))
    capture = make_capture(timelapse=timelapse, slot=now)
    job = make_job(topic=timelapse.topic, run_after=now - timedelta(minutes=1), requested_by="ada")
    make_job(state="done", topic=timelapse.topic)
    make_capture(timelapse=timelapse, state="missed", reason="no_worker")
    make_timelapse(state="paused", next_slot_at=None)
    return job, capture, timelapse


def test_everything_that_is_to_be_done_is_there_in_order(now):
    job, capture, timelapse = make_work(now)

    found = list(Scheduled(now)[:10])

    assert [(item.kind, item.id, item.requested_by) for item in found] == [
        (Kind.JOB, str(job.pk), "ada"),
        (Kind.CAPTURE, str(capture.pk), "clock"),
        (Kind.SLOT, str(timelapse.pk), "clock"),
    ]
    assert [item.at for item in found] == [job.run_after, now, timelapse.next_slot_at]
    assert {item.topic for item in found} == {timelapse.topic}


def test_the_clocks_entries_are_in_it(now):
    call_command("sync_schedule", verbosity=0)

    entries = list(Scheduled(now, frozenset({Kind.ENTRY}))[:50])

    assert {"captures.plan", "media_jobs.prune"} <= {item.id for item in entries}
    assert [item.at for item in entries] == sorted(item.at for item in entries)


def test_it_is_narrowed_to_a_timelapse_a_camera_a_kind_and_a_time(now):
    job, capture, timelapse = make_work(now)
    make_work(now)
    call_command("sync_schedule", verbosity=0)
    probe = make_job(topic=f"camera.{timelapse.camera_id}", run_after=now)

    def found(**narrow):
        return {item.id for item in Scheduled(now, **narrow)[:50]}

    own = {str(job.pk), str(capture.pk), str(timelapse.pk)}
    assert found(topic=timelapse.topic) == own
    assert found(topic=f"camera.{timelapse.camera_id}") == own | {str(probe.pk)}
    assert found(topic=timelapse.topic, kinds=frozenset({Kind.SLOT})) == {str(timelapse.pk)}
    assert found(topic=timelapse.topic, until=now) == {str(job.pk)}


def test_is_scheduled_says_whether_anything_is_to_be_done(now):
    _, _, timelapse = make_work(now)
    idle = make_timelapse()

    assert is_scheduled(timelapse.topic, now)
    assert is_scheduled(f"camera.{timelapse.camera_id}", now, kinds=[Kind.JOB])
    assert not is_scheduled(idle.topic, now)
    assert not is_scheduled("camera.999999", now)


def test_pages_of_it_are_its_parts(now):
    for _ in range(7):
        make_work(now)

    work = Scheduled(now)
    whole = list(work[:100])

    assert len(work) == len(whole) == 21
    assert [item for start in range(0, 21, 4) for item in work[start : start + 4]] == whole
    assert (work[20], work[21:30]) == (whole[20], [])
    assert [item.at for item in whole] == sorted(item.at for item in whole)


def test_a_page_costs_no_more_for_many_than_for_few(now):
    def count():
        with CaptureQueriesContext(connection) as queries:
            list(Scheduled(now)[:3])
        return len(queries)

    make_work(now)
    few = count()
    for _ in range(20):
        make_work(now)

    assert count() <= few


def test_the_api_gives_pages_of_it_and_says_where_more_is(viewer, api, now):
    job, capture, timelapse = make_work(now)
    client = api(viewer)

    told = client.get("/api/v1/work/", {"kind": ["slot", "job"], "page_size": 1}).json()
    second = client.get(told["next"]).json()["results"]
    asked = client.get("/api/v1/work/is-scheduled/", {"topic": timelapse.topic}).json()

    assert (told["count"], told["results"][0]["id"]) == (2, str(job.pk))
    assert [item["kind"] for item in second] == ["slot"]
    assert client.get(second[0]["url"]).json()["id"] == timelapse.pk
    assert client.get(told["results"][0]["url"]).json()["id"] == str(job.pk)
    assert (asked["is_scheduled"], asked["count"], asked["next"]["id"]) == (True, 3, str(job.pk))
    assert client.get("/api/v1/work/", {"topic": "timelapse.0"}).json()["results"] == []
    assert str(capture.pk) in {item["id"] for item in client.get("/api/v1/work/").json()["results"]}


@pytest.mark.parametrize(
    ("door", "query", "field"),
    [
        ("work/", {"topic": "fleet"}, "topic"),
        ("work/", {"kind": "dream"}, "kind"),
        ("work/", {"until": "9999-12-31T23:59:59Z"}, "until"),
        ("work/is-scheduled/", {}, "topic"),
    ],
)
def test_what_cannot_be_asked_is_said(viewer, api, door, query, field):
    answer = api(viewer).get(f"/api/v1/{door}", query)

    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
