"""A grid of instants in UTC that neither lateness nor a restart can move."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Grid:
    """The instants `anchor + k × interval`, k any whole number. `anchor` is in UTC, `interval` positive."""

    anchor: datetime
    interval: timedelta

    def index(self, moment: datetime) -> int:
        """The k of the last slot at or before `moment`."""
        return (moment - self.anchor) // self.interval

    def slot(self, index: int) -> datetime:
        return self.anchor + index * self.interval

    def first_from(self, moment: datetime) -> datetime:
        """The first slot at or after `moment`."""
        return self.slot(-((self.anchor - moment) // self.interval))

    def holds(self, moment: datetime) -> bool:
        """Whether `moment` is a slot."""
        return not (moment - self.anchor) % self.interval

    def next_after(self, moment: datetime) -> datetime:
        """The first slot after `moment`."""
        return self.slot(self.index(moment) + 1)

    def count(self, start: datetime, end: datetime) -> int:
        """How many slots lie in [start, end)."""
        if end <= start:
            return 0
        return (self.first_from(end) - self.first_from(start)) // self.interval

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The slots in [start, end), in order."""
        slot = self.first_from(start)
        while slot < end:
            yield slot
            slot += self.interval


def spread_grid(interval: timedelta, *, seed: str) -> Grid:
    """A grid whose phase depends on `seed` only, so that many cameras do not fire together."""
    share = zlib.crc32(seed.encode()) / 2**32
    milliseconds = int(interval / timedelta(milliseconds=1) * share)
    return Grid(anchor=EPOCH + timedelta(milliseconds=milliseconds), interval=interval)


def clock_grid(interval: timedelta, *, start: datetime, zone: ZoneInfo) -> Grid:
    """A grid at even times of the local clock: it goes through the local midnight before `start`."""
    midnight = datetime.combine(start.astimezone(zone).date(), time(), tzinfo=zone)
    return Grid(anchor=midnight.astimezone(UTC), interval=interval)
