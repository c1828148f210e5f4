import os
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from media_jobs import clock, correlation, events, files, housekeeping
from media_jobs.events import EventType, emit
from media_jobs.models import Decision, Event, MediaJob, Pulse
from tests.factories import make_job

pytestmark = pytest.mark.django_db(transaction=True)


def three(*, ago=timedelta(minutes=1)):
    for number, topic in enumerate(("camera.1", "timelapse.1", "camera.1")):
        emit(EventType.CAPTURE_STORED, topic, {"n": number}, now=clock.now() - ago)
    return list(Event.objects.order_by("id"))


def test_since_gives_what_was_missed_on_the_topics_in_order():
    first, second, third = three()

    assert events.since(first.pk, ["camera.1"]) == ([third], True)
    assert events.since(first.pk, ["camera.1", "timelapse.1"]) == ([second, third], True)
    assert events.since(first.pk, ["timelapse.9"]) == ([], True)
    assert events.since(third.pk, ["camera.1"]) == ([], True)


def test_since_leaves_out_what_is_told_by_other_means():
    first, second, third = three()
    assert events.since(0, ["fleet"], until=second.pk, without=[first.pk])[0] == [second]
    assert events.since(0, ["fleet"], without=[second.pk])[0] == [first, third]


def test_latest_is_where_to_go_on():
    before = events.latest()
    three()
    assert events.latest() == Event.objects.latest("id").pk
    assert len(events.since(before, ["fleet"])[0]) == 3
    assert events.since(events.latest(), ["fleet"]) == ([], True)


def test_fleet_hears_of_everything():
    first, second, third = three()
    assert events.since(first.pk, ["fleet"]) == ([second, third], True)


def test_since_says_when_it_cannot_know_all():
    first, second, third = (event.pk for event in three())
    Event.objects.filter(pk__in=[first, second]).delete()

    assert events.since(first, ["camera.1"])[1] is False
    assert events.since(second, ["camera.1"])[1] is True
    Event.objects.filter(pk=third).delete()
    assert events.since(first, ["camera.1"]) == ([], False)
    assert events.since(0, ["camera.1"]) == ([], True)


def test_since_gives_up_on_too_many():
    three()
    found, is_complete = events.since(Event.objects.order_by("id").first().pk - 1, ["fleet"], limit=2)
    assert (len(found), is_complete) == (2, False)


def test_since_an_event_that_is_yet_to_come_is_not_complete():
    last = three()[-1]
    assert events.since(last.pk + 50, ["fleet"]) == ([], False)


def test_what_is_rolled_back_never_happened():
    with transaction.atomic():
        emit(EventType.VIDEO_READY, "timelapse.1", {})
        transaction.set_rollback(True)

    assert not Event.objects.exists()


def test_message_holds_what_a_client_needs():
    event = three()[0]
    assert events.as_message(event) == {
        "id": event.pk,
        "type": "capture_stored",
        "topic": "camera.1",
        "at": event.created_at.isoformat(),
        "payload": {"n": 0},
    }


def test_every_move_of_a_job_has_its_event():
    moves = {
        ("queued", 0): "job_created",
        ("queued", 1): "job_retry_scheduled",
        ("running", 1): "job_started",
        ("waiting", 0): "job_waiting",
        ("done", 1): "job_completed",
        ("failed", 1): "job_failed",
        ("cancelled", 0): "job_cancelled",
        ("parked", 3): "job_parked",
    }
    assert {state for state, _ in moves} == set(MediaJob.State.values)
    for (state, attempt), wanted in moves.items():
        assert events.job_event(MediaJob(state=state, attempt=attempt, error="Busy.")) == wanted
    assert events.job_event(MediaJob(state="queued", attempt=1)) == "job_queued"  # nothing went wrong


def test_event_belongs_to_the_deed_that_is_under_way():
    with correlation.following("abc"):
        emit(EventType.VIDEO_READY, "timelapse.1", {})
    emit(EventType.VIDEO_READY, "timelapse.1", {}, correlation_id="def")
    emit(EventType.VIDEO_READY, "timelapse.1", {})
    ids = Event.objects.order_by("id").values_list("correlation_id", flat=True)
    assert list(ids) == ["abc", "def", ""]


def test_job_payload_gives_no_arguments_away():
    job = make_job(args={"sealed_password": "x"}, progress_done=1, progress_total=4)

    payload = events.job_payload(job, clock.now())

    assert "args" not in payload
    assert (payload["done"], payload["total"], payload["percent"]) == (1, 4, 25)


def test_prune_forgets_old_events_pulses_and_previews(settings, tmp_path):
    now = clock.now()
    old, new = three()[:2]
    Event.objects.filter(pk=old.pk).update(created_at=now - timedelta(hours=settings.KEEP_EVENTS_HOURS + 1))
    Pulse.objects.create(name="gone", kind="worker", at=now - timedelta(days=2))
    Pulse.objects.create(name="here", kind="worker", at=now)
    Pulse.objects.create(name="captures.plan", kind="clock", at=now - timedelta(days=9))
    for name in ("old", "new"):
        files.write(f"previews/{name}.jpg", b"x")
    ago = (now - timedelta(days=2)).timestamp()
    os.utime(settings.MEDIA_ROOT / "previews" / "old.jpg", (ago, ago))

    housekeeping.prune(now)

    assert Event.objects.order_by("id").first().pk == new.pk
    assert set(Pulse.objects.values_list("name", flat=True)) == {"here", "captures.plan"}
    assert [path.name for path in (settings.MEDIA_ROOT / "previews").iterdir()] == ["new.jpg"]


def test_old_events_and_decisions_are_forgotten_in_batches(settings, monkeypatch):
    long_ago = clock.now() - timedelta(days=settings.KEEP_AUDIT_DAYS + 1)
    Event.objects.bulk_create(Event(topic="camera.1", type="x", created_at=long_ago) for _ in range(5))
    Decision.objects.bulk_create(Decision(topic="camera.1", action="x", at=long_ago) for _ in range(5))
    monkeypatch.setattr(housekeeping, "BATCH", 2)

    with CaptureQueriesContext(connection) as seen:
        housekeeping.prune(clock.now())

    texts = [query["sql"] for query in seen]
    for model in (Event, Decision):
        deletes = [sql for sql in texts if sql.startswith("DELETE") and f'"{model._meta.db_table}"' in sql]
        assert (len(deletes), model.objects.count()) == (3, 0)
