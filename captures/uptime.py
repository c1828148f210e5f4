"""How a camera has been giving its pictures, day by day and outage by outage: by the ledger of all its timelapses."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import (
    Count,
    DateTimeField,
    Expression,
    Max,
    Min,
    OuterRef,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce, Least

from cameras import health
from cameras.models import Camera
from captures.models import Capture, CaptureQuerySet, Gap, default_time_zone, span_of_slot

State = Capture.State
LOST = (State.FAILED, State.MISSED)
NEVER = datetime.max.replace(tzinfo=UTC) - timedelta(days=2)
MOST_OUTAGES = 500


@dataclass(frozen=True, slots=True)
class Counts:
    """Of a stretch of time: what was owed (skipped on purpose is not), kept, and how often the camera answered.

    `asked` counts the slots at which the camera was read, with or without a picture; the rest of `owed` is our own
    fault, or still to come.
    """

    owed: int = 0
    stored: int = 0
    pending: int = 0
    asked: int = 0
    answered: int = 0

    @property
    def success_ratio(self) -> float | None:
        """Stored of what was owed by now, in [0, 1]; None where nothing was."""
        due = self.owed - self.pending
        return self.stored / due if due else None

    @property
    def uptime_ratio(self) -> float | None:
        """How often it answered when it was asked, in [0, 1]; None where nobody asked."""
        return self.answered / self.asked if self.asked else None

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.owed + other.owed,
            self.stored + other.stored,
            self.pending + other.pending,
            self.asked + other.asked,
            self.answered + other.answered,
        )


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    counts: Counts


@dataclass(frozen=True, slots=True)
class Outage:
    """The camera gave nothing from the slot `from_at` on, `count` times in a row; `until_at` None: it lasts."""

    from_at: datetime
    until_at: datetime | None
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Uptime:
    """Local days in order, without holes, and the newest outages first, MOST_OUTAGES of them at most."""

    time_zone: str
    days: list[Day]
    outages: list[Outage]

    @property
    def total(self) -> Counts:
        return sum((day.counts for day in self.days), Counts())


def uptime(camera: Camera, first_day: date, last_day: date) -> Uptime:
    """From the first until the last day, both included, in the zone of the camera's newest timelapse. Six queries."""
    zone = zone_of(camera)
    days = [first_day + timedelta(number) for number in range((last_day - first_day).days + 1)]
    limits = [_midnight(zone, day) for day in [*days, last_day + timedelta(days=1)]]
    own = list(
        camera.timelapses.values_list("pk", flat=True)
    )  # few; through a join all captures would be read
    rows = Capture.objects.filter(timelapse__in=own, slot__gte=limits[0], slot__lt=limits[-1])
    gaps = list(
        Gap.objects.filter(timelapse__camera=camera, from_at__lt=limits[-1], until_at__gt=limits[0])
        .select_related("schedule")
        .order_by("pk")
    )
    states = _states(rows, limits, gaps)
    return Uptime(
        zone.key,
        [Day(day, _counts(states[number])) for number, day in enumerate(days)],
        list(_outages(rows, camera)),
    )


def zone_of(camera: Camera) -> ZoneInfo:
    """Where its days begin: the zone of its newest timelapse."""
    newest = camera.timelapses.order_by("-created_at", "-pk").values_list("time_zone", flat=True).first()
    return ZoneInfo(newest or default_time_zone())


def _states(
    rows: CaptureQuerySet, limits: list[datetime], gaps: Iterable[Gap]
) -> defaultdict[int, Counter[str]]:
    """How many slots of each state there are on each day; of failures those of the camera are "camera"."""
    # Cut at midnights that are given, as in captures.days: for what is kept the index is enough.
    numbered = rows.annotate(number=span_of_slot(limits[1:])).order_by()
    found: defaultdict[int, Counter[str]] = defaultdict(Counter)
    kept = numbered.filter(state__in=[State.STORED, State.DISCARDED, State.OWED])
    for day, state, count in kept.values_list("number", "state").annotate(count=Count("*")):
        found[day][state] += count
    lost = numbered.filter(state__in=LOST).values_list("number", "state", "reason")
    for day, state, reason, count in lost.annotate(count=Count("*")):
        found[day]["camera" if state == State.FAILED and reason in health.REASONS else state] += count
    for gap in gaps:
        for day, (start, end) in enumerate(pairwise(limits)):
            if gap.from_at < end and gap.until_at > start:
                found[day][State.MISSED] += gap.count(start, end)
    return found


def _counts(states: Counter[str]) -> Counts:
    answered = states[State.STORED] + states[State.DISCARDED]
    return Counts(
        owed=states.total(),
        stored=states[State.STORED],
        pending=states[State.OWED],
        asked=answered + states["camera"],
        answered=answered,
    )


class _Run(NamedTuple):
    """Failures of one reason with the same next picture."""

    timelapse: int
    back_at: datetime
    reason: str
    first: datetime
    last: datetime
    slots: int


def _outages(rows: CaptureQuerySet, camera: Camera) -> Iterator[Outage]:
    """Failures belong together where no picture lies between them: where the next picture is the same."""
    failed = rows.filter(state=State.FAILED, reason__in=health.REASONS)
    grouped = (
        failed.annotate(back_at=Least(_next(State.STORED), _next(State.DISCARDED)))
        .values("timelapse", "back_at", "reason")
        .annotate(first=Min("slot"), last=Max("slot"), slots=Count("pk"))
        .order_by("-first", "reason")
        .values_list("timelapse", "back_at", "reason", "first", "last", "slots")
    )
    together: defaultdict[tuple[int, datetime], list[_Run]] = defaultdict(list)
    for run in map(_Run._make, grouped[: MOST_OUTAGES * 2]):  # an outage can have several reasons
        together[run.timelapse, run.back_at].append(run)
    for (_, back_at), runs in list(together.items())[:MOST_OUTAGES]:
        last = max(run.last for run in runs)
        yield Outage(
            from_at=min(run.first for run in runs),
            until_at=back_at if back_at < NEVER else _end_without_picture(camera, last),
            reason=max(runs, key=attrgetter("slots")).reason,
            count=sum(run.slots for run in runs),
        )


def _end_without_picture(camera: Camera, last: datetime) -> datetime | None:
    """No picture has come since in this timelapse: a probe may have found the camera well, or another timelapse has."""
    if camera.health in (Camera.Health.OFFLINE, Camera.Health.DEGRADED):
        return None if camera.last_success_at is None or camera.last_success_at <= last else last
    is_back = camera.health == Camera.Health.ONLINE and camera.health_since and camera.health_since > last
    return camera.health_since if is_back else last


def _next(state: State) -> Expression:
    """The next slot of this state in the same timelapse; NEVER where there is none. A look at the index."""
    rows = Capture.objects.filter(timelapse=OuterRef("timelapse"), state=state, slot__gt=OuterRef("slot"))
    return Coalesce(
        Subquery(rows.order_by("slot").values("slot")[:1]), Value(NEVER), output_field=DateTimeField()
    )


def _midnight(zone: ZoneInfo, day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
