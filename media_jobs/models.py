"""The queue of record: jobs, what waits for what, and the events that clients follow."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q


class JobQuerySet(models.QuerySet["MediaJob"]):
    def active(self) -> JobQuerySet:
        return self.filter(state__in=MediaJob.ACTIVE)

    def ended(self) -> JobQuerySet:
        return self.exclude(state__in=MediaJob.ACTIVE)

    def due(self, now: datetime) -> JobQuerySet:
        return self.filter(state=MediaJob.State.QUEUED, run_after__lte=now)

    def lost(self, now: datetime) -> JobQuerySet:
        """Running, but the lease has run out: the worker has gone."""
        return self.filter(state=MediaJob.State.RUNNING, lease_until__lt=now)


class MediaJob(models.Model):
    """One piece of work that somebody waits for. Written by `media_jobs.lifecycle` alone.

    queued -> running -> done | failed | cancelled | parked
       ^        |  ^
       |        v  | (all that it waits for has ended)
       +---- waiting

    One whose worker died with it again and again is parked: ended, until a person asks for it anew.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        WAITING = "waiting"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"
        PARKED = "parked"

    class Priority(models.IntegerChoices):
        HIGH = 0, "high: a person asked"
        MEDIUM = 1, "medium: follows a capture"
        LOW = 2, "low: backfill"

    ACTIVE = (State.QUEUED, State.RUNNING, State.WAITING)
    ENDED_BADLY = (State.FAILED, State.PARKED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    task = models.CharField(max_length=80)
    queue = models.CharField(max_length=80, help_text="Whose workers can do it; see timelapser/queues.py.")
    key = models.CharField(max_length=160, help_text="One active job for each task and key.")
    topic = models.CharField(max_length=80, help_text="Who follows it: camera.<id> or timelapse.<id>.")
    title = models.CharField(max_length=200)
    args = models.JSONField(default=dict)
    result = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    priority = models.PositiveSmallIntegerField(choices=Priority.choices, default=Priority.MEDIUM)
    turn = models.PositiveBigIntegerField(
        default=0, help_text="Within a priority the topics take turns: the lowest is next."
    )
    progress_done = models.PositiveIntegerField(default=0)
    progress_total = models.PositiveIntegerField(default=0)
    progress_unit = models.CharField(max_length=20, default="frames")
    requested_at = models.DateTimeField()
    requested_by = models.CharField(max_length=150, default="clock")
    run_after = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0, help_text="Claims; long work has one for each turn.")
    max_attempts = models.PositiveSmallIntegerField(default=3)
    failed_count = models.PositiveSmallIntegerField(
        default=0, help_text="How many tries have failed; others ended with their worker, or waited."
    )
    lost_count = models.PositiveSmallIntegerField(default=0, help_text="How many workers went away with it.")
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=150, default="")
    cancel_requested = models.BooleanField(default=False)
    is_quiet = models.BooleanField(
        default=False, help_text="Its steps are no news: its outcome has an event."
    )
    error_code = models.CharField(max_length=60, default="")
    error = models.TextField(default="")
    correlation_id = models.CharField(max_length=64, default="")
    needs: models.ManyToManyField[MediaJob, models.Model] = models.ManyToManyField(
        "self", symmetrical=False, related_name="needed_by"
    )

    objects = JobQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["task", "key"],
                condition=Q(state__in=["queued", "running", "waiting"]),
                name="media_jobs_one_active_per_key",
            ),
        ]
        indexes = [
            models.Index(fields=["topic", "-requested_at"], name="media_jobs_by_topic"),
            # Not partial: SQLite cannot tell that `state IN (...)` lies within a condition of several values.
            models.Index(fields=["state", "run_after"], name="media_jobs_by_state"),
            # The line at each queue, and each topic's place in it: only what waits is in them.
            models.Index(
                fields=["queue", "priority", "turn", "requested_at"],
                condition=Q(state="queued"),
                name="media_jobs_line",
            ),
            models.Index(
                fields=["topic", "queue", "priority", "turn"],
                condition=Q(state="queued"),
                name="media_jobs_turn_of_topic",
            ),
            models.Index(fields=["correlation_id"], name="media_jobs_by_correlation"),
            models.Index(fields=["task", "key", "state"], name="media_jobs_by_wish"),
            models.Index(fields=["-requested_at"], name="media_jobs_by_request"),
            models.Index(fields=["finished_at"], name="media_jobs_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.state})"

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE

    @property
    def percent(self) -> int:
        """0 to 100; 100 only for what is done."""
        if self.state == self.State.DONE:
            return 100
        return min(99, self.progress_done * 100 // self.progress_total) if self.progress_total else 0

    def eta_s(self, now: datetime) -> float | None:
        """Seconds until the end at the pace so far, or None while nobody can know.

        What was there before the job began (`had` in its memory) says nothing about the pace.
        """
        made = self.progress_done - int(self.result.get("had", 0))
        if self.started_at is None or not self.is_active or made <= 0:
            return None
        spent = (now - self.started_at).total_seconds()
        return spent * max(0, self.progress_total - self.progress_done) / made


class Event(models.Model):
    """Something that happened, kept so that a client that was away can ask for what it missed."""

    id = models.BigAutoField(primary_key=True)
    topic = models.CharField(max_length=80)
    type = models.CharField(max_length=60)
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    correlation_id = models.CharField(max_length=64, default="")

    class Meta:
        indexes = [
            models.Index(fields=["topic", "id"], name="media_jobs_event_topic"),
            models.Index(fields=["correlation_id"], name="media_jobs_event_correlation"),
            models.Index(fields=["created_at"], name="media_jobs_event_age"),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.type} {self.topic}"


class Pulse(models.Model):
    """The last time that a part of the system was seen to work: the planner's tick, each worker."""

    name = models.CharField(max_length=150, primary_key=True)
    kind = models.CharField(max_length=20)
    at = models.DateTimeField()
    facts = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["kind", "at"], name="media_jobs_pulse_kind")]

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S}"


