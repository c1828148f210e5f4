"""How the promise was kept: a month of days, one day as a ribbon, and why there was no picture at an instant."""

from __future__ import annotations

import re
from calendar import Calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from django.utils.dateparse import parse_date, parse_datetime, parse_time
from django.utils.http import urlencode

from captures import coverage, days
from captures.models import Timelapse
from timelapser.pages.status import words_for

MONTH = re.compile(r"(\d{4})-(\d{2})")
STATES = (
    ("stored", "kept"),
    ("discarded", "discarded"),
    ("failed", "failed"),
    ("missed", "missed"),
    ("skipped", "skipped on purpose"),
    ("pending", "being taken"),
)
QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to see: a month, a day, an instant of it, or the gap next to one. All may be absent."""

    month: date | None = None
    day: date | None = None
    at: datetime | None = None
    gap: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str], zone: ZoneInfo, now: datetime) -> Wish:
        """Reads an address; what is no date or no time is as if it were not there. A time alone is one of today."""
        day, at = _date(query.get("day", "")), _moment(query.get("at", ""))
        reading = _time(query.get("time", "")) if day else None
        if at is None and reading is None:
            reading = _time(query.get("at", ""))
        if reading is not None:
            at = datetime.combine(day or now.astimezone(zone).date(), reading, tzinfo=zone)
        if at is not None:
            day = at.astimezone(zone).date()
        month = MONTH.fullmatch(query.get("month", ""))
        first = _date(f"{month[0]}-01") if month else None
        gap = query.get("gap", "")
        return cls(first, day, at, gap if gap in {"next", "previous"} else "")


@dataclass(frozen=True, slots=True)
class Cell:
    """A day in the calendar. `code` is the name of its colour; `kept` is None where nothing was owed."""

    day: date
    code: str
    kept: days.Day | None
    reason: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the ribbon; `start` and `width` in seconds since the day began."""

    start: int
    width: int
    state: str
    count: int
    from_at: datetime
    until_at: datetime
    words: str


@dataclass(frozen=True, slots=True)
class Count:
    state: str
    label: str
    count: int


