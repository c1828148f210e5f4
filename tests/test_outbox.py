import socket
import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import transaction

from captures import dispatch, settlement
from celery_app import app
from media_jobs import broker as broker_way
from media_jobs import clock, lifecycle, outbox, queue_state
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


@pytest.fixture
def frozen_broker(monkeypatch):
    """It accepts every connection and never says a word; `connections` tells how often it was asked."""
    accepted = []
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:

        def accept():
            with suppress(OSError):
                while True:
                    accepted.append(listener.accept()[0])

        thread = threading.Thread(target=accept)
        thread.start()
        for name in ("broker_write_url", "broker_url"):
            monkeypatch.setattr(app.conf, name, f"redis://127.0.0.1:{listener.getsockname()[1]}/0")
        yield accepted
        monkeypatch.undo()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in accepted:
            connection.close()


def test_frozen_broker_is_asked_once_for_a_hundred_messages(frozen_broker):
    began_at = time.monotonic()
    assert [outbox.send("captures.take", number) for number in range(100)] == [False] * 100
    assert outbox.queue_length("capture") is None
    assert queue_state.look(["capture", "video"]) is None
    assert time.monotonic() - began_at < 5  # of them 1.5 s of waiting; once it was thirty for each
    assert len(frozen_broker) == 1


def test_frozen_broker_keeps_nobody_from_recording_and_loses_no_job(broker, frozen_broker, monkeypatch):
    began_at = time.monotonic()
    wishes = [lifecycle.Wish(str(n), "camera.1", "Test", {}) for n in range(100)]
    lifecycle.record_many(jobs.ECHO, wishes, queue="capture")
    assert outbox.dispatch(clock.now()) == 0
    assert time.monotonic() - began_at < 5
    assert MediaJob.objects.filter(sent_at=None).count() == 100

    monkeypatch.undo()
    assert outbox.dispatch(clock.now()) == 100


def test_frozen_broker_delays_no_answer_about_health(frozen_broker, client):
    began_at = time.monotonic()
    answers = [client.get("/health/ready") for _ in range(5)]
    assert time.monotonic() - began_at < 5
    assert all("The broker does not answer." in answer.json()["faults"] for answer in answers)


def test_broker_that_was_away_is_asked_again_by_one_for_all(broker):
    broker_way._away_until[broker_way.address()] = time.monotonic()  # its rest is over

    with broker_way.asked():
        assert not outbox.send("captures.take", 1)
    assert outbox.send("captures.take", 2)
    assert arguments(broker) == [2]


def test_who_asks_a_broker_that_is_back_sends(broker):
    broker_way._away_until[broker_way.address()] = time.monotonic()

    assert [outbox.send("captures.take", number) for number in (1, 2)] == [True, True]


def test_broker_that_refuses_at_once_is_asked_again_soon(broker_away, monkeypatch):
    assert not outbox.send("captures.take", 1)
    later = time.monotonic() + 2
    monkeypatch.setattr(time, "monotonic", lambda: later)

    broker_way.raise_if_away()


def test_prefix_of_a_shared_broker_is_before_the_names_of_what_lies_there(broker, settings, monkeypatch):
    monkeypatch.setitem(app.conf.broker_transport_options, "global_keyprefix", "ours:")
    settings.BROKER_PREFIX = "ours:"
    broker_way.for_sending.cache_clear()
    try:
        sent_before(record(), 60)
        outbox.send("captures.take", 1, queue="capture")  # no wake for the job
        assert broker.client.llen("ours:capture") == 2
        broker.client.rpop("ours:capture")

        assert outbox.dispatch(clock.now()) == 1
        assert outbox.dispatch(clock.now()) == 0
    finally:
        broker_way.for_sending.cache_clear()
