"""Where the sun stands, and when it passes an altitude: by calculation, also where it does not rise or set.

Positions by J. Meeus, Astronomical Algorithms (2nd edition), chapter 25 “low accuracy” and chapter 12: 0.01°, which is
some seconds of sunrise at the equator and some minutes where the sun only grazes the horizon.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import asin, atan2, cos, degrees, floor, radians, sin

SUNRISE_DEG = -0.833  # refraction at the horizon 34' and half of the sun's disc 16' (Meeus, chapter 15)
DAWN_DEG = -6.0  # civil twilight

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_J2000_S = 946_728_000  # 2000-01-01 12:00 UTC in Unix time
_DAY_S = 86_400
_S_PER_DEG = 240  # the sun's hour angle grows by 360° in a day


@dataclass(frozen=True, slots=True)
class Place:
    """Degrees: north and east are positive. Raises ValueError outside -90 to 90 and -180 to 180."""

    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        if not (-90 <= self.latitude <= 90 and -180 <= self.longitude <= 180):
            raise ValueError(f"There is no place at {self.latitude}°, {self.longitude}°.")


@dataclass(frozen=True, slots=True)
class Half:
    """From a solar midnight to noon (`is_rising`) or from noon to midnight: the altitude only rises, or only falls.

    Seconds of Unix time, [start_s, end_s). (Within 0.1° of a pole a day has no such course; there the change of the
    season, at most 0.4° a day, moves a crossing by hours.)
    """

    place: Place
    start_s: int
    end_s: int
    is_rising: bool

    def within(self, at_least: float | None, at_most: float | None) -> tuple[int, int] | None:
        """The first and the last second, both inclusive, with the altitude in [at_least, at_most], or None."""
        sign = 1 if self.is_rising else -1
        low, high = (at_least, at_most) if self.is_rising else (_negative(at_most), _negative(at_least))
        seconds = range(self.start_s, self.end_s)

        def height(second: int) -> float:
            return sign * altitude(self.place, second)

        first = 0 if low is None else bisect_left(seconds, low, key=height)
        last = len(seconds) if high is None else bisect_right(seconds, high, key=height)
        return (seconds[first], seconds[last - 1]) if first < last else None


@dataclass(frozen=True, slots=True)
class SolarDay:
    """From solar midnight over noon to the next midnight, in seconds of Unix time."""

    place: Place
    number: int
    midnight_s: int
    noon_s: int
    next_midnight_s: int

    @property
    def following(self) -> SolarDay:
        return solar_day(self.place, self.number + 1)

    @property
    def morning(self) -> Half:
        return Half(self.place, self.midnight_s, self.noon_s, is_rising=True)

    @property
    def evening(self) -> Half:
        return Half(self.place, self.noon_s, self.next_midnight_s, is_rising=False)

    def rises_at(self, altitude_deg: float) -> int | None:
        """The first second of the morning at that altitude, or None where the sun does not pass it upwards."""
        found = self.morning.within(altitude_deg, None)
        return None if found is None or found[0] == self.midnight_s else found[0]

    def sets_at(self, altitude_deg: float) -> int | None:
        """The last second of the evening at that altitude, or None where the sun does not pass it downwards."""
        found = self.evening.within(altitude_deg, None)
        return None if found is None or found[1] == self.next_midnight_s - 1 else found[1]


@lru_cache(maxsize=4096)
def solar_day(place: Place, number: int) -> SolarDay:
    """The days are numbered; neighbours share their midnight."""
    before, noon, after = (_noon(place, number + step) for step in (-1, 0, 1))
    return SolarDay(place, number, (before + noon) // 2, noon, (noon + after) // 2)


def number_at(place: Place, instant: datetime) -> int:
    """The number of the solar day around `instant`, or, next to a solar midnight, that of its neighbour."""
    return floor((unix_s(instant) + place.longitude * _S_PER_DEG) / _DAY_S)


def days_with_noon_in(place: Place, start: datetime, end: datetime) -> Iterator[SolarDay]:
    """The solar days whose noon lies in [start, end), in order."""
    for number in range(number_at(place, start) - 1, number_at(place, end) + 2):
        day = solar_day(place, number)
        if start <= moment(day.noon_s) < end:
            yield day


def altitude(place: Place, at_s: float) -> float:
    """Geometric altitude of the sun's centre in degrees, without refraction, at that Unix time."""
    declination, hour_angle = _position(place, at_s)
    latitude = radians(place.latitude)
    return degrees(
        asin(sin(latitude) * sin(declination) + cos(latitude) * cos(declination) * cos(hour_angle))
    )


def moment(at_s: int) -> datetime:
    return _EPOCH + timedelta(seconds=at_s)


def unix_s(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(seconds=1)


@lru_cache(maxsize=4096)
def _noon(place: Place, number: int) -> int:
    near_s = (number + 0.5) * _DAY_S - place.longitude * _S_PER_DEG
    for _ in range(2):
        hour_angle = degrees(_position(place, near_s)[1])
        near_s -= ((hour_angle + 180) % 360 - 180) * _S_PER_DEG
    return round(near_s)


def _position(place: Place, at_s: float) -> tuple[float, float]:
    """Declination and local hour angle in radians."""
    days = (at_s - _J2000_S) / _DAY_S
    centuries = days / 36_525
    mean_longitude = 280.46646 + centuries * (36_000.76983 + centuries * 0.0003032)
    anomaly = radians(357.52911 + centuries * (35_999.05029 - centuries * 0.0001537))
    centre = (
        (1.914602 - centuries * (0.004817 + centuries * 0.000014)) * sin(anomaly)
        + (0.019993 - centuries * 0.000101) * sin(2 * anomaly)
        + 0.000289 * sin(3 * anomaly)
    )
    node = radians(125.04 - 1934.136 * centuries)
    longitude = radians(mean_longitude + centre - 0.00569 - 0.00478 * sin(node))
    obliquity = radians(23.439291 - 0.0130042 * centuries + 0.00256 * cos(node))
    declination = asin(sin(obliquity) * sin(longitude))
    right_ascension = atan2(cos(obliquity) * sin(longitude), cos(longitude))
    sidereal = radians(280.46061837 + 360.98564736629 * days + place.longitude)
    return declination, sidereal - right_ascension


def _negative(value: float | None) -> float | None:
    return None if value is None else -value
