from dataclasses import replace
from datetime import timedelta

import pytest

from media_jobs import clock, heartbeat, kinds, lifecycle, recovery, tracked
from media_jobs.heartbeat import Heartbeat
from media_jobs.models import MediaJob
from tests.jobs import now_of, record, take
from tests.stack import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
SECOND = timedelta(seconds=1)


def make_old(job):
    MediaJob.objects.filter(pk=job.pk).update(lease_until=clock.now() - SECOND)


def is_renewed(job):
    return now_of(job).lease_until > clock.now() + 30 * SECOND


def test_work_that_says_nothing_keeps_its_lease():
    job = take(record()[0])
    make_old(job)

    with Heartbeat(every_s=0.05).hold(job, limit_s=60):
        wait_for(lambda: is_renewed(job), within_s=20, what="the lease to be renewed", every_s=0.02)

    assert recovery.reap(clock.now()) == 0


def test_lease_of_work_that_has_ended_is_not_renewed():
    ended, working = take(record("ended")[0]), take(record("working")[0])
    beats = Heartbeat(every_s=0.05)
    with beats.hold(ended, limit_s=60):
        pass
    make_old(ended)
    make_old(working)

    with beats.hold(working, limit_s=60):
        wait_for(lambda: is_renewed(working), within_s=20, what="a beat", every_s=0.02)

    assert not is_renewed(ended)


def test_work_that_hangs_is_not_spoken_for_beyond_its_limit():
    hung, working = take(record("hung")[0]), take(record("working")[0])
    beats = Heartbeat(every_s=0.05)
    make_old(hung)
    make_old(working)

    with beats.hold(hung, limit_s=0), beats.hold(working, limit_s=60):
        wait_for(lambda: is_renewed(working), within_s=20, what="a beat", every_s=0.02)

    assert not is_renewed(hung)
    assert recovery.reap(clock.now()) == 1


def test_work_of_a_worker_is_held_while_it_is_done(monkeypatch):
    job, _ = record()
    monkeypatch.setattr(tracked, "heartbeat", Heartbeat(every_s=0.05))

    def long_step(running):
        make_old(job)
        wait_for(lambda: is_renewed(job), within_s=20, what="the lease to be renewed", every_s=0.02)
        return {"was": "renewed"}

    monkeypatch.setitem(kinds.every(), job.task, replace(kinds.of(job.task), work=long_step))
    assert tracked.work(job.queue, worker="w")

    assert (now_of(job).state, now_of(job).result) == ("done", {"was": "renewed"})


def test_two_beats_may_be_lost_before_anybody_takes_the_worker_for_gone():
    assert lifecycle.LEASE.total_seconds() > 3 * heartbeat.EVERY_S
