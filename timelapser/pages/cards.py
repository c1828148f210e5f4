"""The cameras as the dashboard shows them: a handful of queries, however many there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, Count, IntegerField, OuterRef, Q, Subquery, Sum, Value, When

from cameras.models import Camera
from captures.intervalometer import Plan
from captures.intervalometer.rules import IntervalRule
from captures.models import Capture, Timelapse
from timelapser.pages.status import Standing, standing_of
from videos.models import Video

State = Timelapse.State


@dataclass(frozen=True, slots=True)
class Card:
    """One camera: its present timelapse (or its last one), its newest picture, its film."""

    camera: Camera
    timelapse: Timelapse | None
    newest: Capture | None
    film: Video | None
    standing: Standing
    day_number: int | None

    @property
    def is_running(self) -> bool:
        return self.timelapse is not None and self.timelapse.state == State.RUNNING

    @property
    def is_paused(self) -> bool:
        return self.timelapse is not None and self.timelapse.state == State.PAUSED

    @property
    def grid_s(self) -> int | None:
        """The interval of a plan that is nothing but one: then all its slots are known. None for every other."""
        plan = self.timelapse.plan_value if self.timelapse else None
        rule = plan.rules[0] if plan else None
        if isinstance(rule, IntervalRule) and plan == Plan((rule,)):
            return rule.every_s
        return None

    @property
    def is_late(self) -> bool:
        """More than a second, and more than a tenth of the interval: worth a colour."""
        if self.newest is None or self.newest.lateness_ms is None or self.timelapse is None:
            return False
        interval = self.timelapse.interval or timedelta()
        return self.newest.lateness_ms > max(1000, interval.total_seconds() * 100)


@dataclass(frozen=True, slots=True)
class Fleet:
    """All cameras in one line."""

    cameras: int
    recording: int
    offline: int
    pictures: int
    films: int


def cards(now: datetime, *, camera_ids: Iterable[int] | None = None) -> list[Card]:
    """The cards of all cameras, or of those with these ids, by name. Four queries."""
    rank = Case(
        When(state__in=[State.RUNNING, State.PAUSED], then=Value(0)),
        When(state=State.CREATED, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    own = Timelapse.objects.filter(camera=OuterRef("pk"))
    cameras = Camera.objects.annotate(
        present_id=Subquery(own.order_by(rank, "-created_at", "-pk").values("pk")[:1]),
        newest_id=Subquery(
            own.filter(latest_capture__isnull=False)
            .order_by("-latest_capture__slot")
            .values("latest_capture_id")[:1]
        ),
    )
    if camera_ids is not None:
        cameras = cameras.filter(pk__in=list(camera_ids))
    rows = list(cameras)
    timelapses = Timelapse.objects.in_bulk([row.present_id for row in rows if row.present_id])
    captures = Capture.objects.in_bulk([row.newest_id for row in rows if row.newest_id])
    films = {
        film.timelapse_id: film
        for film in Video.objects.filter(timelapse__in=timelapses, revision__gt=0).order_by(
            "follows", "rendered_at"
        )
    }
    return [_card(row, timelapses, captures, films, now) for row in rows]


def _card(
    camera: Camera,
    timelapses: dict[int, Timelapse],
    captures: dict[int, Capture],
    films: dict[int, Video],
    now: datetime,
) -> Card:
    timelapse = timelapses.get(camera.present_id)  # type: ignore[attr-defined] # annotated above
    if timelapse is not None:
        timelapse.camera = camera  # known: not to be asked for once more
    return Card(
        camera=camera,
        timelapse=timelapse,
        newest=captures.get(camera.newest_id),  # type: ignore[attr-defined] # annotated above
        film=films.get(timelapse.pk) if timelapse else None,
        standing=standing_of(camera, timelapse, now),
        day_number=day_number_of(timelapse, now),
    )


def day_number_of(timelapse: Timelapse | None, now: datetime) -> int | None:
    """The local day that the timelapse is in, or ended in; None before its first."""
    if timelapse is None or timelapse.started_at is None or timelapse.started_at > now:
        return None
    return timelapse.day_number(min(now, timelapse.completed_at or now))


def fleet() -> Fleet:
    """Three queries."""
    is_offline = Q(health=Camera.Health.OFFLINE, is_enabled=True)
    counts = Camera.objects.aggregate(
        cameras=Count("pk"), offline=Count("pk", filter=is_offline), pictures=Sum("image_count")
    )
    return Fleet(
        cameras=counts["cameras"],
        offline=counts["offline"],
        pictures=counts["pictures"] or 0,
        recording=Timelapse.objects.running().count(),
        films=Video.objects.filter(revision__gt=0).count(),
    )
