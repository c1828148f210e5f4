"""Settings that people change: all or nothing, with history and word, secrets sealed, and nobody overwrites another."""

import json
import logging
import re
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection

from cameras import configured, effective, sealing
from cameras.configured import change, global_row
from cameras.models import Camera, GlobalSettings, SettingChange
from cameras.settings import Level, Settings, SettingsRefused, options
from captures.effective import of_timelapse
from captures.models import Timelapse
from media_jobs.models import Decision, Event
from tests.factories import NOON, make_camera, make_timelapse

KEY = "k3y-0f-the-sky"


def said_of(row):
    return type(row).objects.get(pk=row.pk).said


@pytest.fixture
def timelapse(db):
    return make_timelapse()


def test_the_nearest_level_counts_and_inherit_takes_its_word_back(timelapse):
    levels = [
        (Level.GLOBAL, global_row(), 80),
        (Level.CAMERA, timelapse.camera, 60),
        (Level.TIMELAPSE, timelapse, 40),
    ]
    found = []

    for level, target, threshold in levels:
        assert change(level, target, {"quality_threshold": threshold}, by="ada", now=NOON) == [
            "quality_threshold"
        ]
        found.append(of_timelapse(timelapse).settings.quality_threshold)
    for level, target, _ in reversed(levels):
        change(level, target, {"quality_threshold": configured.INHERIT}, by="ada", now=NOON)
        found.append(of_timelapse(timelapse).settings.quality_threshold)

    assert found == [80, 60, 40, 60, 80, 70]
    assert [said_of(target) for _, target, _ in levels] == [{}, {}, {}]


def test_a_change_has_its_history_its_decision_and_one_event_with_names_only(timelapse):
    camera = timelapse.camera
    change(Level.CAMERA, camera, {"small_mode": "latest"}, by="otto", now=NOON)
    later = NOON + timedelta(hours=1)

    moved = change(
        Level.CAMERA,
        camera,
        {"small_mode": None, "quality_heavy": True, "quality_retry": None, "jpeg_quality": 77},
        by="ada",
        now=later,
    )

    assert moved == ["jpeg_quality", "quality_heavy", "small_mode"]
    rows = SettingChange.objects.filter(at=later).values_list("by", "level", "topic", "name", "old", "new")
    topic = f"camera.{camera.pk}"
    assert sorted(rows) == [
        ("ada", "camera", topic, "jpeg_quality", None, 77),
        ("ada", "camera", topic, "quality_heavy", None, True),
        ("ada", "camera", topic, "small_mode", "latest", None),
    ]
    event = Event.objects.latest("id")
    assert (event.type, event.topic) == ("settings_changed", topic)
    assert event.payload == {"level": "camera", "names": moved, "by": "ada"}
    assert Decision.objects.latest("id").action == "settings_changed"


def test_what_is_set_to_what_it_is_changes_nothing(timelapse):
    change(Level.TIMELAPSE, timelapse, {"jpeg_quality": 80}, by="ada", now=NOON)

    assert change(Level.TIMELAPSE, timelapse, {"jpeg_quality": 80}, by="eva", now=NOON) == []
    assert SettingChange.objects.count() == Event.objects.filter(type="settings_changed").count() == 1


def test_every_problem_is_told_by_its_name_and_then_nothing_is_changed(timelapse):
    wanted = {
        "jpeg_quality": 20,
        "quality_heavy": "yes",
        "keep_original": True,
        "small_mode": "some",
        "nonsense": 1,
        "quality_retry": False,
    }

    with pytest.raises(SettingsRefused) as refused:
        change(Level.TIMELAPSE, timelapse, wanted, by="ada", now=NOON)

    assert refused.value.problems == {
        "jpeg_quality": "At least 50.",
        "quality_heavy": "Yes or no.",
        "keep_original": "It cannot be set for one timelapse.",
        "small_mode": "One of: all, latest, disabled.",
        "nonsense": "There is no such setting.",
    }
    assert (said_of(timelapse), SettingChange.objects.count()) == ({}, 0)


def test_a_place_is_said_whole_or_not_at_all(db):
    with pytest.raises(SettingsRefused) as refused:
        change(Level.GLOBAL, global_row(), {"latitude": 48.2}, by="ada", now=NOON)
    change(Level.GLOBAL, global_row(), {"latitude": 48.2, "longitude": 16.4}, by="ada", now=NOON)
    with pytest.raises(SettingsRefused):
        change(Level.GLOBAL, global_row(), {"longitude": None}, by="ada", now=NOON)

    assert refused.value.problems == {"longitude": "A place has both, latitude and longitude."}
    assert (effective.globally().latitude, effective.globally().longitude) == (48.2, 16.4)