class Decision(models.Model):
    """The audit: what was decided, by which rule, for what, and by whom."""

    at = models.DateTimeField()
    action = models.CharField(max_length=60)
    rule = models.CharField(
        max_length=200, default="", help_text="Which rule fired; empty for a person's wish."
    )
    topic = models.CharField(
        max_length=80, help_text="What it was decided for: camera.<id> or timelapse.<id>."
    )
    by = models.CharField(max_length=150, help_text="A person's login, or the clock.")
    facts = models.JSONField(default=dict)
    correlation_id = models.CharField(max_length=64, default="")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["topic", "-id"], name="media_jobs_decision_topic"),
            models.Index(fields=["correlation_id"], name="media_jobs_decision_thread"),
            models.Index(fields=["at"], name="media_jobs_decision_age"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.action} by {self.by}"


class Run(models.Model):
    """What an entry of the clock did at one occurrence; entries of seconds share a row for each minute."""

    name = models.CharField(max_length=100, help_text="The entry's task.")
    instant = models.DateTimeField(help_text="Which occurrence: a multiple of the period, or of a minute.")
    runs = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    busy_ms = models.PositiveBigIntegerField(default=0)
    longest_ms = models.PositiveIntegerField(default=0)
    result = models.JSONField(default=dict)
    error = models.TextField(default="")
    worker = models.CharField(max_length=150, default="")

    class Meta:
        ordering = ["-instant"]
        constraints = [
            models.UniqueConstraint(fields=["name", "instant"], name="media_jobs_one_run_per_occurrence")
        ]
        indexes = [models.Index(fields=["instant"], name="media_jobs_run_age")]

    def __str__(self) -> str:
        return f"{self.name} at {self.instant:%Y-%m-%d %H:%M:%S}"
