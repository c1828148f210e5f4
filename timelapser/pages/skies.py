"""The weather and the sun: above one camera, and of all places with the state of the provider."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from cameras import effective, observations, places, sky
from cameras.models import Camera, Weather
from cameras.places import Spot
from captures.intervalometer import Place
from captures.intervalometer.sun import SUNRISE_DEG, altitude, moment, number_at, solar_day, unix_s
from media_jobs import clock
from media_jobs.roles import OPERATE, SEE
from timelapser.pages.access import answer, page, show


@dataclass(frozen=True, slots=True)
class SunToday:
    """Sunrise and sunset of the solar day around an instant; None where the sun does not pass the horizon then."""

    rises_at: datetime | None
    sets_at: datetime | None
    is_up: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One place in the table."""

    weather: Weather
    spot: Spot
    temperature: str
    is_stale: bool


def sky_above(camera: Camera, now: datetime, zone: str = "") -> dict[str, object]:
    """What the camera's page shows of it: two queries, and no network."""
    found = sky.sky_of(camera, now)
    reading = found.weather if found.weather and found.weather.observed_at else None
    return {
        "now": found,
        "reading": reading,
        "temperature": sky.temperature(reading.temperature_c, found.unit) if reading else "",
        "sun": sun_today(found.spot, now) if found.spot else None,
        "zone": zone or settings.DEFAULT_TIME_ZONE,
    }


def sun_today(spot: Spot, now: datetime) -> SunToday:
    place = Place(spot.latitude, spot.longitude)
    day = solar_day(place, number_at(place, now))
    rises, sets = day.rises_at(SUNRISE_DEG), day.sets_at(SUNRISE_DEG)
    return SunToday(
        None if rises is None else moment(rises),
        None if sets is None else moment(sets),
        altitude(place, unix_s(now)) > SUNRISE_DEG,
    )


@page(SEE)
def weather(request: HttpRequest) -> HttpResponse:
    now, known = clock.now(), effective.globally()
    wanted = observations.wanted()
    rows = [
        Row(
            row,
            Spot.of_key(row.place),
            sky.temperature(row.temperature_c, known.temperature_unit),
            places.is_stale(row.observed_at, now),
        )
        for row in Weather.objects.filter(place__in=wanted).order_by("place")
    ]
    zone = settings.DEFAULT_TIME_ZONE
    context = {"rows": rows, "provider": sky.standing(), "zone": zone, "wanted": len(wanted)}
    return show(request, "weather.html", context)


@page(OPERATE, "POST")
def refresh(request: HttpRequest) -> HttpResponse:
    """Asks for the weather at all places now."""
    _, is_new = observations.request_now(by=request.user.get_username())
    words = "The weather is being asked for." if is_new else "It is being asked for already."
    return answer(request, words, reverse("weather"))