def test_a_secret_is_sealed_and_told_to_nobody(db, caplog):
    caplog.set_level(logging.DEBUG)

    for value in (KEY, KEY, "another", ""):
        change(Level.GLOBAL, global_row(), {"openweather_key": value}, by="ada", now=NOON)
        assert effective.secret(effective.globally(), "openweather_key") == value
        assert KEY not in json.dumps(global_row().said)
        assert KEY not in repr(effective.globally())

    told = SettingChange.objects.order_by("id").values_list("old", "new")
    assert list(told) == [(None, "set"), (None, "set"), (None, "removed")]
    rows = [repr(row) for model in (SettingChange, Event, Decision) for row in model.objects.values()]
    assert KEY not in "\n".join([*rows, caplog.text])


def test_a_secret_that_no_key_opens_is_replaced(db, settings):
    change(Level.GLOBAL, global_row(), {"openweather_key": KEY}, by="ada", now=NOON)

    settings.SEALING_KEYS = [Fernet.generate_key().decode()]

    change(Level.GLOBAL, global_row(), {"jpeg_quality": 70}, by="ada", now=NOON)
    change(Level.GLOBAL, global_row(), {"openweather_key": KEY}, by="ada", now=NOON)

    assert sealing.unseal(global_row().said["openweather_key"]) == KEY


def test_what_somebody_else_has_changed_since_is_not_overwritten_unseen(timelapse):
    camera = timelapse.camera
    early = Camera.objects.get(pk=camera.pk)
    change(Level.CAMERA, camera, {"jpeg_quality": 80, "quality_retry": False}, by="ada", now=NOON)

    change(Level.CAMERA, early, {"small_mode": "latest"}, by="eva", now=NOON, seen={"small_mode": None})
    with pytest.raises(SettingsRefused) as refused:
        change(Level.CAMERA, early, {"jpeg_quality": 60}, by="eva", now=NOON, seen={"jpeg_quality": None})

    assert list(refused.value.problems) == ["jpeg_quality"]
    assert said_of(camera) == {"jpeg_quality": 80, "quality_retry": False, "small_mode": "latest"}


@pytest.mark.django_db(transaction=True)
def test_two_who_save_at_once_keep_each_others_fields():
    camera = make_camera()
    wishes = [{"jpeg_quality": 80}, {"small_mode": "latest"}, {"quality_heavy": True}, {"offline_after": 9}]
    start = Barrier(len(wishes))

    def save(wish):
        start.wait(10)
        change(Level.CAMERA, Camera.objects.get(pk=camera.pk), wish, by="ada", now=NOON)
        change(Level.GLOBAL, global_row(), wish, by="ada", now=NOON)
        connection.close()

    threads = [Thread(target=save, args=[wish]) for wish in wishes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    everything = {name: value for wish in wishes for name, value in wish.items()}
    assert said_of(camera) == everything
    assert GlobalSettings.objects.get().said == everything


def test_an_old_row_stops_nothing(timelapse):
    """A value that is out of bounds by now, and a name that is gone, are passed over and kept."""
    Timelapse.objects.filter(pk=timelapse.pk).update(said={"gone": 1, "jpeg_quality": 7})
    timelapse.refresh_from_db()

    change(Level.TIMELAPSE, timelapse, {"quality_retry": False}, by="ada", now=NOON)

    assert of_timelapse(timelapse).settings.jpeg_quality == 90
    assert said_of(timelapse) == {"gone": 1, "jpeg_quality": 7, "quality_retry": False}


def test_a_secret_follows_the_newest_key(db, settings):

    change(Level.GLOBAL, global_row(), {"openweather_key": KEY}, by="ada", now=NOON)
    newest = Fernet.generate_key().decode()
    settings.SEALING_KEYS = [newest, *settings.SEALING_KEYS]

    call_command("rotate_sealing_key")
    settings.SEALING_KEYS = [newest]

    assert effective.secret(effective.globally(), "openweather_key") == KEY


def test_the_table_of_the_documentation_is_the_catalogue():
    text = (Path(__file__).parents[1] / "docs" / "settings.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)` \| (.+?) \| (\w+) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)

    for name, label, level, takes, default in told:
        option = options(Settings)[name]
        assert (label, level) == (option.label, option.levels[-1].value)
        if option.minimum is not None:
            assert takes.startswith(f"{option.minimum:.10g} to {option.maximum:.10g}"), name
        if isinstance(option.default, int | str) and option.default != "" and option.kind is not bool:
            assert default.strip("`") == str(option.default), name
    assert [name for name, *_ in told] == list(options(Settings))
