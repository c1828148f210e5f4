"""No setting without effect: each one is changed as people change it, and what real components then do is observed."""

from datetime import timedelta
from io import BytesIO

import pytest
from PIL import Image

from cameras import effective, health, observations, places, probing
from cameras.configured import change, global_row
from cameras.models import Camera, Weather
from cameras.settings import Level, Settings, options
from captures import campaign, degraded, derivatives, ledger, quarantine
from captures.effective import of_timelapse
from captures.imaging.quality.table import DETECTORS
from captures.intervalometer import Plan
from captures.models import Capture, JudgedPicture, Timelapse
from captures.versions import checked_timetable
from media_jobs import clock, files, kinds, lifecycle, tracked
from tests import weather_server
from tests.factories import make_camera, make_jpeg, make_stored_capture, make_timelapse
from tests.test_quality_domain import BAD, GOOD, SCENE, Giving, take
from tests.weather_server import WeatherServer
from timelapser.demo.background import InBackground
from timelapser.demo.http_camera import HttpCamera

pytestmark = pytest.mark.django_db
EFFECTS = {}


def effect_of(*names):
    """The function shows what these settings do; it is given the world to do it in."""

    def register(function):
        EFFECTS.update(dict.fromkeys(names, function))
        return function

    return register


class World:
    """A running timelapse of a real camera, and `say`, which changes settings at the nearest level that takes them."""

    def __init__(self, server, broker):
        self.server, self.broker = server, broker
        self.giving = server.routes["/given.jpg"] = Giving()
        camera = make_camera(kind="http", address=server.address("/given.jpg"), deadline_s=3)
        self.timelapse = make_timelapse(camera=camera, interval_s=3600)
        campaign.start(self.timelapse, by="otto")

    @property
    def camera(self):
        return Camera.objects.get(pk=self.timelapse.camera_id)

    def say(self, **wanted):
        for name, value in wanted.items():
            level = options(Settings)[name].levels[-1]
            target = {
                Level.GLOBAL: global_row,
                Level.CAMERA: lambda: self.camera,
                Level.TIMELAPSE: lambda: Timelapse.objects.get(pk=self.timelapse.pk),
            }[level]()
            both = {"latitude": 48.2, "longitude": 16.4} if name in {"latitude", "longitude"} else {}
            change(level, target, both | {name: value}, by="ada", now=clock.now())

    def take(self, *given):
        """One picture, of a camera that gives these; the last one for ever."""
        self.giving.answers, self.giving.asked = list(given), 0
        return take(self.timelapse)

    def derive(self, capture):
        row = Capture.objects.select_related("timelapse__camera").get(pk=capture.pk)
        derivatives.derive(row, derivatives.wanted_of(row.timelapse))
        row.refresh_from_db()
        return row


@pytest.fixture(scope="module")
def server():
    camera = HttpCamera(SCENE)
    with InBackground(camera):
        yield camera


@pytest.fixture
def world(server, broker, settings):
    settings.ALLOW_LOOPBACK_CAMERAS = True
    settings.MIN_FREE_BYTES = 0
    return World(server, broker)


@pytest.mark.parametrize("name", options(Settings))
def test_every_setting_does_something(world, name, request):
    EFFECTS[name](world, request)


def test_every_detector_can_be_left_out():
    assert options(Settings)["quality_ignored"].choices == tuple((one.name, one.title) for one in DETECTORS)


# --- pictures ---


def turned(world):
    Camera.objects.filter(pk=world.camera.pk).update(geometry={"rotate": 90})
    return world.take(GOOD)


@effect_of("jpeg_quality")
def pictures_are_encoded_coarsely_or_finely(world, _):
    world.say(jpeg_quality=50)
    coarse = turned(world)
    world.say(jpeg_quality=95)

    assert len(files.read(coarse.file)) < len(files.read(turned(world).file))


@effect_of("keep_original")
def the_cameras_own_bytes_are_kept_too(world, _):
    without = turned(world)
    world.say(keep_original=True)

    assert (without.original, files.read(turned(world).original)) == ("", GOOD)


