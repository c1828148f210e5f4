"""Cron expressions, as readings of the local clock.

The grammar, with `L`, `LW`, `#`, names and an optional first field of seconds, is cronsim's, which follows Debian's
cron: day of month and day of week must both match where one of them begins with a star, else one is enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

from cronsim import CronSim, CronSimError

_ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cron:
    """`seconds` of the day, in order, on the days that match.

    `has_fixed_time` is Debian's distinction: neither the minutes nor the hours begin with a star, so that somebody
    means a certain time of the day, and wants it once a day whatever the clock does.
    """

    seconds: tuple[int, ...]
    has_fixed_time: bool
    _matcher: CronSim

    def matches(self, day: date) -> bool:
        return day.month in self._matcher.months and self._matcher.match_day(day)


@lru_cache(maxsize=256)
def parse(expression: str) -> Cron:
    """Raises ValueError with what is wrong, in words."""
    try:
        matcher = CronSim(expression, _ANY_DAY)
        next(matcher)
    except CronSimError as error:
        raise ValueError(f"This is not a cron expression: {str(error).lower()}.") from error
    except StopIteration:
        raise ValueError("No day matches this expression.") from None
    minutes, hours = matcher.parts[1], matcher.parts[2]
    seconds = tuple(
        (hour * 60 + minute) * 60 + second
        for hour in sorted(matcher.hours)
        for minute in sorted(matcher.minutes)
        for second in sorted(matcher.seconds)
    )
    return Cron(seconds, not minutes.startswith("*") and not hours.startswith("*"), matcher)
