from datetime import timedelta

import pytest

from cameras import changes
from cameras.models import Alert, Camera
from cameras.settings import Settings
from captures import conditions, degraded
from captures.imaging.quality.contract import Evaluation, Reading, Sort
from captures.imaging.quality.table import DETECTORS
from captures.models import JudgedPicture
from media_jobs.models import Decision, Event
from tests.factories import NOON, make_camera

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def follow(camera, settings, verdicts, *, start=NOON, step=MINUTE):
    """Pictures one after the other: "b" is bad, "g" good, "r" a bad one that was only taken once more."""
    for number, verdict in enumerate(verdicts):
        at, is_bad = start + number * step, verdict != "g"
        action = {"b": "flagged", "g": "saved", "r": "retried"}[verdict]
        row(camera, at, is_bad=is_bad, action=action)
        if verdict != "r":
            degraded.note(camera.pk, settings, at, is_bad=is_bad, bad=int(is_bad))
    camera.refresh_from_db()
    return camera


def row(camera, at, *, is_bad=False, action="saved", found=()):
    readings = [{"detector": name, "value": 1.0, "is_found": True} for name in found]
    score = 10 if is_bad else 90
    return JudgedPicture.objects.create(
        camera=camera,
        at=at,
        score=score,
        fast=score,
        action=action,
        is_bad=is_bad,
        elapsed_ms=1,
        readings=readings,
        verdict=found[0] if found else "good",
    )


@pytest.mark.parametrize(
    ("said", "pictures", "reason"),
    [
        (Settings(degraded_count=500), "b" * 10, "bad_in_row"),
        (Settings(degraded_count=500), "b" * 9 + "g" + "b" * 8 + "gb", "bad_share"),
        (Settings(), "bgbgbgbgb", "bad_in_window"),
        (Settings(), "bgbgbgbg" + "r" * 9, None),
        (Settings(degraded_window_min=5), "bgggg" * 5, None),
        (Settings(degraded_count=500), "gb" * 10, None),  # half is not more than half
        (Settings(degraded_count=500), "gb" * 9 + "bb", "bad_share"),
        (Settings(degraded_count=500), "b" * 9, None),  # of fewer than 20 nobody knows the share
    ],
)
def test_rules_of_degraded_mode(said, pictures, reason):
    camera = follow(make_camera(), said, pictures)

    assert camera.is_degraded is (reason is not None)
    assert [*Alert.objects.values_list("kind", "reason")] == ([("degraded", reason)] if reason else [])
    assert camera.glitch_count == pictures.count("b")


def test_degraded_mode_is_left_by_good_pictures_and_not_told_twice():
    camera = follow(make_camera(), Settings(), "b" * 12)
    since = camera.degraded_since
    assert since == NOON + 4 * MINUTE

    later = NOON + 60 * MINUTE
    assert follow(camera, Settings(), "g" * 19 + "b", start=later).degraded_since == since
    follow(camera, Settings(), "g" * 20, start=later + 60 * MINUTE)

    assert (camera.is_degraded, camera.degraded_since, camera.bad_in_row) == (False, None, 0)
    told = Event.objects.filter(type__startswith="alert_").order_by("pk")
    assert [*told.values_list("type", flat=True)] == ["alert_raised", "alert_cleared"]


def test_who_leaves_it_by_hand_begins_anew():
    camera = follow(make_camera(), Settings(), "b" * 12, start=NOON.replace(year=2025))
    assert degraded.leave(camera, by="otto")
    left = Alert.objects.get().cleared_at

    camera = follow(camera, Settings(), "b" * 4, start=left + MINUTE)

    assert (camera.is_degraded, camera.bad_in_row) == (False, 4)
    assert Alert.objects.get().cleared_by == "otto"
    assert Decision.objects.get(action="alert_cleared").by == "otto"
    assert follow(camera, Settings(), "b", start=left + 5 * MINUTE).is_degraded


def test_degraded_camera_is_switched_off_where_that_is_wanted():
    camera = follow(make_camera(), Settings(degraded_disables=True), "b" * 5)

    assert (camera.is_degraded, camera.is_enabled) == (True, False)
    assert "switched off" in Alert.objects.get(cleared_at=None).words
    assert Decision.objects.get(action="camera_updated").by == "clock"
    Camera.objects.update(is_enabled=True)
    assert follow(camera, Settings(degraded_disables=True), "b", start=NOON + 9 * MINUTE).is_enabled


