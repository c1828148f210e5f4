"""How good the pictures were: of one camera day by day, and of all cameras at a glance. Always the same few queries."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.cache import cache
from django.db.models import Avg, Count, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import TruncDate

from cameras.models import Camera
from captures.imaging.quality.contract import GOOD
from captures.models import Capture, JudgedPicture, Timelapse

Action = JudgedPicture.Action
# The lowest score of each band; the threshold's default lies between good and acceptable.
BANDS: tuple[tuple[str, int], ...] = (
    ("excellent", 90),
    ("good", 70),
    ("acceptable", 50),
    ("poor", 30),
    ("critical", 0),
)
MOST_FAILURES = 12
TREND_DAYS = 7  # with today
KEPT_S = 3600  # so long nobody sums up a day again that is over: 400,000 pictures in a week of 200 cameras
LATELY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class DayOfQuality:
    """The pictures of a calendar day (of `settings.DEFAULT_TIME_ZONE`): how many, their average score, how many bad."""

    day: date
    count: int
    average: float
    bad: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of the pictures of a while, those that were only taken once more left out.

    `average` in [0, 100], None where nothing was judged; `bands` has all five names, the best first.
    """

    count: int = 0
    bad: int = 0
    average: float | None = None
    bands: dict[str, int] = field(default_factory=lambda: {name: 0 for name, _ in BANDS})


@dataclass(frozen=True, slots=True)
class Room:
    """What the discards of a camera, or of all, come to: bytes that are freed, and those still in the quarantine."""

    saved_bytes: int
    quarantine_bytes: int
    restorable: int


