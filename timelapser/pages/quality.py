"""How good the pictures are: of all cameras, and of one with what was found in its pictures and done about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from cameras.effective import of_camera
from cameras.models import Alert, Camera
from cameras.settings import Settings
from captures.imaging.quality.contract import Sort
from captures.imaging.quality.table import DETECTORS
from captures.models import Capture, JudgedPicture, Timelapse
from captures.quality_report import FleetReport, QualityReport, fleet_report, report
from media_jobs import clock
from media_jobs.roles import SEE
from timelapser.pages.access import page, show, show_parts
from timelapser.pages.marks import Column, Part, Spark, band, bar, columns, spark

FLEET_PARTS = {
    "summary": "quality/_summary.html",
    "cameras": "quality/_cameras.html",
    "failures": "quality/_failures.html",
}
CAMERA_PARTS = {
    "standing": "quality/_standing.html",
    "history": "quality/_history.html",
    "failures": "quality/_failures.html",
    "quarantine": "quality/_quarantine.html",
    "evaluations": "quality/_evaluations.html",
}
SHOWN_CAMERAS = 50  # a row takes more than a millisecond to draw
SHOWN_FAILURES = 12
SHOWN_EVALUATIONS = 20
RECENT = 1000  # pictures: however long a timelapse lasts, its panel costs the same
PERIODS = (7, 30, 90)  # days; evaluations of more are not kept unless somebody says so
USUAL_PERIOD = 30
SORTS = (
    (Sort.DAMAGE.value, "Damaged"),
    (Sort.CONDITION.value, "The camera does not see well"),
    (Sort.SCENE.value, "Little to see"),
)
Action = JudgedPicture.Action


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to see: which bad pictures, and every camera or those to look at first.

    `before` is where the page before this one ended.
    """

    camera: int | None = None
    sort: str = ""
    before: int | None = None
    is_whole: bool = False

    @classmethod
    def of(cls, request: HttpRequest) -> Wish:
        """Reads an address; what is no number or no sort is as if it were not there."""
        sort = request.GET.get("sort", "")
        return cls(
            camera=_number(request.GET.get("camera", "")),
            sort=sort if sort in set(Sort) else "",
            before=_number(request.GET.get("before", "")),
            is_whole=request.GET.get("cameras") == "all",
        )

    @property
    def is_narrow(self) -> bool:
        return bool(self.camera or self.sort)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A page of judged pictures, newest first; `older` is the `before` of the next one, None at the end."""

    rows: list[JudgedPicture]
    older: int | None


@dataclass(frozen=True, slots=True)
class Recent:
    """The newest stored pictures of a timelapse that were judged: how many, their average, their bands."""

    count: int
    average: float | None
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class CameraRow:
    """A camera of the overview, and how it is drawn."""

    camera: Camera
    count: int
    average: float | None
    parts: tuple[Part, ...]
    spark: Spark | None
    last_failure: JudgedPicture | None


class Fleet:
    """The overview, each thing read when a template asks for it."""

    def __init__(self, wish: Wish, now: datetime) -> None:
        self.wish = wish
        self._now = now

    @cached_property
    def report(self) -> FleetReport:
        return fleet_report(self._now)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        return bar(self.report.lately.bands)

    @cached_property
    def rows(self) -> list[CameraRow]:
        """Those that somebody should look at first: degraded ones, then those with the lowest score."""
        order = sorted(
            self.report.cameras,
            key=lambda one: (
                not one.camera.is_degraded,
                101 if one.lately.average is None else one.lately.average,
            ),
        )
        return [
            CameraRow(
                camera=one.camera,
                count=one.lately.count,
                average=one.lately.average,
                parts=bar(one.lately.bands),
                spark=spark(one.per_day),
                last_failure=one.last_failure,
            )
            for one in (order if self.wish.is_whole else order[:SHOWN_CAMERAS])
        ]

    @property
    def more_cameras(self) -> int:
        return len(self.report.cameras) - len(self.rows)

    @cached_property
    def failures(self) -> Leaf:
        return _leaf(_bad(self.wish), self.wish.before, SHOWN_FAILURES)


class CameraQuality:
    """The quality of one camera, each thing read when a template asks for it."""

    def __init__(self, camera: Camera, request: HttpRequest, now: datetime) -> None:
        self.camera = camera
        self._now = now
        wish = Wish.of(request)
        self.wish = Wish(camera.pk, wish.sort, wish.before)
        days = _number(request.GET.get("days", ""))
        self.days = days if days in PERIODS else USUAL_PERIOD
        self._until = _number(request.GET.get("until", ""))

    @cached_property
    def report(self) -> QualityReport:
        midnight = self._now.astimezone(_zone()).replace(hour=0, minute=0, second=0, microsecond=0)
        return report(self.camera, midnight - timedelta(days=self.days - 1), self._now, self._now)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        return bar(self.report.bands)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        zone = _zone()
        since, until = self.report.since.astimezone(zone), self._now.astimezone(zone)
        return columns(self.report.per_day, since.date(), until.date())

    @cached_property
    def settings(self) -> Settings:
        return of_camera(self.camera).settings

    @property
    def threshold_y(self) -> int:
        """Where the line of what is good enough is drawn, in per cent from the top."""
        return 100 - self.settings.quality_threshold

    @cached_property
    def alerts(self) -> list[Alert]:
        return list(Alert.objects.filter(camera=self.camera, cleared_at=None).order_by("raised_at"))

    @cached_property
    def failures(self) -> Leaf:
        return _leaf(_bad(self.wish), self.wish.before, SHOWN_FAILURES)

    @cached_property
    def evaluations(self) -> Leaf:
        rows = JudgedPicture.objects.filter(camera=self.camera).select_related("capture")
        return _leaf(rows, self._until, SHOWN_EVALUATIONS)

    @cached_property
    def discarded(self) -> list[Capture]:
        """What can be restored, the newest first."""
        rows = Capture.objects.discarded().filter(
            timelapse__camera=self.camera, quarantine_until__gt=self._now
        )
        return list(rows.exclude(file="").select_related("timelapse").order_by("-slot")[:SHOWN_FAILURES])


@page(SEE)
def overview(request: HttpRequest) -> HttpResponse:
    return show(request, "quality/overview.html", _of_fleet(request))


@page(SEE)
def overview_parts(request: HttpRequest) -> HttpResponse:
    return show_parts(request, FLEET_PARTS, _of_fleet(request))


@page(SEE)
def camera(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Camera, pk=pk)
    running = row.timelapses.running().values_list("pk", flat=True)
    topics = " ".join([row.topic, *(f"timelapse.{found}" for found in running)])
    return show(request, "quality/camera.html", _of_camera(request, row) | {"topics": topics})


@page(SEE)
def camera_parts(request: HttpRequest, pk: int) -> HttpResponse:
    return show_parts(request, CAMERA_PARTS, _of_camera(request, get_object_or_404(Camera, pk=pk)))


def recent(timelapse: Timelapse | None) -> Recent:
    """One query by the index of the strip; of no timelapse nothing."""
    if timelapse is None:
        return Recent(0, None, ())
    newest = timelapse.captures.stored().order_by("-slot")[:RECENT]
    scores = [score for score in newest.values_list("score", flat=True) if score is not None]
    counts = Counter(band(score).code for score in scores)
    return Recent(len(scores), sum(scores) / len(scores) if scores else None, bar(counts))


def _of_fleet(request: HttpRequest) -> dict[str, Any]:
    seen = Fleet(Wish.of(request), clock.now())
    return {"seen": seen, "wish": seen.wish, "sorts": SORTS, "zone": settings.DEFAULT_TIME_ZONE}


def _of_camera(request: HttpRequest, row: Camera) -> dict[str, Any]:
    seen = CameraQuality(row, request, clock.now())
    return {
        "seen": seen,
        "camera": row,
        "wish": seen.wish,
        "sorts": SORTS,
        "periods": PERIODS,
        "detectors": DETECTORS,
        "zone": settings.DEFAULT_TIME_ZONE,
    }


def _bad(wish: Wish) -> QuerySet[JudgedPicture]:
    """What was kept with a flag or discarded, and what was found without being bad where its sort is asked for."""
    rows = JudgedPicture.objects.exclude(action=Action.RETRIED).select_related("camera", "capture__timelapse")
    rows = rows.filter(sort=wish.sort) if wish.sort else rows.filter(is_bad=True)
    return rows.filter(camera=wish.camera) if wish.camera else rows


def _leaf(rows: QuerySet[JudgedPicture], before: int | None, size: int) -> Leaf:
    if before is not None and (last := JudgedPicture.objects.filter(pk=before).first()):
        rows = rows.filter(Q(at__lt=last.at) | Q(at=last.at, pk__lt=last.pk))
    found = list(rows.order_by("-at", "-pk")[: size + 1])
    return Leaf(found[:size], found[size - 1].pk if len(found) > size else None)


def _number(text: str) -> int | None:
    """Longer numbers than 18 digits are nobody's: the database cannot hold them."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _zone() -> ZoneInfo:
    return ZoneInfo(str(settings.DEFAULT_TIME_ZONE))
