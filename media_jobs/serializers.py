"""Jobs, events and links in the form in which the API gives them."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cached_property
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from media_jobs import clock, push
from media_jobs.events import EventType
from media_jobs.models import MediaJob

TOPIC = re.compile(r"(?:camera\.new|(?:camera|timelapse)\.[0-9]{1,18})")
MAX_TOPICS = 100
PICTURES = ("preview", "before")  # in a result they are names of files
MAX_EVENT_ID = 2**63 - 2


class JobSerializer(serializers.ModelSerializer[MediaJob]):
    """A piece of work. Its arguments are not shown: they can hold what is sealed."""

    percent = serializers.IntegerField(read_only=True)
    eta_s = serializers.SerializerMethodField(help_text="Seconds to go at the pace so far, or null.")
    result = serializers.SerializerMethodField(help_text="What came out; its fields depend on the task.")
    preview_url = serializers.SerializerMethodField(help_text="The picture that a camera's test has taken.")
    before_url = serializers.SerializerMethodField(
        help_text="The same without the geometry of a test shot, apart from masks."
    )

    class Meta:
        model = MediaJob
        fields = [
            "id",
            "task",
            "title",
            "topic",
            "state",
            "queue",
            "priority",
            "progress_done",
            "progress_total",
            "progress_unit",
            "percent",
            "eta_s",
            "requested_at",
            "requested_by",
            "run_after",
            "sent_at",
            "started_at",
            "finished_at",
            "attempt",
            "max_attempts",
            "failed_count",
            "lost_count",
            "worker",
            "is_quiet",
            "cancel_requested",
            "error_code",
            "error",
            "correlation_id",
            "result",
            "preview_url",
            "before_url",
        ]
        read_only_fields = fields

    def get_eta_s(self, job: MediaJob) -> float | None:
        if job.progress_done and job.is_active:
            return job.eta_s(self._now)
        return None

    @cached_property
    def _now(self) -> datetime:
        """One look at the database's clock for a whole page."""
        return clock.now()

    @extend_schema_field({"type": "object", "additionalProperties": {}})
    def get_result(self, job: MediaJob) -> dict[str, Any]:
        return {name: value for name, value in job.result.items() if name not in PICTURES}

    @extend_schema_field({"type": ["string", "null"], "format": "uri"})
    def get_preview_url(self, job: MediaJob) -> str | None:
        return self._address(job, "preview")

    @extend_schema_field({"type": ["string", "null"], "format": "uri"})
    def get_before_url(self, job: MediaJob) -> str | None:
        return self._address(job, "before")

    def _address(self, job: MediaJob, which: str) -> str | None:
        if not job.result.get(which):
            return None
        return reverse(f"job-{which}", args=[job.pk], request=self.context.get("request"))


class EventQuerySerializer(serializers.Serializer[Any]):
    """What a client that was away asks for."""

    since = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=MAX_EVENT_ID,
        help_text="The last event that was seen; without it only the id of the latest one is given.",
    )
    topics = serializers.CharField(
        default=push.FLEET,
        max_length=4000,
        help_text="By commas: `fleet` (everything), `camera.<id>`, `timelapse.<id>`, `settings`, `weather`, `clock`, "
        "`queue.<name>`.",
    )

    def validate_topics(self, value: str) -> list[str]:
        topics = [topic.strip() for topic in value.split(",") if topic.strip()]
        if not topics or len(topics) > MAX_TOPICS:
            raise serializers.ValidationError(f"Name 1 to {MAX_TOPICS} topics.")
        if any(not push.FOLLOWED.fullmatch(topic) for topic in topics):
            raise serializers.ValidationError(
                "A topic is one of those of docs/events.md, such as timelapse.<id>."
            )
        return topics


class EventSerializer(serializers.Serializer[Any]):
    """Something that happened."""

    id = serializers.IntegerField()
    type = serializers.ChoiceField(choices=[type_.value for type_ in EventType])
    topic = serializers.CharField()
    at = serializers.DateTimeField()
    payload = serializers.DictField()


class EventsSerializer(serializers.Serializer[Any]):
    """What happened since."""

    latest = serializers.IntegerField(help_text="Ask with this next time.")
    complete = serializers.BooleanField(help_text="False: load everything anew, some events are forgotten.")
    events = EventSerializer(many=True)
