import time
from datetime import timedelta

import pytest
from django.db import transaction

from captures import dispatch, settlement
from celery_app import app
from media_jobs import clock, lifecycle, outbox
from media_jobs.kinds import JITTER
from media_jobs.models import MediaJob
from tests import jobs
from tests.campaigns import plan_until, running
from tests.factories import make_capture, make_job
from tests.jobs import take

pytestmark = pytest.mark.django_db(transaction=True)
SECOND = timedelta(seconds=1)


@pytest.fixture
def broker_away(monkeypatch, tmp_path):
    """Nobody listens where the broker should be."""
    # The address for writing is the other one unless it was set: so it is kept and set first.
    for name in ("broker_write_url", "broker_url"):
        monkeypatch.setattr(app.conf, name, f"redis+socket://{tmp_path}/nobody.sock")


def record(key="k"):
    return jobs.record(key)[0]


def arguments(broker, queue="capture"):
    return [message.argument for message in broker.messages(queue)]


def sent_before(job, seconds):
    MediaJob.objects.filter(pk=job.pk).update(sent_at=clock.now() - seconds * SECOND)


def test_nothing_is_sent_for_what_is_rolled_back(broker):
    with transaction.atomic():
        record()
        transaction.set_rollback(True)

    assert arguments(broker) == []
    assert not MediaJob.objects.exists()


def test_dispatch_sends_again_what_an_emptied_broker_has_lost(broker):
    jobs = [record(str(number)) for number in range(3)]
    for job in jobs:
        sent_before(job, 60)
    broker.empty()

    assert outbox.dispatch(clock.now()) == 3
    assert set(arguments(broker)) == {"capture"}
    assert outbox.dispatch(clock.now()) == 0


def test_dispatch_leaves_a_backlog_alone(broker):
    jobs = [record(str(number)) for number in range(5)]
    for job in jobs:
        sent_before(job, 3600)

    assert outbox.dispatch(clock.now()) == 0
    assert len(arguments(broker)) == 5


def test_dispatch_sends_as_many_as_the_queue_has_lost(broker):
    jobs = [record(str(number)) for number in range(5)]
    for number, job in enumerate(jobs):
        sent_before(job, 100 - number)
    broker.client.rpop("capture", 2)

    assert outbox.dispatch(clock.now()) == 2
    assert set(arguments(broker)) == {"capture"}


def test_dispatch_waits_until_a_message_has_settled(broker):
    record()
    broker.empty()

    assert outbox.dispatch(clock.now()) == 0


def test_dispatch_sends_a_retry_when_it_is_due_and_not_before(broker):
    job = take(record())
    lifecycle.fail(job, "Busy.", code="busy", is_passing=True)
    broker.empty()

    assert outbox.dispatch(clock.now() + 29 * SECOND) == 0
    assert outbox.dispatch(clock.now() + 31 * (1 + JITTER) * SECOND) == 1


def test_dispatch_looks_at_each_queue_by_itself(broker):
    make_job(sent_at=clock.now() - 60 * SECOND)
    make_job(task="videos.render", sent_at=clock.now() - 60 * SECOND)

    assert outbox.dispatch(clock.now()) == 2
    assert (arguments(broker), arguments(broker, "video")) == (["capture"], ["video"])


def test_dispatch_ignores_what_is_at_work_or_has_ended(broker):
    for state in ("running", "waiting", "done", "failed", "cancelled"):
        make_job(state=state, sent_at=clock.now() - 60 * SECOND)

    assert outbox.dispatch(clock.now()) == 0


def test_broker_away_loses_no_job(broker, broker_away, monkeypatch):
    job = record()

    assert MediaJob.objects.get(pk=job.pk).sent_at is None
    assert outbox.queue_length("capture") is None
    assert outbox.dispatch(clock.now()) == 0
    monkeypatch.undo()
    assert outbox.dispatch(clock.now()) == 1
    assert arguments(broker) == ["capture"]


def test_broker_away_loses_no_capture(broker, broker_away, monkeypatch):
    now = clock.now()
    capture = make_capture(
        timelapse=running(interval_s=3600), slot=now - SECOND, give_up_at=now + 60 * SECOND
    )

    assert dispatch.plan() == 0

    monkeypatch.undo()
    assert dispatch.plan() == 1
    assert arguments(broker) == [capture.pk]


def test_broker_away_costs_no_time(broker_away):
    began_at = time.monotonic()
    assert [outbox.send("captures.take", number) for number in range(20)] == [False] * 20
    assert time.monotonic() - began_at < 20  # each waited for six seconds once


def test_queue_length_counts_what_waits(broker):
    assert outbox.queue_length("capture") == 0
    record("a")
    record("b")
    assert outbox.queue_length("capture") == 2


def test_emptied_broker_loses_no_capture_within_its_grace(broker):
    timelapse = running(interval_s=60)
    plan_until(timelapse.next_slot_at + SECOND, start=timelapse.next_slot_at - SECOND)
    capture = timelapse.captures.get()
    later = capture.slot + 10 * SECOND
    timelapse.captures.update(sent_at=capture.slot)  # and then somebody flushed it all

    assert settlement.sweep(later) == (0, 1)
    assert arguments(broker) == [capture.pk]
