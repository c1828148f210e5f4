"""A timetable: a plan at its place and in its time zone, with its anchors fixed. Says which slots are owed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from heapq import merge
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from captures.intervalometer.document import PlanError
from captures.intervalometer.forecast import Coming, LeftOut, left_out
from captures.intervalometer.grid import Grid, clock_grid, spread_grid
from captures.intervalometer.instants import instants_of
from captures.intervalometer.lane import GridInstants, Lane
from captures.intervalometer.openings import TICK, Reason, openings_of
from captures.intervalometer.plan import Plan
from captures.intervalometer.rules import IntervalRule, Rule
from captures.intervalometer.sun import Place
from captures.intervalometer.wall import LocalClock

LOOK_AHEAD = timedelta(days=9 * 366)  # 29 February may be eight years away
FORECAST_AHEAD = timedelta(days=31)
_LOOKS = (timedelta(hours=1), timedelta(days=2), timedelta(days=60))
_LOOK_OF_MANY = timedelta(days=36 * 366)  # of all rules together, where somebody waits for a forecast
_COUNTED_SINGLY = 20_000
_BLOCK = 1_000  # slots at once while reading backwards


@dataclass(frozen=True, slots=True)
class Timetable:
    """Complete and frozen: what it says of a moment can be said again years later.

    `anchors` has one instant in UTC for each rule that is an interval, None for the others. All instants that go in are
    aware, all that come out are in UTC.
    """

    plan: Plan
    zone: str
    place: Place | None
    anchors: tuple[datetime | None, ...]
    lanes: tuple[Lane, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        clock = LocalClock(_zone(self.zone))
        if self.place is None and self.plan.needs_place:
            raise PlanError({"place": "A plan with the sun needs a place."})
        lanes = tuple(self._lane(number, anchor, clock) for number, anchor in enumerate(self.anchors))
        object.__setattr__(self, "lanes", lanes)

    @classmethod
    def of(cls, plan: Plan, *, zone: str, place: Place | None, seed: str, start: datetime) -> Timetable:
        """Fixes the anchors: a phase by `seed`, or for rules on the clock the local midnight before `start`.

        Raises PlanError where the time zone is unknown or the sun has a part and `place` is None.
        """
        local = _zone(zone)
        return cls(plan, zone, place, tuple(_anchor(rule, local, seed, start) for rule in plan.rules))

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Timetable:
        """What `to_document` gave, which may have gone through JSON."""
        plan = _plan(json.dumps(document["plan"]))
        place = document["place"]
        anchors = tuple(anchor and datetime.fromisoformat(anchor) for anchor in document["anchors"])
        return cls(plan, document["zone"], place and Place(*place), anchors)

    def to_document(self) -> dict[str, Any]:
        return {
            "plan": self.plan.to_document(),
            "zone": self.zone,
            "place": self.place and [self.place.latitude, self.place.longitude],
            "anchors": [anchor and anchor.isoformat() for anchor in self.anchors],
        }

    def first_from(self, moment: datetime, within: timedelta = LOOK_AHEAD) -> datetime | None:
        """The first slot at or after `moment`; None where none comes `within`, which means never by default."""
        at = moment.astimezone(UTC)
        if len(self.lanes) == 1:
            return self.lanes[0].first_from(at, at + within)
        for ahead in (*(look for look in _LOOKS if look < within), within):
            # A rule that never comes is not to be searched for years while others come.
            slots = [lane.first_from(at, at + ahead) for lane in self.lanes]
            first = min((slot for slot in slots if slot is not None), default=None)
            if first is not None:
                return first
        return None

    def next_after(self, moment: datetime) -> datetime | None:
        """The first slot after `moment`, or None as in `first_from`."""
        return self.first_from(moment + TICK)

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The slots in [start, end), in order, none twice."""
        lanes = [lane.between(start.astimezone(UTC), end.astimezone(UTC)) for lane in self.lanes]
        return lanes[0] if len(lanes) == 1 else _distinct(merge(*lanes))

    def count(self, start: datetime, end: datetime) -> int:
        """How many slots lie in [start, end): by arithmetic for the busiest rule, one by one for the others."""
        start, end = start.astimezone(UTC), end.astimezone(UTC)
        if len(self.lanes) == 1:
            return self.lanes[0].count(start, end)
        counts = [lane.count(start, end) for lane in self.lanes]
        busiest = counts.index(max(counts))
        others = (lane.between(start, end) for number, lane in enumerate(self.lanes) if number != busiest)
        gives = self.lanes[busiest].gives
        return counts[busiest] + sum(1 for slot in _distinct(merge(*others)) if not gives(slot))

    def about(self, start: datetime, end: datetime) -> int:
        """As `count`; where that takes long, by how often the first of several rules' instants coincide."""
        weight = self._weight(start, end)
        if len(self.lanes) == 1 or weight <= _COUNTED_SINGLY:
            return self.count(start, end)
        width = end - start
        while self._weight(start, start + width) > _COUNTED_SINGLY:
            width /= 2
        few = self._weight(start, start + width)
        return round(weight * (self.count(start, start + width) / few)) if few else weight

    def _weight(self, start: datetime, end: datetime) -> int:
        return sum(lane.count(start.astimezone(UTC), end.astimezone(UTC)) for lane in self.lanes)

    def newest(self, start: datetime, end: datetime, limit: int) -> list[datetime]:
        """The last `limit` slots of [start, end), newest first."""
        start, until = start.astimezone(UTC), end.astimezone(UTC)
        slots: list[datetime] = []
        width = timedelta(hours=1)
        while until > start and len(slots) < limit:
            from_at = max(start, until - width)
            if self.count(from_at, until) > limit - len(slots) + _BLOCK:
                width = (until - from_at) / 2
                continue
            slots += reversed(list(self.between(from_at, until)))
            until, width = from_at, width * 2
        return slots[:limit]

    def forecast(
        self, start: datetime, *, limit: int, until: datetime | None = None
    ) -> Iterator[Coming | LeftOut]:
        """The next `limit` slots before `until`, and what each rule leaves out up to the last of them, in order.

        Where fewer slots than `limit` come, what is left out is said up to `until`, or for FORECAST_AHEAD. Of many
        rules it sees less far than of one: of twenty two years.
        """
        start = start.astimezone(UTC)
        ahead = min(LOOK_AHEAD, max(2 * FORECAST_AHEAD, _LOOK_OF_MANY / len(self.lanes)))
        bound = start + ahead if until is None else until.astimezone(UTC)
        slots = list(islice(self._walk(start, bound), limit))
        if len(slots) == limit:
            end = slots[-1] if slots else start
        else:
            end = bound if until else min(bound, (slots[-1] if slots else start) + FORECAST_AHEAD)
        coming = (Coming(slot, self.rule_of(slot)) for slot in slots)
        stretches = (left_out(lane, start, end) for lane in self.lanes)
        return merge(coming, *stretches, key=lambda one: one.at if isinstance(one, Coming) else one.from_at)

    def _walk(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """As `between`, but never further ahead than the slot it is asked for."""
        slot = self.first_from(start, end - start)
        while slot is not None and slot < end:
            yield slot
            slot = self.first_from(slot + TICK, end - slot)

    def rule_of(self, slot: datetime) -> str:
        """The first rule that gives the slot, in words; empty where none does."""
        at = slot.astimezone(UTC)
        return next((lane.rule.words for lane in self.lanes if lane.gives(at)), "")

    def closed_because(self, moment: datetime) -> Reason | None:
        """Why no rule takes pictures at `moment`, by its first rule; None where one does."""
        at = moment.astimezone(UTC)
        reasons = [lane.openings.closed_because(at) for lane in self.lanes]
        return None if None in reasons else reasons[0]

    def open_period(self, moment: datetime) -> tuple[datetime, datetime | None] | None:
        """The stretch that is open from `moment`, or opens next: [from, until), to the second.

        It begins at `moment` where that is open; its end is None where it does not close within LOOK_AHEAD. None where
        it never opens.
        """
        at = moment.astimezone(UTC)
        until = at + LOOK_AHEAD
        if any(lane.is_always for lane in self.lanes):
            return at, None
        start = end = self._opens(at, until)
        while end is not None:
            later = [lane.openings.first_from(end, until) for lane in self.lanes]
            ends = [span[1] for span in later if span is not None and span[0] <= end]
            if not ends:
                break
            end = max(ends)
            if end >= until:
                end = None
        if start is None:
            return None
        return max(at, start), None if end is None else end.replace(microsecond=0)

    def _opens(self, at: datetime, until: datetime) -> datetime | None:
        spans = (lane.openings.first_from(at, until) for lane in self.lanes)
        return min((max(span[0], at) for span in spans if span is not None), default=None)

    def _lane(self, number: int, anchor: datetime | None, clock: LocalClock) -> Lane:
        rule = self.plan.rules[number]
        openings = openings_of(self.plan, rule, clock, self.place)
        if isinstance(rule, IntervalRule):
            assert anchor is not None  # noqa: S101 - a document with an interval has its anchor
            grid = Grid(anchor, timedelta(seconds=rule.every_s))
            return Lane(rule, GridInstants(grid), openings, openings.is_always)
        place = self.place if rule.needs_place else None
        return Lane(rule, instants_of(rule, clock, place), openings, openings.is_always)


def _anchor(rule: Rule, zone: ZoneInfo, seed: str, start: datetime) -> datetime | None:
    if not isinstance(rule, IntervalRule):
        return None
    interval = timedelta(seconds=rule.every_s)
    if rule.is_on_the_clock:
        return clock_grid(interval, start=start, zone=zone).anchor
    return spread_grid(interval, seed=seed).anchor


def _distinct(slots: Iterator[datetime]) -> Iterator[datetime]:
    before = None
    for slot in slots:
        if slot != before:
            yield slot
            before = slot


@lru_cache(maxsize=1024)
def _plan(text: str) -> Plan:
    return Plan.from_document(json.loads(text))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise PlanError({"time_zone": f"There is no time zone “{name}”."}) from None