@effect_of("new_interval_s")
def new_timelapses_have_another_interval(world, request):
    client = request.getfixturevalue("api")(request.getfixturevalue("operator"))
    browser = request.getfixturevalue("pages")(request.getfixturevalue("operator"))

    def found():
        made = client.post("/api/v1/timelapses/", {"camera": world.camera.pk, "name": "Another"}).json()
        page = browser.get(f"/cameras/{world.camera.pk}/start/").content.decode()
        return made["plan_words"], "every 5 min" in page, "every 12 min" in page

    before = found()
    world.say(new_interval_s=720)

    assert before == ("every 5 min", True, False)
    assert found() == ("every 12 min", False, True)


# --- quality ---


@effect_of("quality_enabled")
def nobody_judges(world, _):
    judged = world.take(BAD)
    world.say(quality_enabled=False)

    assert (judged.is_flagged, world.take(BAD).score) == (True, None)


@effect_of("quality_heavy")
def more_is_asked(world, _):
    def asked():
        return {one["detector"] for one in JudgedPicture.objects.get(capture=world.take(GOOD)).readings}

    quickly = asked()
    world.say(quality_heavy=True)

    assert {"blur", "edges", "noise"} <= asked() - quickly


@effect_of("quality_threshold")
def a_bad_one_is_good_enough(world, _):
    strict = world.take(BAD)
    world.say(quality_threshold=strict.score)

    assert (strict.is_flagged, world.take(BAD).is_flagged) == (True, False)


@effect_of("quality_retry")
def it_is_not_taken_once_more(world, _):
    world.take(BAD)
    twice = world.giving.asked
    world.say(quality_retry=False)
    world.take(BAD)

    assert (twice, world.giving.asked) == (2, 1)


@effect_of("quality_discard")
def it_is_discarded_instead_of_flagged(world, _):
    flagged = world.take(BAD)
    world.say(quality_discard=True)

    assert (flagged.state, world.take(BAD).state) == ("stored", "discarded")


@effect_of("quality_ignored")
def some_detectors_are_not_asked(world, _):
    def readings():
        return JudgedPicture.objects.filter(capture=world.take(BAD)).latest("pk").readings

    found = {one["detector"] for one in readings() if one["is_found"]}
    world.say(quality_retry=False, quality_ignored=sorted(found))

    assert found
    assert not found & {one["detector"] for one in readings()}


@effect_of("quarantine_days")
def what_is_discarded_waits_longer(world, _):
    world.say(quality_discard=True, quarantine_days=3)
    capture = world.take(BAD)

    assert capture.quarantine_until - capture.taken_at < timedelta(days=3, minutes=5)
    world.say(quarantine_days=9)
    assert world.take(BAD).quarantine_until - capture.taken_at > timedelta(days=8)


@effect_of("evaluation_days")
def evaluations_are_forgotten_earlier(world, _):
    world.take(GOOD)
    in_a_week = clock.now() + timedelta(days=7)

    kept = quarantine.tidy(in_a_week)
    world.say(evaluation_days=6)

    assert (kept[1], quarantine.tidy(in_a_week)[1]) == (0, 1)


# --- degraded mode ---


def is_degraded_after(world, *given):
    for one in given:
        world.take(one)
    return world.camera.is_degraded


@effect_of("degraded_in_row")
def fewer_in_a_row_are_enough(world, _):
    world.say(degraded_count=500, degraded_in_row=3)

    assert not is_degraded_after(world, BAD, BAD)
    assert is_degraded_after(world, BAD)


@effect_of("degraded_count")
def fewer_within_the_window_are_enough(world, _):
    world.say(degraded_count=2)

    assert not is_degraded_after(world, BAD, GOOD)
    assert is_degraded_after(world, BAD)


@effect_of("degraded_window_min")
def the_window_is_wider(world, _):
    world.say(degraded_count=2)
    world.take(BAD)
    JudgedPicture.objects.update(at=clock.now() - timedelta(minutes=50))

    assert not is_degraded_after(world, BAD, GOOD)
    JudgedPicture.objects.filter(is_bad=True).update(at=clock.now() - timedelta(minutes=50))
    world.say(degraded_window_min=60)
    assert is_degraded_after(world, BAD)