@dataclass(frozen=True, slots=True)
class QualityReport:
    """A camera in [since, until). `findings` are verdicts but good, the commonest first.

    `flagged` and `discarded` are those of now, of all its timelapses; `retried` those of the span.
    """

    camera: Camera
    since: datetime
    until: datetime
    count: int
    bad: int
    score_average: float | None
    bands: dict[str, int]
    per_day: tuple[DayOfQuality, ...]
    findings: dict[str, int]
    flagged: int
    discarded: int
    retried: int
    saved_bytes: int
    quarantine_bytes: int
    restorable: int
    last_failures: tuple[JudgedPicture, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """One camera among all: its last 24 hours, the days of its trend, and the last bad picture that it gave."""

    camera: Camera
    lately: Judged
    per_day: tuple[DayOfQuality, ...]
    last_failure: JudgedPicture | None


@dataclass(frozen=True, slots=True)
class FleetReport:
    """All cameras: `lately` of the last 24 hours, `issues_today` since the local midnight."""

    lately: Judged
    healthy: int
    degraded: int
    issues_today: int
    saved_bytes: int
    quarantine_bytes: int
    cameras: tuple[Standing, ...]
    last_failures: tuple[JudgedPicture, ...]

    @property
    def score_average(self) -> float | None:
        return self.lately.average


def band_of(score: int) -> str:
    """The name of the band that a score in [0, 100] lies in."""
    return next(name for name, lowest in BANDS if score >= lowest)


def report(camera: Camera, since: datetime, until: datetime, now: datetime) -> QualityReport:
    """What the camera's page shows; seven queries."""
    all_rows = JudgedPicture.objects.filter(camera=camera, at__gte=since, at__lt=until)
    rows = _final(all_rows)
    counted = _judged(_scored(rows).aggregate(**_counts()))
    found = rows.exclude(verdict__in=["", GOOD]).values_list("verdict").annotate(n=Count("pk")).order_by("-n")
    marked = Timelapse.objects.filter(camera=camera).aggregate(
        flagged=Sum("flagged_count", default=0), discarded=Sum("discarded_count", default=0)
    )
    room = _room(Capture.objects.filter(timelapse__camera=camera), now)
    return QualityReport(
        camera=camera,
        since=since,
        until=until,
        count=counted.count,
        bad=counted.bad,
        score_average=counted.average,
        bands=counted.bands,
        per_day=_per_day(rows).get(camera.pk, ()),
        findings=dict(found),
        flagged=marked["flagged"],
        discarded=marked["discarded"],
        retried=all_rows.filter(action=Action.RETRIED).count(),
        saved_bytes=room.saved_bytes,
        quarantine_bytes=room.quarantine_bytes,
        restorable=room.restorable,
        last_failures=tuple(_failures(rows)),
    )


def fleet_report(now: datetime) -> FleetReport:
    """What the overview shows, however many cameras there are; seven queries."""
    midnight = now.astimezone(_zone()).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = _final(JudgedPicture.objects.filter(at__lte=now))
    lately = _scored(rows).filter(at__gt=now - LATELY)
    of_each = {
        row["camera"]: _judged(dict(row)) for row in lately.values("camera").annotate(**_counts()).order_by()
    }
    days = _trend(rows, midnight)
    newest = rows.filter(camera=OuterRef("pk"), is_bad=True).order_by("-at", "-id").values("pk")[:1]
    cameras = list(Camera.objects.annotate(last_bad=Subquery(newest)).order_by("name", "pk"))
    bad = _failures_with_names().in_bulk([camera.last_bad for camera in cameras if camera.last_bad])
    room = _room(Capture.objects.all(), now)
    degraded = sum(camera.is_degraded for camera in cameras)
    return FleetReport(
        lately=_together(list(of_each.values())),
        healthy=sum(camera.is_enabled for camera in cameras if not camera.is_degraded),
        degraded=degraded,
        issues_today=rows.filter(at__gte=midnight, is_bad=True).count(),
        saved_bytes=room.saved_bytes,
        quarantine_bytes=room.quarantine_bytes,
        cameras=tuple(
            Standing(
                camera=camera,
                lately=of_each.get(camera.pk, Judged()),
                per_day=days.get(camera.pk, ()),
                last_failure=bad.get(camera.last_bad),
            )
            for camera in cameras
        ),
        last_failures=tuple(_failures(rows)),
    )


def _final(rows: QuerySet[JudgedPicture]) -> QuerySet[JudgedPicture]:
    return rows.exclude(action=Action.RETRIED)


def _scored(rows: QuerySet[JudgedPicture]) -> QuerySet[JudgedPicture]:
    """Without those that could not be judged: their score says nothing."""
    return rows.filter(error="")


def _counts() -> dict[str, Any]:
    within = dict(zip((name for name, _ in BANDS), _limits(), strict=True))
    bands = {name: Count("at", filter=limit) for name, limit in within.items()}
    return {"n": Count("*"), "bad": Count("at", filter=Q(is_bad=True)), "average": Avg("score"), **bands}


def _limits() -> list[Q]:
    lowest = [score for _, score in BANDS]
    return [Q(score__gte=low, score__lt=high) for low, high in zip(lowest, [101, *lowest], strict=False)]


def _judged(row: dict[str, Any]) -> Judged:
    average = None if row["average"] is None else float(row["average"])
    return Judged(row["n"], row["bad"], average, {name: row[name] for name, _ in BANDS})


def _together(parts: list[Judged]) -> Judged:
    count = sum(part.count for part in parts)
    if not count:
        return Judged()
    total = sum(part.average * part.count for part in parts if part.average is not None)
    bands = {name: sum(part.bands[name] for part in parts) for name, _ in BANDS}
    return Judged(count, sum(part.bad for part in parts), total / count, bands)


def _per_day(rows: QuerySet[JudgedPicture]) -> dict[int, tuple[DayOfQuality, ...]]:
    """By camera; days without pictures have no entry."""
    by_day = (
        _scored(rows).annotate(day=TruncDate("at", tzinfo=_zone())).values("camera", "day").order_by("day")
    )
    days: dict[int, list[DayOfQuality]] = defaultdict(list)
    for row in by_day.annotate(n=Count("*"), average=Avg("score"), bad=Count("at", filter=Q(is_bad=True))):
        days[row["camera"]].append(DayOfQuality(row["day"], row["n"], float(row["average"]), row["bad"]))
    return {camera: tuple(found) for camera, found in days.items()}


def _trend(rows: QuerySet[JudgedPicture], midnight: datetime) -> dict[int, tuple[DayOfQuality, ...]]:
    """The days before that local midnight and the one after it, by camera. One query, of what is not kept."""
    starts = [_days_before(midnight, count) for count in range(TREND_DAYS - 1, -1, -1)]
    kept = cache.get_many([_key(start) for start in starts[:-1]])
    first = next((start for start in starts[:-1] if _key(start) not in kept), midnight)
    found = _per_day(rows.filter(at__gte=first))
    by_day: dict[date, dict[int, DayOfQuality]] = {start.date(): {} for start in starts if start >= first}
    for camera, days in found.items():
        for day in days:
            by_day[day.day][camera] = day
    fresh = {_key(start): by_day[start.date()] for start in starts[:-1] if start >= first}
    cache.set_many(fresh, KEPT_S)
    together: dict[int, list[DayOfQuality]] = defaultdict(list)
    for start in starts:
        known = by_day[midnight.date()] if start == midnight else (kept | fresh)[_key(start)]
        for camera, day in known.items():
            together[camera].append(day)
    return {camera: tuple(days) for camera, days in together.items()}


def _days_before(midnight: datetime, count: int) -> datetime:
    """The local midnight so many days earlier."""
    return datetime.combine(midnight.date() - timedelta(days=count), time(), tzinfo=_zone())


def _key(start: datetime) -> str:
    return f"quality-{start.isoformat()}"


def _failures_with_names() -> QuerySet[JudgedPicture]:
    return JudgedPicture.objects.select_related("camera", "capture__timelapse")


def _failures(rows: QuerySet[JudgedPicture]) -> QuerySet[JudgedPicture]:
    bad = rows.filter(is_bad=True).order_by("-at", "-id")
    return bad.select_related("camera", "capture__timelapse")[:MOST_FAILURES]


def _room(captures: QuerySet[Capture], now: datetime) -> Room:
    is_here = ~Q(file="")
    sums = captures.filter(state=Capture.State.DISCARDED).aggregate(
        saved=Sum(F("bytes"), filter=~is_here, default=0),
        kept=Sum(F("bytes"), filter=is_here, default=0),
        restorable=Count("pk", filter=is_here & Q(quarantine_until__gt=now)),
    )
    return Room(sums["saved"], sums["kept"], sums["restorable"])


def _zone() -> ZoneInfo:
    return ZoneInfo(str(settings.DEFAULT_TIME_ZONE))
