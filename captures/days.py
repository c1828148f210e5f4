"""How the promise was kept, day by day: the calendar, the ribbon of a day, and where pictures are missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import NamedTuple

from django.db.models import Count

from captures.answers import Answer, why
from captures.models import NOT_CALCULATED, Capture, Gap, Schedule, Timelapse, span_of_slot
from captures.versions import INSTANT
from media_jobs import clock

__all__ = ["Answer", "Day", "Stretch", "calendar", "neighbour_gap", "ribbon", "why"]

State = Capture.State
LOST = (State.DISCARDED, State.FAILED, State.MISSED, State.SKIPPED)
DAYS_A_QUERY = 31
MOST_STRETCHES = 1500  # more than that cannot be told apart on a screen
FIRST_OF_ALL = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
# Where several fates share a stretch of the drawing the worst is shown: no gap is lost in it.
WORST_FIRST = ("missed", "failed", "discarded", "skipped", "pending", "stored", "paused", "stopped", "closed")


@dataclass(frozen=True, slots=True)
class Day:
    """How a local day was kept: the states add up to `owed`."""

    day: date
    owed: int
    stored: int
    discarded: int
    failed: int
    missed: int
    skipped: int
    pending: int
    top_reason: str

    @property
    def wanted(self) -> int:
        """What was wanted by now: neither pending nor skipped on purpose."""
        return self.stored + self.discarded + self.failed + self.missed

    @property
    def ratio(self) -> float | None:
        """Stored of what was wanted by now, in [0, 1]; None where nothing was."""
        return self.stored / self.wanted if self.wanted else None


@dataclass(frozen=True, slots=True)
class Stretch:
    """`count` slots in a row with the same fate, as long as they stand for the time: until the next other one.

    `state` is that of the captures (an owed one is "pending"), or "closed" where the plan owes nothing, "paused",
    or "stopped" before the start and after the end.
    """

    from_at: datetime
    until_at: datetime
    state: str
    reason: str
    count: int


def calendar(timelapse: Timelapse, first_day: date, last_day: date) -> list[Day]:
    """The days from the first until the last one, both included, in the timelapse's zone."""
    found: list[Day] = []
    while first_day <= last_day:
        last = min(last_day, first_day + timedelta(days=DAYS_A_QUERY - 1))
        found += _some_days(timelapse, [first_day + timedelta(n) for n in range((last - first_day).days + 1)])
        first_day = last + timedelta(days=1)
    return found


def _some_days(timelapse: Timelapse, days: Sequence[date]) -> list[Day]:
    limits = [_midnight(timelapse, day) for day in [*days, days[-1] + timedelta(days=1)]]
    # Cut at midnights that are given: no database has to know time zones, and for what is kept the index is enough.
    rows = (
        timelapse.captures.filter(slot__gte=limits[0], slot__lt=limits[-1])
        .annotate(number=span_of_slot(limits[1:]))
        .order_by()
    )
    states: dict[int, Counter[str]] = defaultdict(Counter)
    reasons: dict[int, Counter[str]] = defaultdict(Counter)
    kept = rows.filter(state__in=[State.STORED, State.OWED]).values_list("number", "state")
    for day, state, count in kept.annotate(count=Count("*")):  # of the key the rows themselves would be read
        states[day][state] += count
    lost = rows.filter(state__in=LOST).values_list("number", "state", "reason")
    for day, state, reason, count in lost.annotate(count=Count("*")):
        states[day][state] += count
        reasons[day][reason] += count
    for gap in _gaps(timelapse, limits[0], limits[-1]):
        for day, (start, end) in enumerate(pairwise(limits)):
            if gap.from_at < end and gap.until_at > start:
                count = gap.count(start, end)
                states[day][State.MISSED] += count
                reasons[day][gap.reason] += count
    return [_day(day, states[number], reasons[number]) for number, day in enumerate(days)]


