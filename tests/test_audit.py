from datetime import timedelta

import pytest
from django.db import transaction

from captures import dispatch
from captures.models import Capture
from media_jobs import audit, clock, correlation, events, housekeeping
from media_jobs.events import EventType
from media_jobs.models import Decision, Event, Pulse
from tests.factories import NOON, make_camera, make_capture, make_job, make_timelapse

pytestmark = pytest.mark.django_db


def note(action="looked", **kw):
    return audit.note(action, **{"topic": "camera.77777", "by": "otto"} | kw)


def test_decision_says_who_what_and_which_deed():
    with correlation.following("a-deed"):
        note("timelapse_paused", rule="the sun is down", facts={"altitude": -3})

    (found,) = Decision.objects.all()
    assert (found.action, found.topic, found.by, found.rule) == (
        "timelapse_paused",
        "camera.77777",
        "otto",
        "the sun is down",
    )
    assert (found.facts, found.correlation_id) == ({"altitude": -3}, "a-deed")
    assert clock.now() - found.at < timedelta(minutes=1)


def test_decision_that_was_not_carried_out_was_never_taken():
    with transaction.atomic():
        note()
        transaction.set_rollback(True)
    assert not Decision.objects.exists()


def test_a_deed_within_a_deed_ends_with_its_block():
    with correlation.following("outer"):
        with correlation.following("inner"):
            assert correlation.current() == "inner"
        assert correlation.current() == "outer"
    assert correlation.current() == ""


def test_work_without_a_deed_begins_one_of_its_own():
    with correlation.following("") as deed:
        assert correlation.current() == deed
    with correlation.following("") as another:
        assert another not in ("", deed)


def whole_deed():
    second = timedelta(seconds=1)
    timelapse = make_timelapse()
    make_capture(
        timelapse=timelapse,
        slot=NOON,
        rule="every 60 s",
        correlation_id="a-deed",
        claimed_at=NOON + second,
        state=Capture.State.STORED,
        taken_at=NOON + 2 * second,
        lateness_ms=7,
        file="a.jpg",
        bytes=9,
        width=4,
        height=3,
        checksum="c",
    )
    with correlation.following("a-deed"):
        note(now=NOON + 3 * second)
        events.emit(EventType.CAPTURE_STORED, timelapse.topic, {"n": 1}, now=NOON + 4 * second)
    make_job(
        correlation_id="a-deed",
        requested_at=NOON + 5 * second,
        started_at=NOON + 6 * second,
        finished_at=NOON + 7 * second,
        state="done",
        args={"rule": "new pictures", "sealed_password": "x"},
    )
    with correlation.following("another deed"):
        note()
        events.emit(EventType.CAPTURE_STORED, timelapse.topic, {"n": 2})
    make_capture(timelapse=timelapse)
    return timelapse


def test_thread_has_all_of_one_deed_in_the_order_of_time():
    whole_deed()
    steps = audit.thread("a-deed")

    assert [(step.kind, step.what) for step in steps] == [
        ("capture", "owed"),
        ("capture", "claimed"),
        ("capture", "stored"),
        ("decision", "looked"),
        ("event", "capture_stored"),
        ("job", "requested"),
        ("job", "started"),
        ("job", "done"),
    ]
    assert (steps[0].by, steps[0].rule) == ("clock", "every 60 s")
    assert steps[5].rule == "new pictures"
    assert "sealed" not in repr(steps)


@pytest.mark.parametrize("deed", ["", "unknown"])
def test_thread_of_nothing_is_empty(deed):
    whole_deed()
    assert audit.thread(deed) == []


def test_decisions_are_kept_for_a_year(settings):
    old = note(now=clock.now() - timedelta(days=settings.KEEP_AUDIT_DAYS + 1))
    new = note(now=clock.now() - timedelta(days=settings.KEEP_AUDIT_DAYS - 1))
    housekeeping.prune(clock.now())
    assert list(Decision.objects.values_list("pk", flat=True)) == [new.pk]
    assert new.pk != old.pk


def test_api_lists_decisions_and_finds_those_of_a_topic_and_a_deed(api, viewer):
    timelapse = whole_deed()
    note(topic=timelapse.topic, by="clock", rule="its end has come")

    everything = api(viewer).get("/api/v1/audit/").json()
    assert [row["by"] for row in everything["results"]] == ["clock", "otto", "otto"]
    for query, count in (
        (f"topic={timelapse.topic}", 1),
        ("correlation_id=a-deed", 1),
        ("by=otto", 2),
        ("action=slept", 0),
        (f"end={NOON.isoformat().replace('+', '%2B')}", 0),
    ):
        assert api(viewer).get(f"/api/v1/audit/?{query}").json()["count"] == count, query


def test_api_tells_a_whole_deed(api, viewer):
    whole_deed()
    answer = api(viewer).get("/api/v1/audit/threads/a-deed/").json()
    assert answer["correlation_id"] == "a-deed"
    assert [step["kind"] for step in answer["steps"]].count("job") == 3
    assert api(viewer).get("/api/v1/audit/threads/unknown/").status_code == 404


def test_api_of_the_audit_is_for_those_who_may_look_and_cannot_be_written(api, admin):
    assert api().get("/api/v1/audit/").status_code in (401, 403)
    assert api().get("/api/v1/audit/threads/a-deed/").status_code in (401, 403)
    assert api(admin).post("/api/v1/audit/", {}).status_code == 405


def test_what_is_done_by_api_is_noted_and_told_under_the_id_of_its_answer(api, admin):
    made = api(admin).post(
        "/api/v1/cameras/", {"name": "Yard", "address": "rtsp://192.0.2.7/1", "kind": "rtsp"}
    )
    assert made.status_code == 201, made.content
    camera = make_camera()
    api(admin).patch(f"/api/v1/cameras/{camera.pk}/", {"name": "Garden"})
    api(admin).delete(f"/api/v1/cameras/{camera.pk}/")

    (created,) = Decision.objects.filter(action="camera_created")
    assert (created.by, created.facts) == ("ada", {"name": "Yard"})
    assert created.correlation_id == made.headers["X-Correlation-ID"]
    assert [step.kind for step in audit.thread(created.correlation_id)] == ["decision", "event"]
    actions = (
        Decision.objects.filter(topic=f"camera.{camera.pk}").order_by("id").values_list("action", flat=True)
    )
    assert list(actions) == ["camera_updated", "camera_deleted"]


def test_a_clock_that_was_silent_says_once_that_it_is_back():
    now = clock.now()
    Pulse.objects.create(name=dispatch.PULSE, kind="clock", at=now - timedelta(minutes=5))
    for _ in range(2):
        dispatch.plan()

    (told,) = Event.objects.filter(type="scheduler_is_back")
    (noted,) = Decision.objects.filter(action="scheduler_is_back")
    assert (told.topic, noted.by, noted.correlation_id) == ("clock", "clock", told.correlation_id)
    assert 299 <= told.payload["silent_s"] <= 360


def test_a_clock_that_ticks_says_nothing():
    Pulse.objects.create(name=dispatch.PULSE, kind="clock", at=clock.now() - timedelta(seconds=2))
    dispatch.plan()
    assert not Event.objects.exists()