@effect_of("degraded_share")
def a_smaller_share_is_enough(world, _):
    world.say(degraded_count=500, degraded_share=20)
    common = {
        "camera": world.camera,
        "at": clock.now(),
        "action": "saved",
        "score": 50,
        "fast": 50,
        "elapsed_ms": 1,
    }
    rows = [JudgedPicture(is_bad=number % 4 == 0, **common) for number in range(19)]

    assert not is_degraded_after(world, BAD)
    JudgedPicture.objects.bulk_create(rows)
    assert is_degraded_after(world, BAD)
    Camera.objects.update(is_degraded=False)
    world.say(degraded_share=60)
    assert not is_degraded_after(world, BAD)


@effect_of("degraded_leave_after")
def fewer_good_ones_are_enough_to_leave(world, _):
    world.say(degraded_in_row=1)
    assert is_degraded_after(world, BAD, GOOD, GOOD)
    world.say(degraded_leave_after=3)

    assert not is_degraded_after(world, GOOD)


@effect_of("degraded_disables")
def the_camera_is_switched_off(world, _):
    world.say(degraded_in_row=1)
    assert is_degraded_after(world, BAD)
    assert world.camera.is_enabled
    degraded.leave(world.camera, by="otto")
    world.say(degraded_disables=True)

    assert is_degraded_after(world, BAD)
    assert not world.camera.is_enabled


# --- camera health ---


@effect_of("offline_after")
def fewer_failures_make_it_offline(world, _):
    world.say(offline_after=2)

    world.take(None)
    first = world.camera.health
    world.take(None)

    assert (first, world.camera.health) == ("degraded", "offline")


@effect_of("probe_well_s")
def a_well_camera_is_asked_earlier(world, _):
    world.take(GOOD)
    soon = clock.now() + timedelta(seconds=100)

    left_alone = probing.due(soon)
    world.say(probe_well_s=90)

    assert (left_alone, probing.due(soon)) == ([], [world.camera])


@effect_of("probe_offline_s")
def an_offline_camera_is_asked_more_often(world, _):
    now = clock.now()
    for _number in range(12):
        health.note_failure(world.camera.pk, now, code="camera_refused", message="", is_probe=True)
    later = now + timedelta(seconds=200)

    left_alone = probing.due(later)
    world.say(probe_offline_s=120)

    assert (left_alone, probing.due(later)) == ([], [world.camera])


# --- thumbnails ---


def size_of(name):
    return Image.open(BytesIO(files.read(name))).size


@effect_of("thumbnail_width", "thumbnail_height", "small_width", "small_height")
def derived_pictures_have_other_sizes(world, request):
    name = request.node.callspec.params["name"]
    capture = make_stored_capture(make_jpeg(1600, 1200), timelapse=world.timelapse)
    kind, side = name.split("_")
    before = size_of(getattr(world.derive(capture), kind))

    world.say(**{name: 60 if kind == "thumbnail" else 240})

    after = size_of(getattr(world.derive(capture), kind))
    assert (before, after) == {
        "thumbnail_width": ((200, 150), (60, 45)),
        "thumbnail_height": ((200, 150), (80, 60)),
        "small_width": ((800, 600), (240, 180)),
        "small_height": ((800, 600), (320, 240)),
    }[name], side


@effect_of("thumbnail_quality", "small_quality")
def derived_pictures_are_coarser(world, request):
    name = request.node.callspec.params["name"]
    capture = make_stored_capture(make_jpeg(1600, 1200), timelapse=world.timelapse)
    sizes = f"{name.partition('_')[0]}_bytes"
    before = getattr(world.derive(capture), sizes)

    world.say(**{name: 30})

    assert 0 < getattr(world.derive(capture), sizes) < before


@effect_of("small_mode")
def smalls_are_not_made(world, _):
    capture = make_stored_capture(timelapse=world.timelapse)
    with_small = world.derive(capture).small
    world.say(small_mode="disabled")

    assert (bool(with_small), world.derive(capture).small) == (True, "")


@effect_of("small_purge")
def smalls_go_when_it_is_complete(world, _):
    capture = make_stored_capture(timelapse=world.timelapse)
    small = world.derive(capture).small
    world.say(small_purge=True)

    campaign.complete(Timelapse.objects.get(pk=world.timelapse.pk), by="otto")
    work_off("thumbnail")

    assert not files.exists(small)


