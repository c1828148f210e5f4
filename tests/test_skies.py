"""Sun and weather on the pages: at the camera, at the picture, and of all places."""

from datetime import UTC, datetime, timedelta

import pytest

from cameras.models import GlobalSettings, Weather
from cameras.places import Spot
from media_jobs import clock
from media_jobs.models import MediaJob
from tests.factories import make_camera, make_stored_capture, make_timelapse
from timelapser.pages.skies import sun_today

pytestmark = pytest.mark.django_db
VIENNA = {"latitude": 48.2082, "longitude": 16.3738}


def test_the_sun_of_today_is_said_also_where_it_does_not_rise_or_set():
    noon = datetime(2026, 6, 21, 12, 0, tzinfo=UTC)
    vienna = sun_today(Spot(48.2082, 16.3738), noon)
    assert abs(vienna.rises_at - datetime(2026, 6, 21, 2, 54, tzinfo=UTC)) < timedelta(minutes=2)
    assert abs(vienna.sets_at - datetime(2026, 6, 21, 18, 58, tzinfo=UTC)) < timedelta(minutes=2)
    north, south = sun_today(Spot(70, 20), noon), sun_today(Spot(-80, 20), noon)
    assert (north.rises_at, north.sets_at, north.is_up) == (None, None, True)
    assert (south.rises_at, south.sets_at, south.is_up) == (None, None, False)


def test_the_pages_show_the_weather_in_the_unit_that_is_set(viewer, operator, pages):
    said = {"weather_enabled": True, "temperature_unit": "fahrenheit"}
    GlobalSettings.objects.create(said=said)
    reading = {"temperature_c": 13.3, "condition": "rain", "words": "rain", "provider": "open-meteo"}
    now = clock.now()
    Weather.objects.create(
        place="48.21,16.37", asked="open-meteo", observed_at=now, fetched_at=now, **reading
    )
    camera = make_camera(**VIENNA)
    client = pages(viewer)
    shown = client.get(f"/cameras/{camera.pk}/").content.decode()
    assert "56 °F, rain" in shown
    assert "weather-rain" in shown
    assert "Sunset" in shown
    table = client.get("/weather/").content.decode()
    assert "48.21°, 16.37°" in table
    assert "56 °F" in table
    assert "Ask now" not in table
    noted = reading | {"observed_at": now.isoformat()}
    capture = make_stored_capture(timelapse=make_timelapse(camera=camera), weather=noted)
    assert "56 °F, rain" in client.get(f"/captures/{capture.pk}/").content.decode()
    Weather.objects.update(observed_at=now - timedelta(hours=26))
    assert "too old" in client.get(f"/cameras/{camera.pk}/").content.decode()
    assert client.post("/weather/refresh/").status_code == 403
    assert "Ask now" in pages(operator).get("/weather/").content.decode()
    assert pages(operator).post("/weather/refresh/").status_code == 302
    assert MediaJob.objects.get().task == "cameras.fetch_weather"


def test_what_keeps_the_weather_away_is_said(viewer, pages):
    camera = make_camera()
    client = pages(viewer)
    assert "Nobody has said where it stands" in client.get(f"/cameras/{camera.pk}/").content.decode()
    assert "No enabled camera with a place wants the weather" in client.get("/weather/").content.decode()
    GlobalSettings.objects.create(said={"weather_enabled": True, **VIENNA})
    assert "as for all cameras" in client.get(f"/cameras/{camera.pk}/").content.decode()
    failed = {"failures": 4, "last_error_code": "provider_slow", "last_error": "It has not answered."}
    Weather.objects.create(place="48.21,16.37", asked="open-meteo", **failed)
    assert (
        "Open-Meteo has failed 4 times in a row. It has not answered."
        in client.get("/weather/").content.decode()
    )