def test_every_condition_that_is_found_has_its_alert():
    names = {detector.name for detector in DETECTORS if detector.sort is Sort.CONDITION}

    assert names <= conditions.KIND_OF_DETECTOR.keys() <= {detector.name for detector in DETECTORS}


def see(camera, *shown, settings=None, at=NOON):
    """Pictures in which the detectors of `shown` find something, one after the other."""
    for number, names in enumerate(shown):
        names = names.split()
        row(camera, at + number * MINUTE, found=names)
        readings = tuple(Reading(name, 1.0, is_found=True) for name in names)
        evaluation = Evaluation(90, 90, None, "", None, (), readings, 1)
        conditions.note(camera, evaluation, settings or Settings(), at + number * MINUTE)
    return sorted(Alert.objects.filter(cleared_at=None).values_list("kind", flat=True))


def test_condition_alarms_after_three_pictures_and_is_over_after_three_without():
    camera = make_camera()

    assert see(camera, "frozen", "frozen") == []
    assert see(camera, "", "frozen", "frozen covered", at=NOON + 10 * MINUTE) == []
    assert see(camera, "frozen covered", at=NOON + 20 * MINUTE) == ["frozen"]
    assert see(camera, "covered", "covered", at=NOON + 30 * MINUTE) == ["covered", "frozen"]
    assert see(camera, "smear", at=NOON + 40 * MINUTE) == ["covered"]
    assert see(camera, "covered", "", "", at=NOON + 50 * MINUTE) == ["covered"]
    assert see(camera, "", at=NOON + 60 * MINUTE) == []
    assert (
        Event.objects.filter(type="alert_raised").count()
        == Event.objects.filter(type="alert_cleared").count()
        == 2
    )


def test_darkness_is_no_alarm_while_the_sun_is_down():
    vienna = make_camera(latitude=48.2, longitude=16.4)
    midnight = NOON.replace(hour=23)

    assert see(vienna, *["dark"] * 5, at=midnight) == []
    assert see(vienna, *["dark"] * 3, at=midnight + timedelta(hours=12)) == ["dark"]


def test_where_nobody_knows_the_place_only_what_no_day_ends_is_no_night():
    camera, hour, evening = make_camera(), timedelta(hours=1), NOON.replace(hour=18)

    for night in range(3):
        assert see(camera, *["dark"] * 3, at=evening + night * 24 * hour) == []
        assert see(camera, *["covered dark"] * 3, at=evening + (night * 24 + 12) * hour) == ["covered"]
        assert see(camera, *["defocused"] * 3, at=evening + (night * 24 + 16) * hour) == ["defocused"]
    assert see(camera, *[""] * 3, at=evening + 65 * hour) == []

    dusk = evening + 72 * hour
    assert see(camera, *["dark"] * 3, at=dusk) == []
    assert see(camera, *["covered dark"] * 3, at=dusk + 22 * hour) == ["covered"]
    assert see(camera, *["dark"] * 3, at=dusk + 23 * hour) == []
    assert see(camera, "dark", at=dusk + 25 * hour) == ["dark"]
    assert see(camera, *["smear"] * 3, at=dusk + 26 * hour) == []


def switch(camera, *, is_on, by="otto"):
    changes.switch([camera], is_on=is_on, by=by)
    camera.refresh_from_db()


def test_degraded_mode_is_over_when_somebody_switches_the_camera_off():
    camera = follow(make_camera(), Settings(), "b" * 12, start=NOON.replace(year=2025))
    switch(camera, is_on=False)
    left = Alert.objects.get().cleared_at

    assert (camera.is_degraded, camera.degraded_since, camera.bad_in_row) == (False, None, 0)
    assert not degraded.leave(camera, by="otto")

    switch(camera, is_on=True)
    assert not follow(camera, Settings(), "b" * 4, start=left + MINUTE).is_degraded
    assert follow(camera, Settings(), "b", start=left + 5 * MINUTE).is_degraded
    assert Alert.objects.filter(cleared_at=None).count() == 1


def test_degraded_mode_that_has_switched_the_camera_off_goes_on_with_its_alert():
    camera = follow(make_camera(), Settings(degraded_disables=True), "b" * 5)
    switch(camera, is_on=True)

    assert camera.is_degraded
    assert Alert.objects.filter(cleared_at=None).count() == 1
    switch(camera, is_on=False)

    assert not camera.is_degraded
    assert not Alert.objects.filter(cleared_at=None).exists()
