"""The local clock of a time zone, and the instants at which it shows given readings, in years of any change."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_TICK = timedelta(microseconds=1)
_FARTHEST = 2 * DAY  # no local clock is farther from UTC than a day (the zone database allows less than one)

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Piece:
    """A time without a change of the clock, [from_at, until_at) in UTC, cut at the years.

    Local is UTC + `offset`. `skipped` is what the clock left out at `from_at`; readings before `seen_until` (local) had
    been shown before it.
    """

    from_at: datetime
    until_at: datetime
    offset: timedelta
    skipped: timedelta
    seen_until: datetime


@lru_cache(maxsize=4096)
def _pieces_of_year(zone: ZoneInfo, year: int) -> tuple[Piece, ...]:
    start, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    pieces: list[Piece] = []
    from_at = start - _FARTHEST
    seen_until = datetime.min  # noqa: DTZ901 - local readings have no zone
    before = _offset(zone, from_at)
    for change in [*_changes(zone, from_at, end), end]:
        offset = _offset(zone, from_at)
        pieces.append(Piece(from_at, change, offset, max(offset - before, timedelta()), seen_until))
        seen_until = max(seen_until, _naive(change) + offset)
        before, from_at = offset, change
    return tuple(_clipped(piece, start) for piece in pieces if piece.until_at > start)


def _changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The seconds at which the offset changes. Two changes on one day of UTC that undo each other would be overseen."""
    day = start
    while day < end:
        following = day + DAY
        if _offset(zone, day) != _offset(zone, following):
            low, high = day, following
            while high - low > _SECOND:
                middle = low + (high - low) // 2 // _SECOND * _SECOND
                low, high = (middle, high) if _offset(zone, middle) == _offset(zone, day) else (low, middle)
            if high < end:
                yield high
        day = following


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None  # noqa: S101 - a ZoneInfo always has one
    return offset


def _clipped(piece: Piece, start: datetime) -> Piece:
    if piece.from_at >= start:
        return piece
    return Piece(start, piece.until_at, piece.offset, timedelta(), piece.seen_until)


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class LocalClock:
    """What clocks show in `zone`. Readings are datetimes without a zone, instants are in UTC."""

    zone: ZoneInfo

    def day_of(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    def pieces(self, start: datetime, end: datetime) -> Iterator[Piece]:
        """The pieces that meet [start, end), in order."""
        for year in range(start.year, end.year + 1):
            for piece in _pieces_of_year(self.zone, year):
                if piece.from_at < end and piece.until_at > start:
                    yield piece

    def spans(self, start: datetime, end: datetime) -> Iterator[Span]:
        """When the clock shows a reading in [start, end): more than one span where it is set back meanwhile."""
        around = start.replace(tzinfo=UTC) - _FARTHEST, end.replace(tzinfo=UTC) + _FARTHEST
        for piece in self.pieces(*around):
            from_at = max(piece.from_at, (start - piece.offset).replace(tzinfo=UTC))
            until_at = min(piece.until_at, (end - piece.offset).replace(tzinfo=UTC))
            if from_at < until_at:
                yield from_at, until_at


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of a local clock: `seconds` of the day, in order, on the days that match (None: on all)."""

    seconds: tuple[int, ...]
    matches: Callable[[date], bool] | None = None

    def first_from(self, reading: datetime, until: datetime) -> datetime | None:
        """The first one in [reading, until)."""
        day = reading.date()
        position = bisect_left(self.seconds, _second_of_day(reading))
        while True:
            if position < len(self.seconds) and self._is_on(day):
                found = _reading(day, self.seconds[position])
                return found if found < until else None
            day, position = day + DAY, 0
            if day > until.date():
                return None

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Those in [start, end), in order."""
        for day, low, high in self._slices(start, end):
            midnight = datetime.combine(day, time())
            for second in self.seconds[low:high]:
                yield midnight + timedelta(seconds=second)

    def count(self, start: datetime, end: datetime) -> int:
        return sum(high - low for _, low, high in self._slices(start, end))

    def _slices(self, start: datetime, end: datetime) -> Iterator[tuple[date, int, int]]:
        """For each day that matches, which part of `seconds` lies in [start, end)."""
        if start >= end:
            return
        first, last, day = start.date(), end.date(), start.date()
        while day <= last:
            if self._is_on(day):
                low = bisect_left(self.seconds, _second_of_day(start)) if day == first else 0
                high = bisect_left(self.seconds, _second_of_day(end)) if day == last else len(self.seconds)
                if low < high:
                    yield day, low, high
            day += DAY

    def _is_on(self, day: date) -> bool:
        return self.matches is None or self.matches(day)


@dataclass(frozen=True, slots=True)
class WallInstants:
    """The instants at which a local clock shows the readings.

    With `once`, a reading that the clock leaves out fires when it goes on, and one that it shows twice the first time;
    without, the instants are exactly those at which the clock shows it. A day that a place leaves out (Samoa,
    30 December 2011) has no readings.
    """

    clock: LocalClock
    readings: Readings
    once: bool

    def first_from(self, moment: datetime, until: datetime) -> datetime | None:
        """The first instant in [moment, until)."""
        for piece in self.clock.pieces(moment, until):
            if self._moves_to_start(piece) and piece.from_at >= moment:
                return piece.from_at
            low, high = self._bounds(piece, moment, until)
            reading = self.readings.first_from(low, high) if low < high else None
            if reading is not None:
                return (reading - piece.offset).replace(tzinfo=UTC)
        return None

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Those in [start, end), in order, none twice."""
        for piece in self.clock.pieces(start, end):
            low, high = self._bounds(piece, start, end)
            if self._moves_to_start(piece) and piece.from_at >= start:
                yield piece.from_at
            for reading in self.readings.between(low, high):
                yield (reading - piece.offset).replace(tzinfo=UTC)

    def count(self, start: datetime, end: datetime) -> int:
        total = 0
        for piece in self.clock.pieces(start, end):
            total += self.readings.count(*self._bounds(piece, start, end))
            total += self._moves_to_start(piece) and piece.from_at >= start
        return total

    def holds(self, moment: datetime) -> bool:
        return self.first_from(moment, moment + _TICK) == moment

    def _bounds(self, piece: Piece, start: datetime, end: datetime) -> Span:
        """The readings of the piece within [start, end) that fire there."""
        low = _naive(max(start, piece.from_at)) + piece.offset
        high = _naive(min(end, piece.until_at)) + piece.offset
        return (max(low, piece.seen_until) if self.once else low), high

    def _moves_to_start(self, piece: Piece) -> bool:
        """Whether a reading left out fires as the piece begins, at a reading that is not itself one of them."""
        if not self.once or not timedelta() < piece.skipped < DAY:
            return False
        begins = _naive(piece.from_at) + piece.offset
        is_left_out = self.readings.first_from(begins - piece.skipped, begins) is not None
        return is_left_out and self.readings.first_from(begins, begins + _TICK) is None


def _second_of_day(reading: datetime) -> int:
    """Rounded up: readings are whole seconds."""
    return reading.hour * 3600 + reading.minute * 60 + reading.second + (reading.microsecond > 0)


def _reading(day: date, second: int) -> datetime:
    return datetime.combine(day, time()) + timedelta(seconds=second)
