"""The weather at the cameras' places: who is asked when, what is kept, and that no capture ever waits for it."""

import json
import logging
import time
from datetime import timedelta

import pytest

from cameras import observations, places, sealing, sky
from cameras.models import GlobalSettings, Weather
from cameras.places import Spot
from captures import ingest
from captures.models import Capture
from media_jobs import clock
from media_jobs.models import Event, MediaJob
from tests import jobs
from tests.campaigns import running
from tests.factories import make_camera, make_capture, make_jpeg, make_timelapse
from tests.test_weather import KEY
from tests.weather_server import OPENWEATHER_429, WeatherServer, in_background

pytestmark = pytest.mark.django_db

VIENNA = {"latitude": 48.2082, "longitude": 16.3738}
PLACE = "48.21,16.37"
NOTED = {"weather_enabled": True}


@pytest.fixture(scope="module")
def _server():
    with in_background(server := WeatherServer()):
        yield server


@pytest.fixture
def server(_server, settings):
    _server.answer = None
    _server.key = KEY
    _server.asked.clear()
    settings.WEATHER_URLS = dict.fromkeys(settings.WEATHER_URLS, _server.url)
    return _server


def say(**said):
    row, _ = GlobalSettings.objects.get_or_create(pk=GlobalSettings.ONLY)
    row.said = row.said | said
    row.save()


def with_key(key):
    say(weather_provider="openweather", openweather_key=sealing.seal(key), **NOTED)


def tick(now=None):
    """The clock's entry and, where it asks for one, the job. How many places it found due."""
    found = observations.request(now or clock.now())
    for job in MediaJob.objects.active().filter(task=observations.FETCH):
        jobs.do(job, observations.fetch)
    return found


def asked_now(by="otto"):
    job, _ = observations.request_now(by=by)
    jobs.do(job, observations.fetch)
    return jobs.now_of(job)


def row():
    return Weather.objects.get(place=PLACE)


def let_pass(**span):
    """So much time goes by for all rows."""
    for weather in Weather.objects.all():
        for name in ("fetched_at", "ask_after", "observed_at"):
            if (moment := getattr(weather, name)) is not None:
                setattr(weather, name, moment - timedelta(**span))
        weather.save()


def test_cameras_of_one_place_share_a_request_an_hour(server):
    say(**NOTED)
    for latitude in (48.2082, 48.2099, 48.2051):
        make_camera(latitude=latitude, longitude=16.3738)
    make_camera(latitude=-33.87, longitude=151.21)
    make_camera(latitude=1, longitude=1, is_enabled=False)
    make_camera(latitude=2, longitude=2, said={"weather_enabled": False})
    make_camera()  # nobody knows where it stands
    assert tick() == 2
    assert sorted(query["latitude"] for _, query in server.asked) == ["-33.87", "48.21"]
    assert tick() == 0
    let_pass(minutes=54)
    assert tick() == 0
    let_pass(minutes=2)
    assert tick() == 2
    assert len(server.asked) == 4


def test_where_it_is_not_wanted_nobody_is_asked(server, operator, api):
    make_camera(**VIENNA)
    assert tick() == 0
    assert asked_now().state == "failed"
    assert api(operator).post("/api/v1/weather/refresh/").status_code == 202
    assert places.reading_for(make_camera(**VIENNA), clock.now()) is None
    assert server.asked == []


def test_a_reading_is_kept_told_and_noted_with_the_captures_of_its_time(server, tmp_path, settings):
    settings.CAMERA_FOLDERS = [tmp_path]
    (tmp_path / "a.jpg").write_bytes(make_jpeg())
    camera = make_camera(kind="files", address=str(tmp_path / "a.jpg"), said=NOTED, **VIENNA)
    assert tick() == 1
    event = Event.objects.get(type="weather_updated")
    kept = row()
    assert event.topic == "weather"
    assert event.payload == {
        "place": PLACE,
        "temperature_c": 13.3,
        "condition": "rain",
        "words": "rain",
        "observed_at": kept.observed_at.isoformat(),
    }
    timelapse = running(camera=camera)
    capture = make_capture(timelapse=timelapse, slot=clock.now())
    ingest.take(capture.pk, worker="w")
    capture.refresh_from_db()
    assert capture.state == Capture.State.STORED
    assert capture.weather == {
        "temperature_c": 13.3,
        "condition": "rain",
        "words": "rain",
        "observed_at": kept.observed_at.isoformat(),
        "provider": "open-meteo",
    }