def _day(day: date, states: Counter[str], reasons: Counter[str]) -> Day:
    return Day(
        day=day,
        owed=sum(states.values()),
        stored=states[State.STORED],
        discarded=states[State.DISCARDED],
        failed=states[State.FAILED],
        missed=states[State.MISSED],
        skipped=states[State.SKIPPED],
        pending=states[State.OWED],
        top_reason=reasons.most_common(1)[0][0] if reasons else "",
    )


def ribbon(timelapse: Timelapse, day: date) -> list[Stretch]:
    """A local day, until now, as stretches in order without holes; at most MOST_STRETCHES of them."""
    start, midnight = _midnight(timelapse, day), _midnight(timelapse, day + timedelta(days=1))
    end = min(midnight, clock.now())
    if end <= start:
        return []
    marks = [*_frame(timelapse, start, end), *_fates(timelapse, start, end)]
    marks.sort(key=lambda mark: (mark.from_at, mark.slots))  # a slot at the instant of opening comes after it
    stretches = list(_runs(marks, end))
    return stretches if len(stretches) <= MOST_STRETCHES else list(_coarse(stretches, start, end))


class Mark(NamedTuple):
    """From here on it was so."""

    from_at: datetime
    state: str
    reason: str
    slots: int


def _frame(timelapse: Timelapse, start: datetime, end: datetime) -> Iterator[Mark]:
    """When the timelapse ran, and when its plan was closed."""
    versions = list(timelapse.schedules.filter(from_at__lt=end).order_by("from_at", "pk"))
    at, has_run = start, any(version.from_at < start for version in versions)
    for version in versions:
        until = min(version.until_at or timelapse.stops_at or end, end)
        if until <= at:
            continue
        if version.from_at > at:
            yield (
                Mark(at, "paused", "timelapse_paused", 0)
                if has_run
                else Mark(at, "stopped", "not_started", 0)
            )
            at = version.from_at
        yield from _openings(version, at, until)
        at, has_run = until, True
    if at < end:
        is_paused = timelapse.state == Timelapse.State.PAUSED
        over = (
            Mark(at, "paused", "timelapse_paused", 0)
            if is_paused
            else Mark(at, "stopped", "timelapse_ended", 0)
        )
        yield over if has_run else Mark(at, "stopped", "not_started", 0)


def _openings(version: Schedule, at: datetime, until: datetime) -> Iterator[Mark]:
    try:
        timetable = version.timetable
    except NOT_CALCULATED:
        return  # its captures are drawn all the same
    while at < until:
        period = timetable.open_period(at)
        opens = min(period[0], until) if period else until
        if at < opens:
            because = timetable.closed_because(at)
            yield Mark(at, "closed", because.code if because else "outside_window", 0)
        if period is None or opens >= until:
            return
        yield Mark(opens, "closed", "nothing_due", 0)  # until the first slot
        at = period[1] + INSTANT if period[1] else until  # windows end inclusively


def _fates(timelapse: Timelapse, start: datetime, end: datetime) -> Iterator[Mark]:
    rows = timelapse.captures.filter(slot__gte=start, slot__lt=end).order_by("slot")
    for slot, state, reason in rows.values_list("slot", "state", "reason").iterator(chunk_size=5000):
        if state in LOST:
            yield Mark(slot, state, reason, 1)
        else:
            yield Mark(slot, "pending" if state == State.OWED else state, "", 1)
    for gap in _gaps(timelapse, start, end):
        for slot in gap.slots(start, end):
            yield Mark(slot, State.MISSED, gap.reason, 1)


def _runs(marks: Sequence[Mark], end: datetime) -> Iterator[Stretch]:
    first, count = marks[0], 0
    for mark in marks:
        if (mark.state, mark.reason) != (first.state, first.reason):
            if mark.from_at > first.from_at:
                yield Stretch(first.from_at, mark.from_at, first.state, first.reason, count)
            first, count = mark, 0
        count += mark.slots
    yield Stretch(first.from_at, end, first.state, first.reason, count)


