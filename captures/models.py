"""Timelapses, the schedules they had, and the ledger: one capture for each instant that was owed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from captures import intervalometer

GRACE_MAX_S = 30


class TimelapseQuerySet(models.QuerySet["Timelapse"]):
    def active(self) -> TimelapseQuerySet:
        return self.filter(state__in=[Timelapse.State.RUNNING, Timelapse.State.PAUSED])

    def running(self) -> TimelapseQuerySet:
        return self.filter(state=Timelapse.State.RUNNING)


def default_plan() -> dict[str, Any]:
    return {"rules": [{"kind": "interval", "every_s": 300, "on_the_clock": False}]}


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
    interval_s = models.PositiveIntegerField(
        "interval in seconds",
        default=300,
        validators=[MinValueValidator(1), MaxValueValidator(86_400)],
    )
    is_on_the_clock = models.BooleanField(
        "on the clock",
        default=False,
        help_text="Slots at even times of the local clock. Otherwise cameras are spread over the interval.",
    )
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
    image_count = models.PositiveIntegerField(default=0, editable=False)
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
            models.CheckConstraint(
                condition=Q(interval_s__gte=1, interval_s__lte=86_400), name="captures_interval_in_range"
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
    def interval(self) -> timedelta:
        return timedelta(seconds=self.interval_s)

    @property
    def grace(self) -> timedelta:
        """How late a capture may start: half of the interval, 30 s at the most."""
        return timedelta(seconds=min(self.interval_s / 2, GRACE_MAX_S))

    def day_number(self, moment: datetime) -> int:
        """Local calendar days since the start, the first is 1."""
        first = (self.started_at or moment).astimezone(self.zone).date()
        return (moment.astimezone(self.zone).date() - first).days + 1


class Schedule(models.Model):
    """The timetable that was in force from `from_at` (inclusive) until `until_at` (exclusive; null: still)."""

    timelapse = models.ForeignKey(Timelapse, on_delete=models.CASCADE, related_name="schedules")
    anchor_at = models.DateTimeField()
    interval_s = models.PositiveIntegerField()
    document = models.JSONField(
        default=dict, help_text="The timetable, complete and frozen: rules, anchors, zone, place."
    )
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
        return f"every {self.interval_s} s from {self.from_at:%Y-%m-%d %H:%M:%S}"

    @property
    def grid(self) -> intervalometer.Grid:
        return intervalometer.Grid(anchor=self.anchor_at, interval=timedelta(seconds=self.interval_s))


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


class CaptureQuerySet(models.QuerySet["Capture"]):
    def owed(self) -> CaptureQuerySet:
        return self.filter(state=Capture.State.OWED)

    def stored(self) -> CaptureQuerySet:
        return self.filter(state=Capture.State.STORED)


class Capture(models.Model):
    """One slot of one timelapse, and what became of it. Moved by `captures.ledger` and `captures.settlement` alone.

    owed -> stored | failed (reason) | missed (reason) | skipped (reason)
    """

    class State(models.TextChoices):
        OWED = "owed"
        STORED = "stored"
        FAILED = "failed"
        MISSED = "missed"
        SKIPPED = "skipped"

    class Origin(models.TextChoices):
        GRID = "grid", "the clock"
        PERSON = "person", "a person"

    timelapse = models.ForeignKey(Timelapse, on_delete=models.PROTECT, related_name="captures")
    slot = models.DateTimeField()
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.GRID)
    requested_by = models.CharField(max_length=150, default="clock")
    rule = models.CharField(max_length=80, default="", help_text="Which rule of the plan owed it.")
    correlation_id = models.CharField(max_length=64, default="")
    state = models.CharField(max_length=10, choices=State.choices, default=State.OWED)
    reason = models.CharField(max_length=60, default="")
    detail = models.TextField(default="")
    give_up_at = models.DateTimeField(help_text="Not started by then: missed.")
    sent_at = models.DateTimeField(null=True)
    claimed_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    worker = models.CharField(max_length=150, default="")
    taken_at = models.DateTimeField(null=True)
    lateness_ms = models.IntegerField(null=True, help_text="Start of the reading against the slot.")
    duration_ms = models.PositiveIntegerField(
        null=True, help_text="From the start of the reading to the file."
    )
    day_number = models.PositiveIntegerField(default=1)
    file = models.CharField(max_length=200, default="")
    bytes = models.PositiveBigIntegerField(default=0)
    width = models.PositiveIntegerField(default=0)
    height = models.PositiveIntegerField(default=0)
    codec = models.CharField(max_length=20, default="")
    checksum = models.CharField(max_length=64, default="", help_text="SHA-256 of the file.")
    thumbnail = models.CharField(max_length=200, default="")
    small = models.CharField(max_length=200, default="")

    objects = CaptureQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["timelapse", "slot"], name="captures_one_per_slot"),
            models.CheckConstraint(
                condition=~Q(state="stored") | (Q(bytes__gt=0) & ~Q(file="") & ~Q(checksum="")),
                name="captures_stored_has_its_file",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["owed", "stored"]) | ~Q(reason=""), name="captures_gone_has_its_reason"
            ),
        ]
        indexes = [
            models.Index(fields=["give_up_at"], condition=Q(state="owed"), name="captures_owed"),
            models.Index(fields=["timelapse", "state", "slot"], name="captures_by_state"),
            models.Index(fields=["-slot", "-id"], name="captures_by_slot"),
            models.Index(fields=["correlation_id"], name="captures_by_correlation"),
        ]

    def __str__(self) -> str:
        return f"{self.slot:%Y-%m-%d %H:%M:%S} {self.state}"
