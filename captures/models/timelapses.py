"""Timelapses, the schedules they had, and the time that nobody kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from captures.intervalometer import Plan, PlanError, Timetable, every

NOT_CALCULATED = (ValueError, ArithmeticError, LookupError)  # what a timetable that nobody can use raises
KNOWN_TIMETABLES = 20_000  # those of all timelapses that run, so that each is read from its document once


class TimelapseQuerySet(models.QuerySet["Timelapse"]):
    def active(self) -> TimelapseQuerySet:
        return self.filter(state__in=[Timelapse.State.RUNNING, Timelapse.State.PAUSED])

    def running(self) -> TimelapseQuerySet:
        return self.filter(state=Timelapse.State.RUNNING)


def default_plan() -> dict[str, Any]:
    return every(300)


@lru_cache(maxsize=1000)
def _plan(document: str) -> Plan:
    return Plan.from_document(json.loads(document))


@lru_cache(maxsize=KNOWN_TIMETABLES)
def _timetable(document: str) -> Timetable:
    return Timetable.from_document(json.loads(document))


def default_time_zone() -> str:
    return str(settings.DEFAULT_TIME_ZONE)


class Timelapse(models.Model):
    """The permanent record of one campaign of one camera. Its states are moved by `captures.campaign` alone.

    created -> running <-> paused
       |          |          |
       |          +----+-----+
       |               v
       |           completed -> archived
       +------------------------^
    """

    class State(models.TextChoices):
        CREATED = "created"
        RUNNING = "running"
        PAUSED = "paused"
        COMPLETED = "completed"
        ARCHIVED = "archived"

    camera = models.ForeignKey("cameras.Camera", on_delete=models.PROTECT, related_name="timelapses")
    name = models.CharField(max_length=150)
    state = models.CharField(max_length=10, choices=State.choices, default=State.CREATED, editable=False)
    plan = models.JSONField(
        default=default_plan, help_text="When pictures are owed: rules, windows, days; see docs/schedules.md."
    )
    start_at = models.DateTimeField(null=True, blank=True, help_text="Not before; empty means at once.")
    end_at = models.DateTimeField(null=True, blank=True, help_text="The last slot lies before this moment.")
    stop_after_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(36_500)],
        help_text="Local calendar days, the day of the start included.",
    )
    stop_after_captures = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="So many stored pictures."
    )
    time_zone = models.CharField(max_length=64, default=default_time_zone)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, editable=False)
    completed_at = models.DateTimeField(null=True, editable=False)

    next_slot_at = models.DateTimeField(null=True, editable=False, help_text="Where the ledger ends.")
    set_aside_until = models.DateTimeField(null=True, editable=False)
    schedule_error = models.TextField(default="", editable=False)
    said = models.JSONField(
        "settings",
        default=dict,
        editable=False,
        help_text="What is set for this timelapse; the rest is inherited.",
    )
    image_count = models.PositiveIntegerField(default=0, editable=False)
    flagged_count = models.PositiveIntegerField(default=0, editable=False)
    discarded_count = models.PositiveIntegerField(default=0, editable=False)
    frames_revision = models.PositiveIntegerField(
        default=0,
        editable=False,
        help_text="Counts what films must follow besides new pictures: flags, discards.",
    )
    latest_capture = models.ForeignKey(
        "captures.Capture", null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )

    objects = TimelapseQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["camera"],
                condition=Q(state__in=["running", "paused"]),
                name="captures_one_active_timelapse_per_camera",
                violation_error_message="This camera has a running or paused timelapse already.",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_slot_at"],
                condition=Q(next_slot_at__isnull=False),
                name="captures_due_timelapses",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def topic(self) -> str:
        return f"timelapse.{self.pk}"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def plan_value(self) -> Plan:
        """The plan as a value. Raises PlanError where the document is none."""
        return _plan(json.dumps(self.plan))

    @property
    def words(self) -> str:
        """The plan as a person says it: "every 60 s, 08:00 to 18:00"; of what is no plan, what is wrong with it."""
        try:
            return self.plan_value.words
        except PlanError as error:
            return f"no plan: {error}"

    @property
    def grace(self) -> timedelta:
        """How late a capture may start: half of the shortest interval, 30 s at the most."""
        return self.plan_value.grace

    @property
    def interval(self) -> timedelta | None:
        """The shortest interval of the plan; None where no rule is one."""
        return self.plan_value.shortest_interval

    @property
    def is_full(self) -> bool:
        """It has all the pictures that it was to take."""
        return self.stop_after_captures is not None and self.image_count >= self.stop_after_captures

    @property
    def stops_at(self) -> datetime | None:
        """The end of the promise, exclusive: `end_at`, or the local midnight after the last of its days."""
        return self.end_at if self.started_at is None else self.end_after(self.started_at)

    def end_after(self, start: datetime) -> datetime | None:
        """The same for one that has not started: as if it did at `start`."""
        if self.stop_after_days is None:
            return self.end_at
        first_day = (self.started_at or start).astimezone(self.zone).date()
        midnight = datetime.combine(first_day + timedelta(days=self.stop_after_days), time(), self.zone)
        last = midnight.astimezone(UTC)
        return last if self.end_at is None else min(last, self.end_at)

    def day_number(self, moment: datetime) -> int:
        """Local calendar days since the start, the first is 1."""
        first = (self.started_at or moment).astimezone(self.zone).date()
        return (moment.astimezone(self.zone).date() - first).days + 1


class Schedule(models.Model):
    """The timetable that was in force from `from_at` (inclusive) until `until_at` (exclusive; null: still)."""

    timelapse = models.ForeignKey(Timelapse, on_delete=models.CASCADE, related_name="schedules")
    document = models.JSONField(help_text="The timetable, complete and frozen: rules, anchors, zone, place.")
    from_at = models.DateTimeField()
    until_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["from_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["timelapse"],
                condition=Q(until_at__isnull=True),
                name="captures_one_schedule_in_force",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.words} from {self.from_at:%Y-%m-%d %H:%M:%S}"

    @property
    def words(self) -> str:
        return self.timetable.plan.words

    @property
    def timetable(self) -> Timetable:
        """Raises PlanError where the document is none."""
        return _timetable(json.dumps(self.document))


class Gap(models.Model):
    """Slots that are accounted for together until `captures.account` has written a row for each."""

    timelapse = models.ForeignKey(Timelapse, on_delete=models.CASCADE, related_name="gaps")
    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="+")
    from_at = models.DateTimeField()
    until_at = models.DateTimeField()
    reason = models.CharField(max_length=60)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["timelapse", "from_at"], name="captures_one_gap_per_start")
        ]

    def __str__(self) -> str:
        return f"{self.from_at:%Y-%m-%d %H:%M:%S} to {self.until_at:%Y-%m-%d %H:%M:%S}: {self.reason}"

    @property
    def problem(self) -> str:
        """Why nobody knows its slots; empty where they can be calculated."""
        try:
            self.schedule.timetable.newest(self.from_at, self.until_at, 1)
        except NOT_CALCULATED as error:
            return f"its timetable cannot be calculated: {error!r}"
        return ""

    def count(self, start: datetime | None = None, end: datetime | None = None) -> int:
        """How many of its slots lie in [start, end); of many busy rules about. 0 where nobody knows."""
        try:
            return self.schedule.timetable.about(*self._within(start, end))
        except NOT_CALCULATED:
            return 0

    def newest(self, end: datetime, limit: int) -> list[datetime]:
        """Its last `limit` slots before `end`, newest first; none where nobody knows."""
        try:
            return self.schedule.timetable.newest(*self._within(None, end), limit)
        except NOT_CALCULATED:
            return []

    def slots(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Its slots in [start, end), in order; none where nobody knows."""
        try:
            yield from self.schedule.timetable.between(*self._within(start, end))
        except NOT_CALCULATED:
            return

    def _within(self, start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
        from_at = max(start or self.from_at, self.from_at)
        return from_at, max(from_at, min(end or self.until_at, self.until_at))