def _coarse(stretches: Sequence[Stretch], start: datetime, end: datetime) -> Iterator[Stretch]:
    """As many pieces as can be drawn; each shows the worst that lies in it."""
    width = (end - start) / MOST_STRETCHES
    worst: list[Stretch | None] = [None] * MOST_STRETCHES
    counts: Counter[int] = Counter()
    for stretch in stretches:
        first = min(int((stretch.from_at - start) / width), MOST_STRETCHES - 1)
        last = min(int((stretch.until_at - INSTANT - start) / width), MOST_STRETCHES - 1)
        counts[first] += stretch.count
        for number in range(first, last + 1):
            there = worst[number]
            if there is None or WORST_FIRST.index(stretch.state) < WORST_FIRST.index(there.state):
                worst[number] = stretch
    marks = [
        Mark(start + number * width, shown.state, shown.reason, counts[number])
        for number, shown in enumerate(worst)
        if shown is not None
    ]
    yield from _runs(marks, end)


def neighbour_gap(timelapse: Timelapse, moment: datetime, *, forward: bool = True) -> Stretch | None:
    """The next stretch without pictures that begins after `moment`, or the previous one that ended before; or None.

    One that `moment` lies in is neither.
    """
    lost, kept = _last_lost(timelapse, moment), _last_kept(timelapse, moment)
    is_inside = lost is not None and (kept is None or kept < lost)
    if forward:
        border = _first_kept(timelapse, moment) if is_inside else moment
        first = border and _first_lost(timelapse, border)
    else:
        border = kept if is_inside else moment
        last = border and _last_lost(timelapse, border)
        before = last and _last_kept(timelapse, last)
        first = last and _first_lost(timelapse, before or FIRST_OF_ALL)
    return _gap_from(timelapse, first) if first else None


def _gap_from(timelapse: Timelapse, first: datetime) -> Stretch:
    kept = _first_kept(timelapse, first)
    until = kept or clock.now()
    rows = timelapse.captures.filter(state__in=LOST, slot__gte=first, slot__lt=until).order_by()
    fates = Counter(
        {
            (state, reason): count
            for state, reason, count in rows.values_list("state", "reason").annotate(count=Count("*"))
        }
    )
    for gap in _gaps(timelapse, first, until):
        count = gap.count(first, until)
        fates[State.MISSED.value, gap.reason] += count
    (state, reason), _ = fates.most_common(1)[0]
    return Stretch(first, until, state, reason, fates.total())


def _first_kept(timelapse: Timelapse, after: datetime) -> datetime | None:
    rows = timelapse.captures.stored().filter(slot__gt=after).order_by("slot")
    return rows.values_list("slot", flat=True).first()


def _last_kept(timelapse: Timelapse, until: datetime) -> datetime | None:
    rows = timelapse.captures.stored().filter(slot__lte=until).order_by("-slot")
    return rows.values_list("slot", flat=True).first()


def _first_lost(timelapse: Timelapse, after: datetime) -> datetime | None:
    found = []
    for state in LOST:  # one by one: so each is a look at the index
        rows = timelapse.captures.filter(state=state, slot__gt=after).order_by("slot")
        found.append(rows.values_list("slot", flat=True).first())
    for gap in timelapse.gaps.filter(until_at__gt=after).select_related("schedule"):
        found.append(next(gap.slots(after + INSTANT, gap.until_at), None))
    return min((slot for slot in found if slot), default=None)


def _last_lost(timelapse: Timelapse, until: datetime) -> datetime | None:
    found = []
    for state in LOST:
        rows = timelapse.captures.filter(state=state, slot__lte=until).order_by("-slot")
        found.append(rows.values_list("slot", flat=True).first())
    for gap in timelapse.gaps.filter(from_at__lte=until).select_related("schedule"):
        found += gap.newest(until + INSTANT, 1)
    return max((slot for slot in found if slot), default=None)


def _gaps(timelapse: Timelapse, start: datetime, end: datetime) -> Iterable[Gap]:
    return timelapse.gaps.filter(from_at__lt=end, until_at__gt=start).select_related("schedule")


def _midnight(timelapse: Timelapse, day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=timelapse.zone).astimezone(UTC)
