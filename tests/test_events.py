import os
from datetime import timedelta

import pytest
from django.db import transaction

from media_jobs import clock, events, files, housekeeping
from media_jobs.events import EventType, emit
from media_jobs.models import Event, Pulse
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


def test_since_tells_the_last_seconds_again_as_a_slow_commit_may_have_come_behind():
    first, second, third = three(ago=timedelta())
    assert events.since(second.pk, ["camera.1"]) == ([first, third], True)


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
