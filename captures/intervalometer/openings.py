"""When a rule may take pictures: its window on the days that the plan allows, as spans of UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from captures.intervalometer import sun
from captures.intervalometer.document import DateSpan
from captures.intervalometer.plan import Plan, span_words, weekday_words
from captures.intervalometer.rules import Rule
from captures.intervalometer.wall import DAY, LocalClock, Span
from captures.intervalometer.windows import AltitudeWindow, ClockWindow, NoWindow, SunWindow, Window

TICK = timedelta(microseconds=1)  # an inclusive end, as the exclusive one that spans have
_REACH = 3  # a window of a local day touches no day of UTC that is farther away
_KEPT_DAYS = 100
_PATIENCE = 10  # days without an opening, and then it is asked whether there are any
_SOME_DAY = date(2024, 1, 1).toordinal()
_YEAR = 366  # days, after which the sun does nothing new


@dataclass(frozen=True, slots=True)
class Reason:
    """Why nothing is owed: `code` for programs, `words` for people."""

    code: str
    words: str


@dataclass(slots=True)
class Openings:
    """The spans in which a rule takes pictures. A window belongs, with its weekday and date, to the day it opened on.

    It remembers the days it has calculated: shared by all timetables that open alike.
    """

    window: Window
    weekdays: tuple[int, ...]
    dates: tuple[DateSpan, ...]
    blackouts: tuple[DateSpan, ...]
    clock: LocalClock
    place: sun.Place | None
    _windows: dict[int, tuple[Span, ...]] = field(default_factory=dict)
    _days: dict[int, tuple[Span, ...]] = field(default_factory=dict)
    _recent: Span = (datetime.min.replace(tzinfo=UTC),) * 2
    _is_never: bool | None = None

    @property
    def is_always(self) -> bool:
        is_all_day = isinstance(self.window, NoWindow) or (
            isinstance(self.window, ClockWindow) and self.window.is_all_day
        )
        return is_all_day and not (self.weekdays or self.dates or self.blackouts)

    def spans(self, start: datetime, end: datetime) -> Iterator[Span]:
        """The open spans in [start, end), half-open, in order, cut at the days of UTC."""
        at = start
        while at < end:
            span = self.first_from(at, end)
            if span is None:
                return
            yield max(span[0], start), min(span[1], end)
            at = span[1]

    def first_from(self, moment: datetime, until: datetime) -> Span | None:
        """The span that is open at `moment` or opens next, before `until`; it may be a day's part of a longer one."""
        recent = self._recent
        if recent[0] <= moment < recent[1]:
            return recent
        last = until.toordinal()
        if self.dates:
            last = min(last, max(span[1] for span in self.dates).toordinal() + _REACH)
        first = moment.toordinal()
        for day in range(first, last + 1):
            if day == first + _PATIENCE and self._never_opens():
                return None
            for span in self._day(day):
                if span[1] > moment:
                    self._recent = span
                    return span if span[0] < until else None
        return None

    def _never_opens(self) -> bool:
        """Whether the sun never does what the window asks for, on whatever day: said once, after one year's look."""
        if self._is_never is None:
            self._is_never = isinstance(self.window, SunWindow | AltitudeWindow) and not any(
                any(self._calculate_window(date.fromordinal(_SOME_DAY + number))) for number in range(_YEAR)
            )
        return self._is_never

    def is_open(self, moment: datetime) -> bool:
        span = self.first_from(moment, moment + TICK)
        return span is not None and span[0] <= moment

    def closed_because(self, moment: datetime) -> Reason | None:
        """None where it is open. A day that is left out comes before the window that it would have had."""
        if self.is_always or self.is_open(moment):
            return None
        here = self.clock.day_of(moment)
        for number in range(here.toordinal() + 1 - _REACH, here.toordinal() + _REACH):
            if any(start <= moment < end for start, end in self._window(number)):
                return self._left_out(date.fromordinal(number)) or self._window_reason(moment)
        return self._left_out(here) or self._window_reason(moment)

    def borders(self, start: datetime, end: datetime) -> list[datetime]:
        """The instants in (start, end) at which the reason for being closed can change."""
        found: set[datetime] = set()
        first, last = self.clock.day_of(start).toordinal(), self.clock.day_of(end).toordinal()
        for number in range(first - 1, last + 2):
            midnight = datetime.combine(date.fromordinal(number), time())
            found.update(opens for opens, _ in self.clock.spans(midnight, midnight + DAY))
        for number in range(first - _REACH, last + _REACH + 1):
            if self._left_out(date.fromordinal(number)) is not None:
                found.update(border for span in self._window(number) for border in span)
        return sorted(border for border in found if start < border < end)

    def _day(self, number: int) -> tuple[Span, ...]:
        """What is open on a day of UTC (its ordinal): disjoint, in order."""
        found = self._days.get(number)
        if found is None:
            found = self._days[number] = self._calculate_day(number)
            if len(self._days) > _KEPT_DAYS:
                self._days = {number: found}
        return found

    def _calculate_day(self, number: int) -> tuple[Span, ...]:
        start = datetime.combine(date.fromordinal(number), time(), tzinfo=UTC)
        end = start + DAY
        spans: list[Span] = []
        for local in range(number - _REACH, number + _REACH + 1):
            if self._left_out(date.fromordinal(local)) is None:
                spans += (
                    (max(a, start), min(b, end)) for a, b in self._window(local) if a < end and b > start
                )
        return tuple(merged(spans))

    def _window(self, number: int) -> tuple[Span, ...]:
        """The window of a local day (its ordinal), whether it counts or not."""
        found = self._windows.get(number)
        if found is None:
            if len(self._windows) > _KEPT_DAYS:
                self._windows = {}
            found = self._windows[number] = tuple(self._calculate_window(date.fromordinal(number)))
        return found

    def _calculate_window(self, day: date) -> Iterator[Span]:
        midnight = datetime.combine(day, time())
        match self.window:
            case ClockWindow(start=start, end=end) if start != end:
                closes = datetime.combine(day + (DAY if start > end else timedelta()), end)
                yield from self.clock.spans(datetime.combine(day, start), closes + TICK)
            case SunWindow() | AltitudeWindow():
                assert self.place is not None  # noqa: S101 - Timetable.of has refused plans without
                for local in self.clock.spans(midnight, midnight + DAY):
                    for solar in sun.days_with_noon_in(self.place, *local):
                        yield from _by_sun(self.window, solar)
            case _:
                yield from self.clock.spans(midnight, midnight + DAY)

    def _left_out(self, day: date) -> Reason | None:
        for first, last in self.blackouts:
            if first <= day <= last:
                return Reason("blackout_date", f"No pictures on {span_words(first, last)}.")
        if self.dates and not any(first <= day <= last for first, last in self.dates):
            listed = ", ".join(span_words(*span) for span in self.dates)
            return Reason("not_in_dates", f"Only from {listed}.")
        if self.weekdays and day.isoweekday() not in self.weekdays:
            return Reason("weekday", f"Only on {weekday_words(self.weekdays)}.")
        return None

    def _window_reason(self, moment: datetime) -> Reason:
        match self.window:
            case SunWindow() if self.place is not None:
                solar = sun.solar_day(self.place, sun.number_at(self.place, moment))
                if sun.altitude(self.place, solar.noon_s) < sun.SUNRISE_DEG:
                    return Reason("polar_night", "The sun does not rise on this day.")
                return Reason("sun_is_down", f"Outside {self.window.words}.")
            case AltitudeWindow(at_most_deg=at_most) if at_most is not None and self.place is not None:
                next_second = sun.unix_s(moment - TICK) + 1  # the one of the closing instant is still inside
                if sun.altitude(self.place, next_second) > at_most:
                    return Reason("sun_is_up", f"The sun is higher than {at_most:g}°.")
                return Reason("sun_is_down", f"Only {self.window.words}.")
            case AltitudeWindow(at_least_deg=at_least):
                return Reason("sun_is_down", f"The sun is lower than {at_least:g}°.")
        return Reason("outside_window", f"Outside {self.window.words}.")


