"""Queues that nobody serves: told once when it has lasted, once when it is over, whoever watches."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from celery import current_app
from django.db import connections

from cameras import sites
from cameras.models import Site
from media_jobs import alarms, clock, workers
from media_jobs.models import Event, Pulse
from tests.factories import NOON, make_camera
from tests.servers import fresh_database
from tests.stack import running_stack, wait_for
from timelapser.queues import QUEUES, capture_queue

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def serve(now, *queues, name="w@here"):
    workers.write(name, now, {"queues": list(queues)})


def told():
    return [(event.type, event.payload["queue"]) for event in Event.objects.order_by("id")]


def test_a_killed_worker_is_told_within_thirty_seconds():
    serve(NOON, "capture")
    noticed = None
    for seconds in range(0, 60, 5):  # as often as the entry comes
        alarms.watch(NOON + seconds * SECOND, ["capture"])
        if told() and noticed is None:
            noticed = seconds

    assert noticed <= 30
    assert told() == [("queue_without_worker", "capture")]


def test_a_worker_that_is_started_again_is_no_news():
    serve(NOON, "capture")
    alarms.watch(NOON, ["capture"])
    workers.end("w@here")
    alarms.watch(NOON + 1 * SECOND, ["capture"])
    alarms.watch(NOON + 10 * SECOND, ["capture"])
    serve(NOON + 12 * SECOND, "capture")
    alarms.watch(NOON + 15 * SECOND, ["capture"])

    assert told() == []
    assert not Pulse.objects.filter(kind=alarms.SILENCE).exists()


def test_the_end_is_told_with_how_long_it_lasted():
    alarms.watch(NOON, ["capture", "video"])
    alarms.watch(NOON + 20 * SECOND, ["capture", "video"])
    serve(NOON + 60 * SECOND, "capture", "video")
    assert alarms.watch(NOON + 60 * SECOND, ["capture", "video"]) == {"begun": 0, "over": 2}

    assert told() == [
        ("queue_without_worker", "capture"),
        ("queue_without_worker", "video"),
        ("queue_served_again", "capture"),
        ("queue_served_again", "video"),
    ]
    assert Event.objects.last().payload["silent_s"] == 60
    assert not Pulse.objects.filter(kind__in=[alarms.SILENCE, alarms.ALARM]).exists()


def test_a_queue_that_is_no_longer_needed_is_no_alarm_any_more():
    alarms.watch(NOON, ["capture.garden"])
    alarms.watch(NOON + 20 * SECOND, ["capture.garden"])
    alarms.watch(NOON + 40 * SECOND, [])

    assert told() == [("queue_without_worker", "capture.garden"), ("queue_served_again", "capture.garden")]


@pytest.mark.django_db(transaction=True)
def test_watchers_at_once_tell_once():
    alarms.watch(NOON, ["capture"])
    gate = threading.Barrier(4)

    def look():
        try:
            for now in (NOON + 20 * SECOND, NOON + 40 * SECOND):
                gate.wait(20)
                alarms.watch(now, ["capture"])
                if gate.wait(20) == 0:
                    serve(NOON + 40 * SECOND, "capture")
                gate.wait(20)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert told() == [("queue_without_worker", "capture"), ("queue_served_again", "capture")]


def test_queues_of_sites_are_needed_as_long_as_they_have_a_camera_that_is_on():
    empty, garden, off = (
        Site.objects.create(name=name, slug=name.lower()) for name in ("Empty", "Garden", "Off")
    )
    make_camera(site=garden)
    make_camera(site=garden)
    make_camera(site=off, is_enabled=False)

    assert sites.queues() == [*QUEUES, "capture.garden"]
    assert garden.capture_queue == capture_queue("garden")
    assert empty.pk


@pytest.mark.parametrize(("database_s", "ahead_s"), [(100.1, 0), (102.9, 0), (90, 10), (110, -7)])
def test_a_slow_answer_is_no_wrong_clock(monkeypatch, database_s, ahead_s):
    """The database was asked at 100 s by this machine's clock, and had answered at 103 s."""
    readings = iter([100.0, 103.0])
    monkeypatch.setattr(workers.time, "time", lambda: next(readings))
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(database_s, UTC))

    assert workers._clocks()[1] == ahead_s


def test_all_that_somebody_needs_is_watched():
    current_app.loader.import_default_modules()
    alarms.look(NOON)
    alarms.look(NOON + 20 * SECOND)

    assert told() == [("queue_without_worker", queue) for queue in sorted(QUEUES)]


@pytest.mark.e2e
@pytest.mark.timeout(200)
def test_any_worker_that_lives_tells_of_all_others(tmp_path_factory):
    """One worker of one pool is all that is left: no beat, no planner, no upkeep."""
    with fresh_database(tmp_path_factory.mktemp("alone")) as url:
        if url.startswith("sqlite"):
            pytest.skip("end to end needs PostgreSQL")
        others = ("web", "beat", "planner", "thumbnail", "video", "upkeep")
        with running_stack(url, has_demo=False, without=others) as stack:

            def events():
                return stack.rows(
                    "SELECT payload->>'queue' AS queue FROM media_jobs_event"
                    " WHERE type = 'queue_without_worker' ORDER BY id"
                )

            wait_for(
                lambda: len(events()) >= len(QUEUES) - 1, within_s=90, what="the alarms of all that is dead"
            )
            assert sorted(row["queue"] for row in events()) == sorted({*QUEUES} - {"capture"})


def test_a_sign_of_life_counts_for_twenty_seconds():
    now = clock.now()
    serve(now - workers.ALIVE_FOR + SECOND, "video", name="late@here")
    serve(now - workers.ALIVE_FOR - SECOND, "capture", name="gone@here")

    assert workers.queues_alive(now) == {"video"}
    assert [pulse.name for pulse in workers.alive(now)] == ["late@here"]
