"""What is coming: the slots that will be taken, and the stretches in which a rule leaves its slots out, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import merge
from itertools import pairwise

from captures.intervalometer.instants import SunInstants
from captures.intervalometer.lane import Lane
from captures.intervalometer.openings import Reason


@dataclass(frozen=True, slots=True)
class Coming:
    """A slot that will be taken, and the words of the first rule that gives it."""

    at: datetime
    rule: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """`count` slots that a rule names in [from_at, until_at) and that are not taken for it, all for the same reason."""

    from_at: datetime
    until_at: datetime
    count: int
    reason: Reason
    rule: str


def left_out(lane: Lane, start: datetime, end: datetime) -> Iterator[LeftOut]:
    """What a rule leaves out in [start, end), in order; what has one reason is one, unless a slot lies between."""
    pending: LeftOut | None = None
    for stretch in _stretches(lane, start, end):
        if pending is None:
            pending = stretch
            continue
        is_same = pending.reason == stretch.reason
        if is_same and lane.first_from(pending.until_at, stretch.from_at) is None:
            count = pending.count + stretch.count
            pending = replace(pending, until_at=stretch.until_at, count=count)
        else:
            yield pending
            pending = stretch
    if pending is not None:
        yield pending


def _stretches(lane: Lane, start: datetime, end: datetime) -> Iterator[LeftOut]:
    closed = () if lane.is_always else _closed(lane, start, end)
    stretches = [closed]
    if isinstance(lane.instants, SunInstants):
        stretches.append(_without_event(lane, lane.instants, start, end))
    return merge(*stretches, key=lambda stretch: stretch.from_at)


def _closed(lane: Lane, start: datetime, end: datetime) -> Iterator[LeftOut]:
    """Between the openings, cut where the reason changes, as far as the rule has slots there."""
    at = start
    for opens, closes in [*lane.openings.spans(start, end), (end, end)]:
        cuts = [at, *lane.openings.borders(at, opens), opens] if at < opens else []
        for from_at, until_at in pairwise(cuts):
            count = lane.instants.count(from_at, until_at)
            reason = lane.openings.closed_because(from_at) if count else None
            if reason is not None:
                yield LeftOut(_natural(from_at), _natural(until_at), count, reason, lane.rule.words)
        at = closes


def _without_event(lane: Lane, instants: SunInstants, start: datetime, end: datetime) -> Iterator[LeftOut]:
    reason = Reason("no_sun_event", f"There is no {instants.event} on this day.")
    for from_at, until_at in instants.missing(start, end):
        yield LeftOut(max(start, from_at), min(end, until_at), 1, reason, lane.rule.words)


def _natural(border: datetime) -> datetime:
    """A border without the tick that makes an inclusive end an exclusive one."""
    return border.replace(microsecond=0) if border.microsecond == 1 else border