@pytest.mark.parametrize(
    ("age", "is_noted"), [(timedelta(hours=24), True), (timedelta(hours=25, seconds=1), False)]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_stale_reading_is_not_noted(server, age, is_noted, sign, django_assert_num_queries):
    camera = make_camera(said=NOTED, **VIENNA)
    tick()
    now = row().observed_at + sign * age
    effective = places.effective.of_camera(camera).settings
    with django_assert_num_queries(1):
        assert bool(places.reading_for(camera, now, effective)) is is_noted
    assert sky.sky_of(camera, now).is_stale is not is_noted


def test_a_provider_that_hangs_delays_no_capture(server, tmp_path, settings):
    settings.CAMERA_FOLDERS = [tmp_path]
    (tmp_path / "a.jpg").write_bytes(make_jpeg())
    say(**NOTED)
    camera = make_camera(kind="files", address=str(tmp_path / "a.jpg"), **VIENNA)
    server.answer = "silent"
    assert observations.request(clock.now()) == 1
    capture = make_capture(timelapse=running(camera=camera), slot=clock.now())
    begun = time.monotonic()
    ingest.take(capture.pk, worker="w")
    took = time.monotonic() - begun
    capture.refresh_from_db()
    assert capture.state == Capture.State.STORED
    assert capture.weather is None
    assert took < 10 * 0.9  # the provider's whole time-out is not in it, however slow the machine
    assert server.asked == []  # and nobody was asked on its way


def test_failures_are_tried_again_ever_more_rarely_and_said_in_words(server):
    say(**NOTED)
    make_camera(**VIENNA)
    server.answer = 500, {}, b"<html>"
    waits = []
    for number in range(1, 10):
        assert tick() == 1
        found = row()
        assert found.failures == number
        waits.append(round((found.ask_after - clock.now()).total_seconds() / 60))
        assert tick() == 0
        assert sky.standing().is_failing is (number >= 4)
        let_pass(hours=6)
    assert waits == [5, 10, 20, 40, 80, 160, 320, 360, 360]
    assert sky.standing().words == (
        "Open-Meteo has failed 9 times in a row. Open-Meteo answers with the error 500."
    )
    server.answer = None
    assert tick() == 1
    assert (row().failures, row().last_error, sky.standing().words) == (0, "", "")


def test_a_failure_of_the_provider_stops_the_round_and_one_of_a_place_does_not(server):
    say(**NOTED)
    for number in range(5):
        make_camera(latitude=number, longitude=0)
    server.answer = 503, {"Retry-After": "7200"}, b""
    assert tick() == 5
    assert len(server.asked) == 1
    assert {weather.failures for weather in Weather.objects.all()} == {1}
    wait = Weather.objects.first().ask_after - clock.now()
    assert timedelta(minutes=119) < wait <= timedelta(hours=2)
    let_pass(hours=3)
    server.answer = 200, {}, b"<html>"
    assert tick() == 5
    assert len(server.asked) == 6


def test_a_limit_is_obeyed_also_when_a_person_asks(server):
    with_key(KEY)
    make_camera(**VIENNA)
    server.answer = 429, {"Retry-After": "3600"}, OPENWEATHER_429
    assert asked_now().error_code == "limit_reached"
    refused = asked_now()
    assert (refused.state, refused.error_code) == ("failed", "limit_reached")
    assert "left alone until" in refused.error
    assert len(server.asked) == 1
    let_pass(hours=1)
    server.answer = None
    assert asked_now().result == {"provider": "openweather", "read": 1, "left": 0}


def test_a_person_may_ask_before_the_hour_is_over(server):
    say(**NOTED)
    make_camera(**VIENNA)
    tick()
    assert asked_now().result == {"provider": "open-meteo", "read": 1, "left": 0}
    assert len(server.asked) == 2


def test_the_key_has_a_state_and_is_never_told(server, caplog):
    caplog.set_level(logging.DEBUG)
    make_camera(**VIENNA)
    say(weather_provider="openweather", **NOTED)
    assert sky.standing().key_state == "missing"
    assert tick() == 0
    wrong = "f" * 32
    with_key(wrong)
    assert sky.standing().key_state == "unknown"
    job, _ = observations.request_check(by="ada")
    jobs.do(job, observations.check_key)
    assert jobs.now_of(job).result["state"] == "refused"
    assert sky.standing().key_state == "refused"
    with_key(KEY)
    assert sky.standing().key_state == "unknown"  # what was refused was another one
    assert tick() == 1  # and its failure delays nobody
    assert sky.standing().key_state == "valid"
    assert asked_now().state == "done"
    told = caplog.text + json.dumps(
        [list(model.objects.values()) for model in (Weather, Event, MediaJob)], default=str
    )
    assert KEY not in told
    assert wrong not in told
    assert KEY not in str(GlobalSettings.objects.get().said)
    assert KEY not in repr(observations.account(places.effective.globally()))


def test_a_key_is_checked_where_no_camera_wants_the_weather_yet(server):
    say(weather_provider="openweather", openweather_key=sealing.seal(KEY))
    job, _ = observations.request_check(by="ada")
    jobs.do(job, observations.check_key)
    assert jobs.now_of(job).result == {"state": "valid", "words": "OpenWeather takes the key."}
    assert sky.standing().key_state == "valid"
    observations.request(clock.now() + timedelta(hours=26))
    assert not Weather.objects.exists()  # it was nobody's place


def test_another_provider_is_asked_at_once_and_the_old_reading_counts_meanwhile(server):
    say(**NOTED)
    camera = make_camera(**VIENNA)
    tick()
    with_key(KEY)
    server.answer = 500, {}, b""
    assert tick() == 1
    assert places.reading_for(camera, clock.now())["provider"] == "open-meteo"
    say(weather_provider="open-meteo")
    server.answer = None
    assert tick() == 1  # what the other one has failed at is not its fault
    with_key(KEY)
    assert tick() == 1
    assert places.reading_for(camera, clock.now())["provider"] == "openweather"


@pytest.mark.parametrize(
    ("celsius", "celsius_words", "fahrenheit_words"),
    [(13.3, "13 °C", "56 °F"), (-0.4, "0 °C", "31 °F"), (-40, "−40 °C", "−40 °F"), (None, "", "")],
)
def test_temperatures_are_shown_in_the_unit_that_is_set(celsius, celsius_words, fahrenheit_words):
    assert sky.temperature(celsius, "celsius") == celsius_words
    assert sky.temperature(celsius, "fahrenheit") == fahrenheit_words


def test_the_api_lists_the_places_and_takes_wishes_by_role(server, viewer, operator, admin, api):
    with_key(KEY)
    make_camera(**VIENNA)
    tick()
    found = api(viewer).get("/api/v1/weather/").json()
    assert found["count"] == 1
    expected = {
        "place": PLACE,
        "latitude": 48.21,
        "longitude": 16.37,
        "temperature_c": 11.9,
        "condition": "rain",
    }
    assert expected.items() <= found["results"][0].items()
    assert found["results"][0]["is_stale"] is False
    state = api(viewer).get("/api/v1/weather/provider/").json()
    assert {"provider": "openweather", "key_state": "valid", "is_failing": False}.items() <= state.items()
    assert KEY not in json.dumps([found, state])
    for user, address, status in (
        (viewer, "refresh", 403),
        (operator, "refresh", 202),
        (operator, "check-key", 403),
        (admin, "check-key", 202),
    ):
        assert api(user).post(f"/api/v1/weather/{address}/").status_code == status
    assert make_timelapse().captures.count() == 0
    assert Spot.of_key(PLACE) == Spot(48.21, 16.37)