class Kept:
    """What the panels show, each thing read when a template asks for it."""

    def __init__(self, timelapse: Timelapse, now: datetime, wish: Wish) -> None:
        self.timelapse = timelapse
        self.now = now
        self.at = wish.at
        self.has_no_gap = ""
        if wish.gap:
            self._move_to_gap(wish)
        local = min(now, timelapse.completed_at or now).astimezone(timelapse.zone)
        shown = self.at.astimezone(timelapse.zone).date() if self.at else wish.day
        self.last_day = local.date()
        self.day = shown or self.last_day
        self.month = (wish.month or self.day).replace(day=1)

    def _move_to_gap(self, wish: Wish) -> None:
        start = wish.at or self.now
        found = days.neighbour_gap(self.timelapse, start, forward=wish.gap == "next")
        if found is None:
            self.has_no_gap = "later" if wish.gap == "next" else "earlier"
        else:
            self.at = found.from_at

    # --- the month -----------------------------------------------------------------------------------------------

    @cached_property
    def weeks(self) -> list[list[Cell | None]]:
        """The month in weeks from Monday on, with nothing where the days of other months are."""
        dates = Calendar().monthdatescalendar(self.month.year, self.month.month)
        first, last = self.month, max(day for week in dates for day in week if day.month == self.month.month)
        kept = {day.day: day for day in days.calendar(self.timelapse, first, last)}
        return [
            [self._cell(day, kept.get(day)) if day.month == self.month.month else None for day in week]
            for week in dates
        ]

    def _cell(self, day: date, kept: days.Day | None) -> Cell:
        if kept is None or not kept.owed:
            return Cell(day, "ahead" if day > self.last_day else "nothing", None, "")
        return Cell(day, _colour(kept), kept, words_for(kept.top_reason) if kept.top_reason else "")

    @property
    def earlier_month(self) -> str:
        return f"{self.month - timedelta(days=1):%Y-%m}"

    @property
    def later_month(self) -> str:
        return f"{self.month + timedelta(days=32):%Y-%m}"

    # --- the day ---------------------------------------------------------------------------------------------------

    @cached_property
    def bounds(self) -> tuple[datetime, datetime]:
        """The local day that is shown, from midnight to midnight."""
        zone = self.timelapse.zone
        return (
            datetime.combine(self.day, time(), tzinfo=zone),
            datetime.combine(self.day + timedelta(days=1), time(), tzinfo=zone),
        )

    @property
    def is_today(self) -> bool:
        return self.day == self.now.astimezone(self.timelapse.zone).date()

    @property
    def length_s(self) -> int:
        """86,400; an hour more or less when the clock changes."""
        return round(self.bounds[1].timestamp() - self.bounds[0].timestamp())

    @cached_property
    def coverage(self) -> coverage.Coverage:
        return coverage.coverage(self.timelapse, *self.bounds)

    @cached_property
    def counts(self) -> list[Count]:
        return [Count(state, label, getattr(self.coverage, state)) for state, label in STATES]

    @cached_property
    def reasons(self) -> list[tuple[int, str]]:
        return [(count, words_for(reason)) for reason, count in self.coverage.reasons.items()]

    @cached_property
    def ribbon(self) -> list[Piece]:
        return [self._piece(stretch) for stretch in days.ribbon(self.timelapse, self.day)]

    def _piece(self, stretch: days.Stretch) -> Piece:
        begin = self.bounds[0].timestamp()
        start = max(0, round(stretch.from_at.timestamp() - begin))
        end = min(self.length_s, round(stretch.until_at.timestamp() - begin))
        return Piece(
            start=start,
            width=max(end - start, 1),
            state=stretch.state,
            count=stretch.count,
            from_at=stretch.from_at,
            until_at=stretch.until_at,
            words=words_for(stretch.reason) if stretch.reason else "",
        )

    @property
    def hours(self) -> list[datetime]:
        """What is written below the ribbon: the wall clock at its quarters."""
        zone, step = self.timelapse.zone, self.length_s / QUARTERS
        begin = self.bounds[0].timestamp()
        return [datetime.fromtimestamp(begin + step * number, tz=zone) for number in range(QUARTERS + 1)]

    @property
    def marker(self) -> int | None:
        """Where the instant that was asked for lies on the ribbon."""
        return None if self.at is None else round(self.at.timestamp() - self.bounds[0].timestamp())

    @cached_property
    def answer(self) -> days.Answer | None:
        return None if self.at is None else days.why(self.timelapse, self.at)

    @property
    def reading(self) -> str:
        """The instant that was asked for, as the field shows it."""
        local = self.at and self.at.astimezone(self.timelapse.zone)
        return "" if local is None else f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"

    @property
    def gap_from(self) -> str:
        """Where the search for another gap begins: at the instant, or at that side of the day."""
        return (self.at or self.bounds[0]).isoformat()

    @property
    def month_query(self) -> str:
        """What an address needs to show this month again."""
        return urlencode({"month": f"{self.month:%Y-%m}", "day": self.day.isoformat()})

    @property
    def day_query(self) -> str:
        """What an address needs to show this day, and this instant of it, again."""
        return urlencode({"at": self.at.isoformat()} if self.at else {"day": self.day.isoformat()})


def _colour(kept: days.Day) -> str:
    if not kept.wanted:
        return "waiting" if kept.pending else "skipped"
    ratio = kept.ratio or 0.0
    if ratio >= 1:
        return "whole"
    return "most" if ratio >= 0.9 else "some" if kept.stored else "none"


def _date(text: str) -> date | None:
    try:
        found = parse_date(text)
    except ValueError:
        return None
    # The first and the last year have neighbours that no calendar knows.
    return found if found and 1 < found.year < 9999 else None


def _time(text: str) -> time | None:
    try:
        return parse_time(text)
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found and found.tzinfo and 1 < found.year < 9999 else None
