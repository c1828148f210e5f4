"""The instants that a rule names, whether it is open then or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Protocol

from captures.intervalometer import cron, sun
from captures.intervalometer.rules import CronRule, SunRule, TimesRule
from captures.intervalometer.wall import LocalClock, Readings, WallInstants

_TICK = timedelta(microseconds=1)


class Instants(Protocol):
    """Ordered, distinct instants in UTC without end, though they may become rare."""

    def first_from(self, moment: datetime, until: datetime, /) -> datetime | None:
        """The first in [moment, until)."""

    def between(self, start: datetime, end: datetime, /) -> Iterator[datetime]:
        """Those in [start, end), in order."""

    def count(self, start: datetime, end: datetime, /) -> int:
        """How many lie in [start, end)."""

    def holds(self, moment: datetime, /) -> bool:
        """Whether `moment` is one of them."""


@dataclass(frozen=True, slots=True)
class SunInstants:
    """An event of the sun, each solar day, moved by minutes; the days that do not have it are left out."""

    event: str
    offset: timedelta
    place: sun.Place

    def first_from(self, moment: datetime, until: datetime) -> datetime | None:
        return next(self.between(moment, until), None)

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        first = sun.number_at(self.place, start - self.offset) - 1
        last = sun.number_at(self.place, end - self.offset) + 1
        for number in range(first, last + 1):
            at_s = _event_s(self.event, self.place, number)
            if at_s is not None and start <= sun.moment(at_s) + self.offset < end:
                yield sun.moment(at_s) + self.offset

    def count(self, start: datetime, end: datetime) -> int:
        return sum(1 for _ in self.between(start, end))

    def holds(self, moment: datetime) -> bool:
        return self.first_from(moment, moment + _TICK) is not None

    def missing(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The solar days, as instants from and until, with their noon in [start, end) and without such an event."""
        for day in sun.days_with_noon_in(self.place, start, end):
            if _event_s(self.event, self.place, day.number) is None:
                yield sun.moment(day.midnight_s), sun.moment(day.next_midnight_s)


def wall_instants(rule: CronRule | TimesRule, clock: LocalClock) -> WallInstants:
    if isinstance(rule, TimesRule):
        seconds = tuple((at.hour * 60 + at.minute) * 60 + at.second for at in rule.times)
        return WallInstants(clock, Readings(seconds), once=True)
    expression = cron.parse(rule.expression)
    return WallInstants(clock, Readings(expression.seconds, expression.matches), expression.has_fixed_time)


@lru_cache(maxsize=1024)
def instants_of(
    rule: CronRule | TimesRule | SunRule, clock: LocalClock, place: sun.Place | None
) -> WallInstants | SunInstants:
    """The place matters to rules of the sun alone."""
    if not isinstance(rule, SunRule):
        return wall_instants(rule, clock)
    assert place is not None  # noqa: S101 - Timetable.of has refused plans without
    return SunInstants(rule.event, timedelta(minutes=rule.offset_min), place)


@lru_cache(maxsize=4096)
def _event_s(event: str, place: sun.Place, number: int) -> int | None:
    day = sun.solar_day(place, number)
    match event:
        case "dawn":
            return day.rises_at(sun.DAWN_DEG)
        case "sunrise":
            return day.rises_at(sun.SUNRISE_DEG)
        case "noon":
            return day.noon_s
        case "sunset":
            return day.sets_at(sun.SUNRISE_DEG)
        case _:
            return day.sets_at(sun.DAWN_DEG)
