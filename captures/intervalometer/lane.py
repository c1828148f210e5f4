"""One rule of a timetable: the instants that it names, as far as it is open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from captures.intervalometer.grid import Grid
from captures.intervalometer.instants import Instants
from captures.intervalometer.openings import Openings
from captures.intervalometer.rules import Rule


@dataclass(frozen=True, slots=True)
class GridInstants:
    """The slots of a grid as instants with an end of the search."""

    grid: Grid

    def first_from(self, moment: datetime, until: datetime) -> datetime | None:
        slot = self.grid.first_from(moment)
        return slot if slot < until else None

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        return self.grid.between(start, end)

    def count(self, start: datetime, end: datetime) -> int:
        return self.grid.count(start, end)

    def holds(self, moment: datetime) -> bool:
        return self.grid.holds(moment)


@dataclass(frozen=True, slots=True)
class Lane:
    rule: Rule
    instants: Instants
    openings: Openings
    is_always: bool

    def first_from(self, moment: datetime, until: datetime) -> datetime | None:
        """The first slot in [moment, until)."""
        if self.is_always:
            return self.instants.first_from(moment, until)
        at = moment
        while True:
            slot = self.instants.first_from(at, until)
            if slot is None:
                return None
            span = self.openings.first_from(slot, until)
            if span is None:
                return None
            if span[0] <= slot:
                return slot
            at = span[0]

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The slots in [start, end), in order, none twice."""
        if self.is_always:
            yield from self.instants.between(start, end)
            return
        for span in self.openings.spans(start, end):
            yield from self.instants.between(*span)

    def count(self, start: datetime, end: datetime) -> int:
        if self.is_always:
            return self.instants.count(start, end)
        return sum(self.instants.count(*span) for span in self.openings.spans(start, end))

    def gives(self, moment: datetime) -> bool:
        return self.instants.holds(moment) and (self.is_always or self.openings.is_open(moment))
