"""The ledger: one capture for each instant that was owed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import models
from django.db.models import Case, IntegerField, Q, Value, When

from captures.models.timelapses import Timelapse

RULE_LENGTH = 80


def span_of_slot(limits: Sequence[datetime], first: int = 0) -> Case | Value:
    """Which of the spans that end at `limits` (exclusive) a slot lies in: found by halves, a month in 5 steps."""
    if len(limits) == 1:
        return Value(first, output_field=IntegerField())
    half = len(limits) // 2
    earlier = When(slot__lt=limits[half - 1], then=span_of_slot(limits[:half], first))
    return Case(earlier, default=span_of_slot(limits[half:], first + half), output_field=IntegerField())


class CaptureQuerySet(models.QuerySet["Capture"]):
    def owed(self) -> CaptureQuerySet:
        return self.filter(state=Capture.State.OWED)

    def stored(self) -> CaptureQuerySet:
        return self.filter(state=Capture.State.STORED)

    def discarded(self) -> CaptureQuerySet:
        return self.filter(state=Capture.State.DISCARDED)


class Capture(models.Model):
    """One slot of one timelapse, and what became of it. Moved by `captures.ledger`, `captures.settlement`
    and `captures.quarantine` alone.

    owed -> stored | discarded (reason) | failed (reason) | missed (reason) | skipped (reason)
    discarded -> stored, by a person
    """

    class State(models.TextChoices):
        OWED = "owed"
        STORED = "stored"
        DISCARDED = "discarded"
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
    rule = models.CharField(max_length=RULE_LENGTH, default="", help_text="Which rule of the plan owed it.")
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
    thumbnail_bytes = models.PositiveIntegerField(default=0)
    small = models.CharField(max_length=200, default="")
    small_bytes = models.PositiveIntegerField(default=0)
    original = models.CharField(
        max_length=200, default="", help_text="The camera's own bytes, where they are kept."
    )
    score = models.PositiveSmallIntegerField(null=True, help_text="0-100, 100 is perfect; null: not judged.")
    verdict = models.CharField(max_length=20, default="", help_text="good, or the gravest finding.")
    is_flagged = models.BooleanField("flagged", default=False, help_text="Left out of clean films.")
    flagged_by = models.CharField(max_length=150, default="", help_text="quality, or who has decided.")
    quarantine_until = models.DateTimeField(
        null=True, help_text="A discarded picture can be restored until then."
    )
    weather = models.JSONField(null=True, help_text="The reading of its time.")

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
            models.Index(fields=["state", "-slot", "-id"], name="captures_by_state_and_slot"),
            models.Index(
                fields=["reason", "-slot", "-id"], condition=~Q(reason=""), name="captures_by_reason"
            ),
            models.Index(fields=["lateness_ms"], name="captures_by_lateness"),
            models.Index(fields=["taken_at"], name="captures_by_time_taken"),
            models.Index(fields=["correlation_id"], name="captures_by_correlation"),
            models.Index(fields=["timelapse", "slot"], condition=Q(is_flagged=True), name="captures_flagged"),
            models.Index(
                fields=["quarantine_until"],
                condition=Q(quarantine_until__isnull=False),
                name="captures_quarantine",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.slot:%Y-%m-%d %H:%M:%S} {self.state}"
