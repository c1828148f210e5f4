"""Settings in the API: each level sees what counts and who says so, and every problem at its field."""

import json

import pytest

from cameras.configured import change, global_row
from cameras.models import Camera, GlobalSettings
from cameras.settings import Level, Settings, SettingsRefused, merged, options, resolve
from captures.effective import of_timelapse
from captures.models import Timelapse
from media_jobs.models import Event
from tests.factories import NOON, make_timelapse
from tests.test_api_fuzz import BODIES, NONSENSE, is_fine

KEY = "k3y-0f-the-sky"


@pytest.fixture
def timelapse(db):
    return make_timelapse()


def lines(client, where=""):
    answer = client.get(f"/api/v1/{where}settings/")
    assert answer.status_code == 200
    return {line["name"]: line for line in answer.json()["settings"]}


def test_each_level_says_what_counts_and_where_it_comes_from(viewer, api, timelapse):
    client, camera = api(viewer), timelapse.camera
    change(Level.GLOBAL, global_row(), {"jpeg_quality": 80, "quality_threshold": 60}, by="ada", now=NOON)
    change(Level.CAMERA, camera, {"jpeg_quality": 75}, by="ada", now=NOON)
    change(Level.TIMELAPSE, timelapse, {"jpeg_quality": 65}, by="ada", now=NOON)

    at_all, of_camera, of_timelapse_ = (
        lines(client, where) for where in ("", f"cameras/{camera.pk}/", f"timelapses/{timelapse.pk}/")
    )

    assert list(at_all) == list(of_camera) == list(of_timelapse_) == list(options(Settings))
    told = ("value", "origin", "own", "inherited", "inherited_from", "is_settable", "is_set")
    assert [of_camera["jpeg_quality"][name] for name in told] == [75, "camera", 75, 80, "global", True, True]
    assert [of_timelapse_["jpeg_quality"][name] for name in told] == [
        *(65, "timelapse", 65, 75, "camera", True, True)
    ]
    assert [of_timelapse_["quality_threshold"][name] for name in told] == [
        *(60, "global", None, 60, "global", True, False)
    ]
    assert [at_all["small_mode"][name] for name in told] == [
        *("all", "default", None, "all", "default", True, False)
    ]
    assert [of_timelapse_["weather_provider"][name] for name in ("value", "is_settable", "levels")] == [
        *("open-meteo", False, ["global"])
    ]
    assert [at_all["small_mode"][name] for name in ("kind", "group", "choices")] == [
        "text",
        "Thumbnails",
        [
            {"value": "all", "label": "of each picture"},
            {"value": "latest", "label": "of the newest one only"},
            {"value": "disabled", "label": "none"},
        ],
    ]


def test_a_change_is_in_force_at_once_and_null_inherits_again(operator, admin, api, timelapse):
    path = f"/api/v1/timelapses/{timelapse.pk}/settings/"
    client = api(operator)

    answer = client.patch(path, {"quality_threshold": 55, "quality_retry": False}, format="json")
    found = of_timelapse(Timelapse.objects.get(pk=timelapse.pk)).settings
    again = client.patch(path, {"quality_threshold": None}, format="json")

    assert (answer.status_code, found.quality_threshold, found.quality_retry) == (200, 55, False)
    line = next(one for one in again.json()["settings"] if one["name"] == "quality_threshold")
    assert (line["value"], line["origin"]) == (70, "default")
    history = client.get(f"/api/v1/settings/history/?topic=timelapse.{timelapse.pk}").json()["results"]
    told = [(row["by"], row["name"], row["old"], row["new"]) for row in history]
    assert told[0] == ("otto", "quality_threshold", 55, None)
    assert set(told[1:]) == {("otto", "quality_threshold", None, 55), ("otto", "quality_retry", None, False)}
    assert client.get("/api/v1/settings/history/?topic=camera.1").json()["count"] == 0


def test_every_problem_is_at_its_field_and_nothing_is_changed(admin, api, timelapse):
    wanted = {
        "jpeg_quality": 20,
        "small_mode": "some",
        "thumbnail_batch": 3,
        "gone": 1,
        "quality_retry": False,
    }

    answer = api(admin).patch(f"/api/v1/cameras/{timelapse.camera_id}/settings/", wanted, format="json")

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["errors"] == {
        "jpeg_quality": ["At least 50."],
        "small_mode": ["One of: all, latest, disabled."],
        "thumbnail_batch": ["It cannot be set for one camera."],
        "gone": ["There is no such setting."],
    }
    assert Camera.objects.get().said == {}


def test_a_key_goes_in_and_never_comes_out(superuser, api, pages, caplog):
    client = api(superuser)

    answers = [
        client.patch("/api/v1/settings/", {"openweather_key": KEY}, format="json"),
        client.patch("/api/v1/settings/", {"openweather_key": [KEY]}, format="json"),
        client.patch("/api/v1/settings/", {"openweather_key": KEY + "\n"}, format="json"),
        client.get("/api/v1/settings/"),
        client.get("/api/v1/settings/history/"),
        client.get("/api/v1/events/?since=0"),
        client.get("/api/v1/audit/"),
        client.post("/api/v1/configuration/export/", {}, format="json"),
        *(pages(superuser).get(path) for path in ("/settings/", "/audit/")),
        *(pages(superuser).get(f"/admin/cameras/{table}/") for table in ("globalsettings", "settingchange")),
        pages(superuser).get("/admin/cameras/globalsettings/1/change/"),
    ]

    assert [answer.status_code for answer in answers] == [200, 400, 400, *[200] * 10]
    everything = "\n".join(answer.content.decode() for answer in answers) + caplog.text
    sealed = GlobalSettings.objects.get().said["openweather_key"]
    assert KEY not in everything
    assert sealed not in everything
    line = lines(client)["openweather_key"]
    assert [line[name] for name in ("value", "own", "inherited", "is_set")] == [None, None, None, True]


def test_the_word_goes_to_those_who_follow_the_topic(admin, api, timelapse):
    api(admin).patch("/api/v1/settings/", {"jpeg_quality": 80}, format="json")

    told = api(admin).get("/api/v1/events/?since=0&topics=settings").json()["events"]

    assert [(event["type"], event["payload"]) for event in told] == [
        ("settings_changed", {"level": "global", "names": ["jpeg_quality"], "by": "ada"})
    ]
    assert Event.objects.count() == 1


def test_bodies_that_are_none_are_told(admin, api, timelapse):
    client = api(admin)

    for where in ("", f"cameras/{timelapse.camera_id}/", f"timelapses/{timelapse.pk}/"):
        for body in BODIES.values():
            answer = client.patch(f"/api/v1/{where}settings/", body, content_type="application/json")
            assert is_fine(answer), (where, body[:200], answer.status_code, answer.content)


@pytest.mark.parametrize(
    "name", ["jpeg_quality", "quality_retry", "small_mode", "quality_ignored", "latitude"]
)
def test_nonsense_is_told(admin, api, name):
    client = api(admin)

    for value in NONSENSE.values():
        answer = client.patch("/api/v1/settings/", json.dumps({name: value}), content_type="application/json")
        assert is_fine(answer), (value, answer.status_code, answer.content)


def test_no_setting_takes_nonsense():
    """All of them, without the way through the API."""
    for name in options(Settings):
        for value in NONSENSE.values():
            try:
                taken = merged(Level.GLOBAL, {}, {name: value})
            except SettingsRefused:
                continue
            kept = json.loads(json.dumps(taken, allow_nan=False))
            default = options(Settings)[name].default
            expected = default if value is None else tuple(value) if isinstance(value, list) else value
            assert getattr(resolve(kept).settings, name) == expected
