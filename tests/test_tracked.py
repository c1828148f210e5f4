import threading
import time
from functools import partial

import pytest

from media_jobs import clock, correlation, lifecycle, tracked
from media_jobs.exceptions import StorageFull, WaitForOthers, WorkCancelled, WorkFailed
from media_jobs.models import Event, MediaJob
from tests import jobs
from tests.jobs import do, take

pytestmark = pytest.mark.django_db(transaction=True)


def record(key="k", **kw):
    return jobs.record(key, **kw)[0]


def after(job):
    job.refresh_from_db()
    return job


def raising(error):
    def work(running):
        raise error

    return work


def test_run_hands_the_arguments_over_and_keeps_the_result():
    job = record(args={"camera": 7})

    do(job, lambda running: {"seen": running.args["camera"]}, worker="w")

    assert (after(job).state, job.result, job.worker, job.attempt) == ("done", {"seen": 7}, "w", 1)


def test_run_of_a_message_that_came_twice_works_once():
    job, runs = record(), []

    for _ in range(3):
        do(job, lambda running: runs.append(1) or {}, worker="w")

    assert len(runs) == 1


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (WorkFailed("No.", code="no"), "failed", "no"),
        (WorkFailed("Later.", code="busy", is_passing=True), "queued", "busy"),
        (StorageFull(), "queued", "disk_full"),
        (WorkCancelled(), "cancelled", ""),
    ],
)
def test_run_notes_how_the_work_ended(error, state, code):
    job = record()

    do(job, raising(error), worker="w")

    assert (after(job).state, job.error_code) == (state, code)
    assert job.error == (str(error) if code else "")


def test_run_notes_what_nobody_expected_and_lets_it_through():
    job = record()

    with pytest.raises(ZeroDivisionError):
        do(job, raising(ZeroDivisionError("secret 123")), worker="w")

    assert (after(job).state, job.error_code) == ("failed", "unexpected")
    assert "secret" not in job.error


def test_run_waits_for_others_and_comes_back():
    job, need = record("film"), record("need")
    claims = []

    def work(running):
        claims.append(1)
        if len(claims) == 1:
            raise WaitForOthers([need])
        return {"claims": len(claims)}

    do(job, work, worker="w")
    assert after(job).state == "waiting"
    do(job, work, worker="w")  # too early
    do(need, lambda running: {}, worker="w")
    do(job, work, worker="w")

    assert (after(job).state, job.result, job.attempt) == ("done", {"claims": 2}, 2)


def test_progress_reaches_the_row_and_renews_the_lease():
    job, seen = record(total=100), []

    def work(running):
        deadline = time.monotonic() + 20
        while not seen and time.monotonic() < deadline:
            running.progress(40)
            row = MediaJob.objects.get(pk=job.pk)
            if row.progress_done:
                seen.append((row.progress_done, row.progress_total, row.lease_until > clock.now()))
            threading.Event().wait(0.02)
        return {}

    do(job, work, worker="w")

    assert seen == [(40, 100, True)]
    assert after(job).percent == 100


def test_cancel_reaches_the_work_within_two_seconds():
    job = record()

    def work(running):
        lifecycle.cancel(MediaJob.objects.get(pk=job.pk))
        asked_at = time.monotonic()
        while not running.should_stop():
            assert time.monotonic() < asked_at + 20
            threading.Event().wait(0.02)
        raise WorkCancelled

    do(job, work, worker="w")

    assert after(job).state == "cancelled"


def test_work_that_was_taken_over_is_told_to_stop_and_ends_nothing():
    job = record()

    def work(running):
        MediaJob.objects.update(attempt=5, worker="other")
        while not running.should_stop():
            threading.Event().wait(0.02)
        return {"by": "straggler"}

    do(job, work, worker="w")

    assert (after(job).state, job.worker, job.result) == ("running", "other", {})


class TooLong(Exception):
    """What a pool raises in work that takes too long."""


def test_work_that_took_too_long_is_tried_again():
    job = record()

    tracked.do(take(job), raising(TooLong()), interruption=TooLong)

    assert (after(job).state, job.error_code) == ("queued", "took_too_long")


def test_work_claims_the_best_of_the_queue_and_does_what_its_kind_says():
    backfill, person = record("backfill", priority=2), record("person", priority=0, args={"n": 7})

    assert tracked.work("capture", worker="w")

    assert (after(person).state, person.result) == ("done", {"args": {"n": 7}})
    assert after(backfill).state == "queued"
    assert tracked.work("capture", worker="w")
    assert not tracked.work("capture", worker="w")
    assert not tracked.work("nobody's", worker="w")


def test_kind_that_this_release_does_not_know_is_left_to_another_worker():
    job = record()
    MediaJob.objects.update(task="next.release")

    assert tracked.work("capture", worker="w")

    assert (after(job).state, job.error_code) == ("queued", "unknown_kind")
    assert job.run_after > clock.now()


def test_work_belongs_to_the_deed_that_asked_for_it():
    with correlation.following("a" * 32):
        job = record()
    seen = []

    with correlation.following("b" * 32):
        tracked.do(take(job), lambda running: seen.append(correlation.current()) or {})

    assert (job.correlation_id, seen) == ("a" * 32, ["a" * 32])


def slow_count(running):
    """Counts to a thousand and goes on where it was; each step takes a hundredth of the pace at which it is noted."""
    at = running.job.result.get("at", 0)
    while at < 1000:
        at += 1
        time.sleep(0.005)
        running.go_on(at, 1000, partial(dict, at=at))
    return {"counted": at}


def test_long_work_lets_others_go_first_and_goes_on_where_it_was(broker):
    long, urgent = record("long", priority=2), record("urgent", priority=0)

    do(long, slow_count)

    place = after(long).result["at"]
    assert (long.state, 0 < place < 1000, long.progress_done) == ("queued", True, place)
    assert after(urgent).state == "queued"
    assert lifecycle.claim(jobs.QUEUE, worker="w").pk == urgent.pk
    again = take(long)
    assert (again.result["at"], again.attempt) == (place, 2)
    told = Event.objects.filter(payload__id=str(long.pk)).order_by("id")
    assert [event.type for event in told] == ["job_created", "job_started"]  # going on is no news


def test_long_work_alone_is_not_interrupted_and_its_place_survives_its_worker():
    long = take(record("long"))
    running = tracked.Running(long)
    began = time.monotonic()
    at = 0
    while time.monotonic() - began < 1.3:
        at += 1
        time.sleep(0.01)
        running.go_on(at, 1000, partial(dict, at=at))

    lifecycle.lose(after(long))

    assert (after(long).state, 0 < long.result["at"] <= at) == ("queued", True)
    assert long.result["at"] > at // 2


def test_long_work_that_is_cancelled_stops_and_keeps_what_it_found():
    long = take(record("long"))
    lifecycle.cancel(after(long), by="otto")

    with pytest.raises(WorkCancelled):
        slow_count(tracked.Running(after(long)))

    tracked.do(after(long), raising(WorkCancelled()))
    assert (after(long).state, long.result["at"] > 0) == ("cancelled", True)