def merged(spans: list[Span]) -> Iterator[Span]:
    """The union of half-open spans, in order."""
    spans.sort()
    start = end = None
    for from_at, until_at in spans:
        if start is None or end is None or from_at > end:
            if start is not None and end is not None:
                yield start, end
            start, end = from_at, until_at
        elif until_at > end:
            end = until_at
    if start is not None and end is not None:
        yield start, end


def _by_sun(window: SunWindow | AltitudeWindow, day: sun.SolarDay) -> Iterator[Span]:
    """The window that belongs to a solar day; that of the dark is the night that follows."""
    if isinstance(window, SunWindow):
        yield from _by_day(day, window.start_offset_min, window.end_offset_min)
    elif window.at_least_deg is None:
        yield from _halves(None, window.at_most_deg, day.evening, day.following.morning)
    else:
        yield from _halves(window.at_least_deg, window.at_most_deg, day.morning, day.evening)


def _by_day(day: sun.SolarDay, opens_min: int, closes_min: int) -> Iterator[Span]:
    """Sunrise to sunset, moved; a side on which the sun does not pass the horizon ends at solar midnight, unmoved."""
    if sun.altitude(day.place, day.noon_s) < sun.SUNRISE_DEG:
        return
    rise, set_ = day.rises_at(sun.SUNRISE_DEG), day.sets_at(sun.SUNRISE_DEG)
    start = sun.moment(day.midnight_s if rise is None else rise + opens_min * 60)
    end = sun.moment(day.next_midnight_s) if set_ is None else sun.moment(set_ + closes_min * 60) + TICK
    if start < end:
        yield start, end


def _halves(at_least: float | None, at_most: float | None, *halves: sun.Half) -> Iterator[Span]:
    for half in halves:
        found = half.within(at_least, at_most)
        if found is not None:
            first, last = found
            reaches_end = last == half.end_s - 1
            yield sun.moment(first), sun.moment(half.end_s) if reaches_end else sun.moment(last) + TICK


@lru_cache(maxsize=1024)
def openings_of(plan: Plan, rule: Rule, clock: LocalClock, place: sun.Place | None) -> Openings:
    """One for all timetables whose rule opens alike."""
    window = plan.window_of(rule)
    return _shared(
        window, plan.weekdays, plan.dates, plan.blackouts, clock, place if window.needs_place else None
    )


@lru_cache(maxsize=1024)
def _shared(
    window: Window,
    weekdays: tuple[int, ...],
    dates: tuple[DateSpan, ...],
    blackouts: tuple[DateSpan, ...],
    clock: LocalClock,
    place: sun.Place | None,
) -> Openings:
    return Openings(window, weekdays, dates, blackouts, clock, place)
