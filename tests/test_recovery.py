from datetime import timedelta

import pytest

from media_jobs import clock, lifecycle, recovery
from media_jobs.models import Event, MediaJob
from tests.jobs import now_of, record, take

pytestmark = pytest.mark.django_db(transaction=True)
SECOND = timedelta(seconds=1)


def lost(job, *, worker="w1"):
    """Claimed by a worker that has not been heard of for longer than a lease."""
    taken = take(job, worker=worker)
    MediaJob.objects.filter(pk=job.pk).update(lease_until=clock.now() - SECOND)
    return taken


def test_reap_gives_a_lost_job_to_the_next_at_once(broker):
    job, _ = record()
    lost(job)
    broker.empty()

    assert recovery.reap(clock.now()) == 1

    taken = now_of(job)
    assert (taken.state, taken.error_code, taken.lost_count) == ("queued", "worker_lost", 1)
    assert [message.argument for message in broker.messages("capture")] == ["capture"]
    assert take(job, worker="w2").attempt == 2


def test_job_that_ends_its_worker_three_times_is_parked_and_says_so():
    job, _ = record()
    for _ in range(3):
        lost(job)
        recovery.reap(clock.now())

    parked = now_of(job)
    assert (parked.state, parked.error_code, parked.lost_count) == ("parked", "poison", 3)
    assert "3 workers went away" in parked.error
    assert parked.finished_at is not None
    assert take(job) is None
    event = Event.objects.latest("pk")
    assert (event.type, event.payload["state"]) == ("job_parked", "parked")


def test_parked_job_is_tried_again_when_a_person_asks():
    job, _ = record(args={"n": 7})
    for _ in range(3):
        lost(job)
        recovery.reap(clock.now())

    again = lifecycle.retry(now_of(job), by="ada")

    assert (again.state, again.args, again.lost_count) == ("queued", {"n": 7}, 0)
    assert now_of(job).state == "parked"


def test_parked_need_does_not_leave_the_one_who_waits_for_ever():
    film, need = take(record("film")[0]), record("need")[0]
    lifecycle.wait(film, [need])
    for _ in range(3):
        lost(need)
        recovery.reap(clock.now())

    assert now_of(film).state == "queued"


def test_loss_of_a_worker_costs_no_retry():
    job, _ = record()
    lost(job)
    recovery.reap(clock.now())
    lost(job)
    recovery.reap(clock.now())

    for _ in range(3):
        MediaJob.objects.update(run_after=clock.now())
        lifecycle.fail(take(job), "Busy.", code="busy", is_passing=True)
        assert now_of(job).state == "queued"
    MediaJob.objects.update(run_after=clock.now())
    lifecycle.fail(take(job), "Busy.", code="busy", is_passing=True)
    assert now_of(job).state == "failed"


def test_worker_that_gives_a_sign_of_life_meanwhile_keeps_its_job():
    job = lost(record()[0])
    stale = now_of(job)

    lifecycle.prolong([(job.pk, job.attempt)])

    assert not lifecycle.lose(stale)
    assert (now_of(job).state, now_of(job).lost_count) == ("running", 0)


def test_sign_of_life_of_a_straggler_lengthens_nobody_elses_lease():
    job = record()[0]
    straggler = lost(job)
    recovery.reap(clock.now())
    take(job, worker="w2")
    MediaJob.objects.update(lease_until=clock.now() - SECOND)

    lifecycle.prolong([(straggler.pk, straggler.attempt)])

    assert recovery.reap(clock.now()) == 1


def test_release_takes_back_the_jobs_of_one_worker_only_and_counts_it():
    mine, other = take(record("a")[0], worker="video@here"), take(record("b")[0], worker="video@there")

    assert recovery.release("video@here") == 1

    assert (now_of(mine).state, now_of(mine).lost_count) == ("queued", 1)
    assert now_of(other).state == "running"


def test_worker_that_ends_in_order_gives_its_job_back_and_the_job_is_not_blamed(broker):
    job, _ = record()
    for _ in range(5):
        take(job, worker="video@here")
        broker.empty()
        assert recovery.hand_back("video@here") == 1
        assert [message.argument for message in broker.messages("capture")] == ["capture"]

    assert (now_of(job).state, now_of(job).lost_count) == ("queued", 0)


def test_orderly_restarts_cost_no_try():
    job, _ = record()
    for _ in range(job.max_attempts):
        take(job, worker="video@here")
        recovery.hand_back("video@here")
    for _ in range(job.max_attempts):
        take(job, worker="video@here")
        recovery.note_ending("video@here")
        recovery.release("video@here")

    lifecycle.fail(take(job), "Busy.", code="busy", is_passing=True)

    again = now_of(job)
    assert (again.state, again.failed_count, again.attempt) == ("queued", 1, 2 * job.max_attempts + 1)


def test_job_that_was_to_stop_is_cancelled_where_its_worker_is_gone():
    first, second = take(record("a")[0], worker="w1"), take(record("b")[0], worker="w2")
    for job in (first, second):
        lifecycle.cancel(now_of(job))
    MediaJob.objects.filter(pk=first.pk).update(lease_until=clock.now() - SECOND)

    recovery.reap(clock.now())
    recovery.hand_back("w2")

    assert (now_of(first).state, now_of(second).state) == ("cancelled", "cancelled")


def test_worker_that_was_asked_to_end_and_then_killed_blames_no_job():
    job, _ = record()
    for _ in range(4):
        take(job, worker="video@here")
        assert recovery.note_ending("video@here") == 1
        assert recovery.release("video@here") == 1  # its successor of the same name
    take(job, worker="video@here")
    recovery.note_ending("video@here")
    MediaJob.objects.update(lease_until=clock.now() - SECOND)
    recovery.reap(clock.now())

    assert (now_of(job).state, now_of(job).lost_count) == ("queued", 0)


def test_job_that_ends_while_its_worker_is_ending_has_ended():
    job = take(record()[0], worker="video@here")
    recovery.note_ending("video@here")

    assert lifecycle.finish(job, {})
    assert recovery.hand_back("video@here") == 0