@effect_of("thumbnail_batch", "thumbnail_high_load")
def more_are_made_in_one_go(world, request):
    request.getfixturevalue("monkeypatch").setattr(derivatives, "load", derivatives.Load())
    name = request.node.callspec.params["name"]
    for _number in range(8):
        ledger.record_thumbnails(make_stored_capture(timelapse=world.timelapse))

    def made():
        before = Capture.objects.exclude(thumbnail="").count()
        job = lifecycle.claim("thumbnail", worker="w1")
        tracked.do(job, kinds.of(job.task).work)
        return Capture.objects.exclude(thumbnail="").count() - before

    world.say(thumbnail_batch=1)
    alone = made()
    world.say(**{name: 4})

    assert (alone, made()) == (1, {"thumbnail_batch": 4, "thumbnail_high_load": 7}[name])


def work_off(queue):
    while job := lifecycle.claim(queue, worker="w1"):
        tracked.do(job, kinds.of(job.task).work)


# --- weather and place ---


@pytest.fixture
def sky(settings):
    sky = WeatherServer()
    sky.key = "k3y"
    with weather_server.in_background(sky):
        settings.WEATHER_URLS = dict.fromkeys(settings.WEATHER_URLS, sky.url)
        yield sky


def note_weather(latitude=48.2, longitude=16.4):
    spot = places.Spot(latitude, longitude)
    now = clock.now()
    Weather.objects.create(
        place=spot.key,
        provider="open-meteo",
        observed_at=now,
        fetched_at=now,
        temperature_c=20,
        words="clear",
    )


@effect_of("weather_enabled")
def the_weather_is_noted_with_each_picture(world, _):
    Camera.objects.update(latitude=48.2, longitude=16.4)
    note_weather()

    without = world.take(GOOD).weather
    world.say(weather_enabled=True)

    assert (without, world.take(GOOD).weather["temperature_c"]) == (None, 20)


@effect_of("weather_provider")
def another_one_is_asked(world, request):
    sky = request.getfixturevalue("sky")
    sky.answer = 500, {}, {}
    world.say(weather_enabled=True, latitude=48.2)
    world.say(openweather_key="k3y")

    for provider in ("open-meteo", "openweather"):
        world.say(weather_provider=provider)
        observations.request_now(by="ada")
        work_off("upkeep")

    assert [path for path, _ in sky.asked] == ["/v1/forecast", "/data/2.5/weather"]


@effect_of("openweather_key")
def the_key_is_sent(world, request):
    sky = request.getfixturevalue("sky")
    world.say(weather_enabled=True, latitude=48.2, weather_provider="openweather")

    for key in ("wr0ng", "k3y"):
        world.say(openweather_key=key)
        observations.request_now(by="ada")
        work_off("upkeep")

    assert [query["appid"] for _, query in sky.asked] == ["wr0ng", "k3y"]


@effect_of("temperature_unit")
def temperatures_are_shown_in_it(world, request):
    note_weather()
    world.say(weather_enabled=True, latitude=48.2)
    capture = world.take(GOOD)
    browser = request.getfixturevalue("pages")(request.getfixturevalue("viewer"))

    def shown():
        return browser.get(f"/captures/{capture.pk}/").content.decode()

    before = shown()
    world.say(temperature_unit="fahrenheit")

    assert "20 °C" in before
    assert "68 °F" in shown()


@effect_of("latitude", "longitude")
def the_sun_rises_there_for_cameras_without_a_place(world, request):
    name = request.node.callspec.params["name"]
    document = {"rules": [{"kind": "sun", "event": "sunrise", "offset_min": 0}]}
    timelapse = make_timelapse(plan=Plan.from_document(document).to_document())
    now = clock.now()

    def sunrise():
        row = Timelapse.objects.select_related("camera").get(pk=timelapse.pk)
        return checked_timetable(row, now).next_after(now)

    world.say(**{name: 48.2 if name == "latitude" else 16.4})
    before = sunrise()
    world.say(**{name: 10.0})

    assert before != sunrise()
    assert effective.globally() == of_timelapse(timelapse).settings
