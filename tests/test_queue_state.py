"""How the queues stand, read from the real broker, from workers' signs of life and from rows."""

import time
from datetime import timedelta

import pytest
from celery import current_app

from media_jobs import clock, outbox, queue_state, workers
from tests.factories import make_job
from timelapser import queues as where

pytestmark = pytest.mark.django_db
QUEUES = ["capture", "video", "capture.garden"]


def by_name(states):
    return {state.name: state for state in states}


def test_depth_and_age_come_from_the_broker(broker, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: clock.now().timestamp() - 90)
    outbox.send("captures.take", 1)
    monkeypatch.undo()
    for number in (2, 3):
        outbox.send("captures.take", number)
    outbox.send("captures.take", 4, queue="capture.garden")

    found = by_name(queue_state.snapshot(clock.now(), QUEUES))

    assert {name: state.depth for name, state in found.items()} == {
        "capture": 3,
        "video": 0,
        "capture.garden": 1,
    }
    assert 90 <= found["capture"].oldest_s < 120
    assert found["capture.garden"].oldest_s < 30
    assert found["video"].oldest_s is None


def test_prefix_of_a_shared_broker_is_before_every_name(broker, settings, monkeypatch):
    monkeypatch.setitem(current_app.conf.broker_transport_options, "global_keyprefix", "ours:")
    settings.BROKER_PREFIX = "ours:"
    broker.client.lpush("ours:video", '{"headers": {"sent_at": 12.5}}')
    broker.client.lpush("video", "{}", "{}")

    assert queue_state.look(["video"]) == {"video": queue_state.Waiting(1, 12.5)}


@pytest.mark.parametrize("message", ["no JSON", "{}", '{"headers": null}', '{"headers": {"sent_at": "x"}}'])
def test_a_message_that_does_not_say_when_it_was_sent_has_no_age(broker, message):
    broker.client.lpush("video", message)

    (state,) = queue_state.snapshot(clock.now(), ["video"])

    assert (state.depth, state.oldest_s) == (1, None)


def test_broker_that_is_away_is_not_an_empty_queue(broker, settings, monkeypatch):
    monkeypatch.setattr(current_app.conf, "broker_write_url", "redis://127.0.0.1:1/0")

    (state,) = queue_state.snapshot(clock.now(), ["video"])

    assert (state.depth, state.oldest_s) == (None, None)


def test_what_runs_and_how_fast_is_the_sum_of_the_living_workers(broker):
    now = clock.now()
    for name, at, running in (("a@x", now, 2), ("b@y", now, 3), ("gone@z", now - timedelta(minutes=5), 50)):
        facts = {
            "queues": ["video", "thumbnail"],
            "running": {"video": running, "thumbnail": 1},
            "rate_per_min": {"video": 10.5},
            "concurrency": 4,
        }
        workers.write(name, at, facts)

    found = by_name(queue_state.snapshot(now, QUEUES))

    video = found["video"]
    assert (video.running, video.rate_per_min, video.concurrency) == (5, 21.0, 8)
    assert video.workers == ("a@x", "b@y")
    assert video.is_served
    assert not found["capture"].is_served


def test_waiting_and_failed_jobs_come_from_rows(broker):
    now = clock.now()
    for state, finished_at in (
        ("queued", None),
        ("running", None),
        ("done", now),
        ("failed", now - timedelta(minutes=30)),
        ("parked", now),
        ("failed", now - timedelta(hours=2)),
    ):
        make_job(state=state, finished_at=finished_at, queue="video")
    make_job(state="queued", queue="video", run_after=now + timedelta(minutes=5))

    (state,) = queue_state.snapshot(now, ["video"])

    assert (state.jobs_waiting, state.failed_jobs) == (1, 2)


def test_a_glance_costs_the_same_for_two_queues_and_for_many(broker, django_assert_num_queries):
    now = clock.now()
    with django_assert_num_queries(3):
        queue_state.snapshot(now, ["video", *(where.capture_queue(f"s{n}") for n in range(30))])
