"""Thumbnails that a person asks for: one at once, many by one job that gives way and goes on where it was."""

import pytest

from captures import backfill, regeneration
from captures.models import Capture
from media_jobs import files, lifecycle, tracked
from media_jobs.models import Decision, MediaJob
from tests.factories import NOON, make_capture, make_stored_capture, make_timelapse
from tests.jobs import take

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def timelapse(db):
    """Three pictures, one of which has its small pictures; and a slot without a picture."""
    timelapse = make_timelapse()
    for number in range(3):
        has = {"thumbnail": "t.jpg", "small": "s.jpg"} if number == 1 else {}
        make_stored_capture(timelapse=timelapse, **has)
    make_capture(timelapse=timelapse, state="missed", reason="no_worker")
    make_stored_capture()  # of another one
    return timelapse


def made(timelapse):
    rows = Capture.objects.stored().filter(timelapse=timelapse).exclude(thumbnail="")
    return sum(files.exists(name) for row in rows for name in (row.thumbnail, row.small))


def test_what_is_missing_is_made_by_one_job(broker, timelapse):
    job, is_new = backfill.request_thumbnails(timelapse, by="otto")
    broker.work_off("thumbnail")

    job.refresh_from_db()
    assert (is_new, job.priority, job.requested_by, job.topic) == (True, 2, "otto", timelapse.topic)
    assert (job.state, job.progress_done, job.progress_total) == ("done", 3, 3)
    assert {name: job.result[name] for name in ("made", "kept", "failed")} == {
        "made": 2,
        "kept": 1,
        "failed": 0,
    }
    assert made(timelapse) == 4


def test_all_are_made_again_also_those_of_other_timelapses(broker, timelapse):
    job, _ = backfill.request_thumbnails(None, by="otto", again=True)
    broker.work_off("thumbnail")

    job.refresh_from_db()
    assert (job.topic, job.result["made"], job.result["kept"]) == ("storage", 4, 0)
    assert Capture.objects.stored().filter(thumbnail="").count() == 0


def test_asked_twice_it_is_the_same_work(timelapse):
    job, _ = backfill.request_thumbnails(timelapse, by="otto")

    again, is_new = backfill.request_thumbnails(timelapse, by="eva")

    assert (again.pk, is_new, MediaJob.objects.count()) == (job.pk, False, 1)
    assert Decision.objects.get(topic=timelapse.topic).action == "thumbnails_requested"


def test_what_cannot_be_made_is_counted_and_the_others_are_made(broker, timelapse):
    broken, gone, _ = Capture.objects.stored().filter(timelapse=timelapse).order_by("slot")
    files.write(broken.file, b"\xff\xd8\xff no picture")
    files.delete(gone.file)

    job, _ = backfill.request_thumbnails(timelapse, by="otto", again=True)
    broker.work_off("thumbnail")

    job.refresh_from_db()
    assert (job.state, job.result["made"], job.result["failed"]) == ("done", 1, 2)
    assert {example["capture"] for example in job.result["examples"]} == {broken.pk, gone.pk}


def test_after_its_worker_was_killed_it_goes_on_where_it_was(timelapse, monkeypatch):
    """Worker one is gone after the first picture, without a word: what it noted is in the row."""
    monkeypatch.setattr(tracked, "LOOK_EVERY_S", 0)
    job, _ = backfill.request_thumbnails(timelapse, by="otto", again=True)
    running = tracked.Running(take(job))
    steps = []

    def die_after_the_first(*facts):
        tracked.Running.go_on(running, *facts)
        steps.append(facts[0])
        raise KeyboardInterrupt

    running.go_on = die_after_the_first
    with pytest.raises(KeyboardInterrupt):
        regeneration.make_many(running)
    first = made(timelapse)

    lifecycle.lose(MediaJob.objects.get(pk=job.pk))
    tracked.do(take(job, worker="w2"), regeneration.make_many)

    job.refresh_from_db()
    assert (steps, first) == ([1], 2)
    assert (job.state, job.result["made"], job.lost_count) == ("done", 3, 1)
    assert made(timelapse) == 6


def test_one_is_asked_for_at_once(timelapse):
    capture = Capture.objects.stored().filter(timelapse=timelapse, thumbnail="").first()

    job, is_new = backfill.request_thumbnail(capture, by="eva")

    assert (is_new, job.priority) == (True, MediaJob.Priority.HIGH)


def test_the_api_asks_for_one_and_for_many(operator, api, timelapse):
    client = api(operator)
    capture = timelapse.captures.filter(state="stored").first()
    gone = timelapse.captures.get(state="missed")

    first = client.post(f"/api/v1/captures/{capture.pk}/thumbnail/")
    second = client.post(f"/api/v1/captures/{capture.pk}/thumbnail/")
    none = client.post(f"/api/v1/captures/{gone.pk}/thumbnail/")
    many = client.post(f"/api/v1/timelapses/{timelapse.pk}/thumbnails/", {"again": True})
    once_more = client.post(f"/api/v1/timelapses/{timelapse.pk}/thumbnails/", {"again": True})

    assert (first.status_code, second.status_code) == (202, 200)
    assert client.get(first["Location"]).json()["requested_by"] == "otto"
    assert (none.status_code, none.json()["code"]) == (409, "no_picture")
    assert (many.status_code, many.json()["progress_total"], once_more.status_code) == (202, 3, 200)


def test_a_thumbnail_that_is_there_is_made_again(operator, api):
    capture = make_stored_capture(slot=NOON, thumbnail="t.jpg", small="s.jpg")

    answer = api(operator).post(f"/api/v1/captures/{capture.pk}/thumbnail/")

    assert (answer.status_code, answer.json()["task"]) == (202, "captures.make_thumbnails")
