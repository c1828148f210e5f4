"""Thumbnails that a person asks for: one at once, many when there is nothing better to do."""

import pytest

from captures import backfill
from captures.models import Capture
from media_jobs.models import Decision, MediaJob
from tests.factories import NOON, make_capture, make_stored_capture, make_timelapse


@pytest.fixture
def timelapse(db):
    """Three pictures, one of which has its thumbnail; and a slot without a picture."""
    timelapse = make_timelapse()
    for number in range(3):
        make_stored_capture(timelapse=timelapse, thumbnail="t.jpg" if number == 1 else "")
    make_capture(timelapse=timelapse, state="missed", reason="no_worker")
    make_stored_capture()  # of another one
    return timelapse


def captures_of(jobs):
    return {job.args["capture"] for job in jobs}


def test_what_is_missing_is_asked_for_as_backfill(timelapse):
    asked = backfill.request_thumbnails(timelapse, by="otto")

    jobs = MediaJob.objects.all()
    missing = Capture.objects.stored().filter(timelapse=timelapse, thumbnail="")
    assert (asked.asked, asked.waiting, asked.left) == (2, 0, 0)
    assert captures_of(jobs) == set(missing.values_list("pk", flat=True))
    assert {(job.priority, job.requested_by, job.topic) for job in jobs} == {
        (MediaJob.Priority.LOW, "otto", timelapse.topic)
    }


def test_asked_twice_it_is_the_same_work(timelapse):
    backfill.request_thumbnails(timelapse, by="otto")

    again = backfill.request_thumbnails(timelapse, by="eva")

    assert (again.asked, again.waiting) == (0, 2)
    assert MediaJob.objects.count() == 2


def test_all_of_them_are_made_again_where_that_is_wanted(timelapse):
    assert backfill.request_thumbnails(timelapse, by="otto", again=True).asked == 3


def test_the_wish_is_in_the_audit(timelapse):
    backfill.request_thumbnails(timelapse, by="otto")

    decision = Decision.objects.get(topic=timelapse.topic)
    assert (decision.action, decision.by, decision.facts["asked"]) == ("thumbnails_requested", "otto", 2)


def test_one_is_asked_for_at_once_and_hastens_the_backfill(timelapse):
    backfill.request_thumbnails(timelapse, by="otto")
    capture = Capture.objects.stored().filter(timelapse=timelapse, thumbnail="").first()

    job, is_new = backfill.request_thumbnail(capture, by="eva")

    assert (is_new, job.priority) == (False, MediaJob.Priority.HIGH)


def test_the_api_asks_for_one_and_for_many(operator, api, timelapse):
    client = api(operator)
    capture = timelapse.captures.filter(state="stored").first()
    gone = timelapse.captures.get(state="missed")

    first = client.post(f"/api/v1/captures/{capture.pk}/thumbnail/")
    second = client.post(f"/api/v1/captures/{capture.pk}/thumbnail/")
    none = client.post(f"/api/v1/captures/{gone.pk}/thumbnail/")
    many = client.post(f"/api/v1/timelapses/{timelapse.pk}/thumbnails/", {"again": True})

    assert (first.status_code, second.status_code) == (202, 200)
    assert client.get(first["Location"]).json()["requested_by"] == "otto"
    assert (none.status_code, none.json()["code"]) == (409, "no_picture")
    assert (many.status_code, many.json()) == (202, {"asked": 2, "waiting": 1, "left": 0})


def test_a_thumbnail_that_is_there_is_made_again(operator, api):
    capture = make_stored_capture(slot=NOON, thumbnail="t.jpg", small="s.jpg")

    answer = api(operator).post(f"/api/v1/captures/{capture.pk}/thumbnail/")

    assert (answer.status_code, answer.json()["task"]) == (202, "captures.make_thumbnails")
