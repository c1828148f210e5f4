"""The end of the events' table, read again and again without missing one.

An id is given out before its transaction commits, so an event can appear behind ids that were read long ago. What is
missing between two ids is therefore remembered as a gap, and asked for with each look, until nobody is left who could
fill it: every transaction that was under way shortly after the gap was first seen has ended (`pg_current_snapshot()`,
PostgreSQL 16 documentation, 9.27.8), or a minute has passed.

Two events about one thing can never appear the wrong way round: whoever writes the second has waited for the first
one's transaction, as both have changed the thing's row before. What is read in one look is given in the order of ids.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.db import connection
from django.db.models import QuerySet

from media_jobs.models import Event

MOST_AT_ONCE = 1000
# Between the number and the transaction's own id lies no statement: this is enough for a process to go on.
SETTLE_S = 0.05
GIVEN_UP_AFTER_S = 60.0


@dataclass(slots=True)
class _Gap:
    seen_at: float
    decided_by: int | None = None  # the transaction id that is younger than all who could fill it


class Tail:
    """One reader's place at the end of the table. Not for several threads at once."""

    def __init__(self, rows: QuerySet[Event] | None = None) -> None:
        self._rows = Event.objects.all() if rows is None else rows
        self._gaps: dict[int, _Gap] = {}
        self.newest: int | None = None  # the highest id that was seen; None before the first look

    @property
    def safe(self) -> int:
        """Up to this id nothing will appear any more; who has heard all until now can go on from here."""
        return min(self._gaps) - 1 if self._gaps else self.newest or 0

    @property
    def gaps(self) -> list[int]:
        """Ids below `newest` that may still appear."""
        return list(self._gaps)

    def look(self) -> tuple[list[Event], bool]:
        """What has appeared since the last look, by id, and whether that is all.

        The first look, and one that finds more than MOST_AT_ONCE, give nothing and begin anew at the end.
        """
        snapshot = _snapshot()  # first: who has ended by now is seen by the next question
        if self.newest is None:
            self._begin(snapshot)
            return [], False
        ahead = self._rows.filter(id__gt=self.newest)
        found = list(ahead.order_by("id")[: MOST_AT_ONCE + 1])
        if len(found) > MOST_AT_ONCE:
            self._begin(snapshot)
            return [], False
        if not found and self._is_another_table():
            self._begin(snapshot)
            return [], False
        if self._gaps:
            found = [*self._rows.filter(id__in=self._gaps).order_by("id"), *found]
        self._note([event.pk for event in found], snapshot)
        return found, True

    def _is_another_table(self) -> bool:
        """Whether ids have gone back: another database was put in its place."""
        newest = Event.objects.order_by("-id").values_list("id", flat=True).first()
        return newest is not None and newest < (self.newest or 0)

    def _begin(self, snapshot: _Snapshot) -> None:
        newest = Event.objects.order_by("-id").values_list("id", flat=True)[:MOST_AT_ONCE]
        ids = sorted(newest)
        self._gaps, self.newest = {}, ids[0] if ids else 0
        self._note(ids, snapshot)

    def _note(self, ids: list[int], snapshot: _Snapshot) -> None:
        now = time.monotonic()
        for number in ids:
            self._gaps.pop(number, None)
        for number, gap in list(self._gaps.items()):
            is_decided = gap.decided_by is not None and snapshot.oldest >= gap.decided_by
            if is_decided or now - gap.seen_at >= GIVEN_UP_AFTER_S:
                del self._gaps[number]
            elif gap.decided_by is None and now - gap.seen_at >= SETTLE_S:
                gap.decided_by = snapshot.next
        # Of an empty table nobody knows where its ids begin: old ones are forgotten.
        expected = self.newest + 1 if self.newest else min(ids, default=1)
        for number in ids:
            if number < expected:
                continue
            # SQLite has one writer at a time: its ids appear in their order.
            if snapshot.has_writers and number - expected <= MOST_AT_ONCE:
                self._gaps |= {missing: _Gap(now) for missing in range(expected, number)}
            expected = number + 1
        self.newest = expected - 1
        for number in sorted(self._gaps)[:-MOST_AT_ONCE]:
            del self._gaps[number]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """`oldest`: every older transaction has ended. `next`: no transaction has this id yet."""

    oldest: int
    next: int
    has_writers: bool  # more than one at a time


def _snapshot() -> _Snapshot:
    if connection.vendor != "postgresql":
        return _Snapshot(0, 0, has_writers=False)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text FROM pg_current_snapshot() AS s"
        )
        oldest, next_ = cursor.fetchone() or ("0", "0")
    return _Snapshot(int(oldest), int(next_), has_writers=True)
