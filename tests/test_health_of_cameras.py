"""Cameras' health: states and their counts, alerts told once, back-off of what is offline, settings obeyed."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection as database

from cameras import alerts, changes, health, probing
from cameras.models import Alert, Camera, GlobalSettings
from cameras.settings import Settings
from media_jobs import audit, clock
from media_jobs.models import Decision, Event, MediaJob
from media_jobs.tracked import Running
from tests.factories import NOON, make_camera, make_jpeg

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
GONE = {"code": "camera_refused", "message": "Nothing listens."}


def fail(camera, times, now=NOON, **kw):
    for _ in range(times):
        health.note_failure(camera.pk, now, **(GONE | kw))
    camera.refresh_from_db()
    return camera


def told(type_):
    return Event.objects.filter(type=type_).count(), Decision.objects.filter(action=type_).count()


def everybody(**said):
    GlobalSettings.objects.update_or_create(pk=1, defaults={"said": said})


def test_a_camera_goes_from_online_over_degraded_to_offline_and_back_and_each_is_told_once():
    camera = make_camera()
    health.note_success(camera.pk, NOON)

    fail(camera, 4, NOON + MINUTE)
    assert (camera.health, camera.health_since, camera.consecutive_failures) == (
        "degraded",
        NOON + MINUTE,
        4,
    )
    assert not Alert.objects.exists()

    fail(camera, 3, NOON + 2 * MINUTE)
    assert (camera.health, camera.health_since, camera.consecutive_failures) == (
        "offline",
        NOON + 2 * MINUTE,
        7,
    )
    alert = Alert.objects.get()
    assert (alert.kind, alert.reason, alert.raised_at, alert.cleared_at) == (
        "offline",
        "camera_refused",
        NOON + 2 * MINUTE,
        None,
    )
    assert alert.words == f"Nothing listens. {health.advice_for('camera_refused')}"

    for minutes in (3, 4):
        health.note_success(camera.pk, NOON + minutes * MINUTE)
    camera.refresh_from_db()
    alert.refresh_from_db()
    assert (camera.health, camera.health_since) == ("online", NOON + 3 * MINUTE)
    assert (camera.consecutive_failures, camera.last_error, camera.probe_after) == (0, "", None)
    assert (alert.cleared_at, alert.cleared_by) == (NOON + 3 * MINUTE, audit.CLOCK)
    assert told("alert_raised") == told("alert_cleared") == (1, 1)
    states = Event.objects.filter(type="camera_health_changed").order_by("pk")
    assert [event.payload["health"] for event in states] == ["online", "degraded", "offline", "online"]


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_notice_at_once_tell_once():
    camera = make_camera()

    at_once(8, lambda: health.note_failure(camera.pk, clock.now(), **GONE))
    camera.refresh_from_db()
    assert (camera.health, camera.consecutive_failures) == ("offline", 8)
    assert told("alert_raised") == (1, 1)

    at_once(4, lambda: health.note_success(camera.pk, clock.now()))
    assert told("alert_cleared") == (1, 1)

    at_once(
        4, lambda: alerts.raise_alert(camera.pk, Alert.Kind.FROZEN, clock.now(), reason="frozen", words="")
    )
    at_once(4, lambda: alerts.clear(camera.pk, Alert.Kind.FROZEN, clock.now()))
    assert told("alert_raised") == told("alert_cleared") == (2, 2)


def at_once(count, deed):
    line = threading.Barrier(count)

    def run(_):
        line.wait()
        try:
            deed()
        finally:
            database.close()

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(run, range(count)))


def test_how_many_failures_make_offline_is_the_camera_s_own_setting_or_everybody_s():
    everybody(offline_after=3)
    own, other = make_camera(said={"offline_after": 2}), make_camera()

    assert (fail(own, 2).health, fail(other, 2).health) == ("offline", "degraded")
    assert fail(other, 1).health == "offline"


def test_switched_off_here_no_alert_stays_open_and_the_person_is_named(api, admin):
    camera = fail(make_camera(), 5)
    alerts.raise_alert(camera.pk, Alert.Kind.MOVED, NOON, reason="moved", words="")

    assert api(admin).patch(f"/api/v1/cameras/{camera.pk}/", {"is_enabled": False}).status_code == 200

    camera.refresh_from_db()
    assert (camera.health, camera.consecutive_failures) == ("unknown", 0)
    assert set(Alert.objects.values_list("kind", "cleared_by")) == {("offline", "ada"), ("moved", "ada")}
    assert not Alert.objects.filter(cleared_at=None).exists()
    fail(camera, 5)  # a straggler's word
    assert not Alert.objects.filter(cleared_at=None).exists()


def test_what_has_made_the_clock_switch_it_off_stays_said():
    camera = make_camera()
    for kind in (Alert.Kind.DEGRADED, Alert.Kind.DARK):
        alerts.raise_alert(camera.pk, kind, NOON, reason="10_in_a_row", words="")

    changes.switch([camera], is_on=False, by=audit.CLOCK)

    assert list(Alert.objects.filter(cleared_at=None).values_list("kind", flat=True)) == ["degraded"]


@pytest.mark.parametrize(
    ("longest_s", "waits_s"),
    [(1800, [60, 60, 60, 120, 240, 480, 960, 1800, 1800]), (60, [60] * 9), (100, [60, 60, 60] + [100] * 6)],
)
def test_an_offline_camera_is_asked_quickly_first_and_then_ever_more_rarely(longest_s, waits_s):
    camera = fail(make_camera(said={"probe_offline_s": longest_s}), 5)
    waited = []
    for _ in waits_s:
        waited.append(round((camera.probe_after - camera.last_failure_at).total_seconds()))
        assert probing.due(camera.probe_after - timedelta(seconds=1)) == []
        assert probing.due(camera.probe_after) == [camera]
        fail(camera, 1, camera.probe_after, is_probe=True)
    assert waited == waits_s
    assert health.back_off(10_000, 86_400) == timedelta(days=1)


def test_a_capture_s_failure_puts_the_next_probe_off_and_counts_as_none():
    camera = fail(make_camera(), 5)
    fail(camera, 5, NOON + MINUTE)
    assert (camera.probe_count, camera.probe_after) == (0, NOON + 2 * MINUTE)


def test_a_lowered_setting_counts_at_once_and_many_settings_cost_no_more_queries(
    django_assert_num_queries,
):
    offline = fail(make_camera(), 5)
    for _ in range(6):
        fail(offline, 1, is_probe=True)
    well = [make_camera(said={"probe_well_s": seconds}) for seconds in (60, 3600)] + [make_camera()]
    for camera in well:
        health.note_success(camera.pk, NOON)

    with django_assert_num_queries(2):
        assert probing.due(NOON + timedelta(seconds=90)) == [well[0]]
    everybody(probe_well_s=70, probe_offline_s=80)
    with django_assert_num_queries(2):
        assert probing.due(NOON + timedelta(seconds=90)) == [well[0], well[2], offline]


def test_a_refused_login_is_not_tried_each_minute():
    camera = fail(make_camera(), 1, code="login_refused")
    other = fail(make_camera(), 1)
    assert probing.due(NOON + MINUTE) == [other]
    assert probing.due(NOON + 5 * MINUTE) == [camera, other]
    assert "lock accounts" in health.advice_for("login_refused")
    assert health.next_probe_at(camera, Settings()) == NOON + 5 * MINUTE


def test_a_probe_notices_the_recovery_and_a_new_address_is_asked_soon(settings, tmp_path, api, admin):
    settings.CAMERA_FOLDERS = [tmp_path]
    (tmp_path / "there.jpg").write_bytes(make_jpeg())
    camera = fail(make_camera(kind="files", address=str(tmp_path / "missing.jpg")), 5, clock.now())
    assert probing.due(clock.now()) == []

    wish = {"kind": "files", "address": str(tmp_path / "there.jpg")}
    assert api(admin).patch(f"/api/v1/cameras/{camera.pk}/", wish).status_code == 200
    assert probing.request(clock.now()) == 1
    probing.ask(Running(MediaJob.objects.get(task="cameras.ask")))

    assert Camera.objects.get().health == "online"
    assert Alert.objects.get().cleared_by == audit.CLOCK
