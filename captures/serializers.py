"""Timelapses and captures in the form in which the API takes and gives them."""

from __future__ import annotations

from copy import copy
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from cameras.models import Camera
from captures import campaign, pictures, versions, zones
from captures.effective import proposed_plan
from captures.exceptions import PlanRefused
from captures.models import Capture, Schedule, Timelapse
from captures.plans import PlanField, by_path
from captures.reasons import words_of
from media_jobs import clock
from media_jobs.filters import in_reach

MOST_DAYS = 36_500
MOST_CAPTURES = 2_000_000_000


class PicturesSerializer(serializers.Serializer[Any]):
    """Where the picture is, in three sizes."""

    full = serializers.URLField()
    small = serializers.URLField()
    thumbnail = serializers.URLField()


class CaptureSerializer(serializers.ModelSerializer[Capture]):
    """One slot, and what became of it."""

    camera = serializers.IntegerField(source="timelapse.camera_id", read_only=True)
    pictures = serializers.SerializerMethodField(help_text="Null unless the capture is stored.")

    class Meta:
        model = Capture
        fields = [
            "id",
            "timelapse",
            "camera",
            "slot",
            "day_number",
            "origin",
            "requested_by",
            "rule",
            "correlation_id",
            "state",
            "reason",
            "detail",
            "give_up_at",
            "taken_at",
            "lateness_ms",
            "duration_ms",
            "attempt",
            "bytes",
            "width",
            "height",
            "codec",
            "checksum",
            "score",
            "verdict",
            "is_flagged",
            "flagged_by",
            "quarantine_until",
            "pictures",
        ]
        read_only_fields = fields

    @extend_schema_field(PicturesSerializer(allow_null=True))
    def get_pictures(self, capture: Capture) -> dict[str, str] | None:
        if capture.state != Capture.State.STORED:
            return None
        request = self.context.get("request")
        addresses = {size: pictures.address(capture, size) for size in pictures.INSTEAD}
        return {
            size: request.build_absolute_uri(path) if request else path for size, path in addresses.items()
        }


class TimelapseSerializer(serializers.ModelSerializer[Timelapse]):
    """One campaign of one camera. Its state is moved by start, pause, resume, complete and archive."""

    camera = serializers.PrimaryKeyRelatedField(queryset=Camera.objects.all())
    camera_name = serializers.CharField(source="camera.name", read_only=True)
    camera_image_count = serializers.IntegerField(source="camera.image_count", read_only=True)
    plan = PlanField(
        required=False, help_text="Unless it is said: an interval, as the camera's settings propose it."
    )
    plan_words = serializers.CharField(
        source="words", read_only=True, help_text="The plan as a person says it."
    )
    # Named here, because the ranges of the columns differ between databases.
    stop_after_days = serializers.IntegerField(
        min_value=1,
        max_value=MOST_DAYS,
        required=False,
        allow_null=True,
        help_text="Local calendar days, the day of the start included.",
    )
    stop_after_captures = serializers.IntegerField(
        min_value=1,
        max_value=MOST_CAPTURES,
        required=False,
        allow_null=True,
        help_text="So many stored pictures.",
    )
    stops_at = serializers.DateTimeField(
        read_only=True,
        allow_null=True,
        help_text="The end of the promise, exclusive: `end_at`, or the end of the last of its days.",
    )
    latest_capture = serializers.SerializerMethodField(help_text="The newest picture, or null.")

    class Meta:
        model = Timelapse
        fields = [
            "id",
            "camera",
            "camera_name",
            "name",
            "state",
            "plan",
            "plan_words",
            "start_at",
            "end_at",
            "stop_after_days",
            "stop_after_captures",
            "stops_at",
            "time_zone",
            "created_at",
            "started_at",
            "completed_at",
            "next_slot_at",
            "schedule_error",
            "image_count",
            "flagged_count",
            "discarded_count",
            "camera_image_count",
            "latest_capture",
        ]
        read_only_fields = [
            "state",
            "started_at",
            "completed_at",
            "next_slot_at",
            "schedule_error",
            "image_count",
            "flagged_count",
            "discarded_count",
        ]
        extra_kwargs = {
            "start_at": {"validators": [in_reach]},
            "end_at": {"validators": [in_reach]},
        }
        validators: list[Any] = []

    @extend_schema_field(CaptureSerializer(allow_null=True))
    def get_latest_capture(self, timelapse: Timelapse) -> dict[str, Any] | None:
        capture = timelapse.latest_capture
        if capture is None:
            return None
        capture.timelapse = timelapse  # its own, so no query is needed
        return CaptureSerializer(capture, context=self.context).data

    def validate_camera(self, camera: Camera) -> Camera:
        if self.instance is not None and camera != self.instance.camera:
            raise serializers.ValidationError("A timelapse stays with its camera: make a new one.")
        return camera

    def validate_time_zone(self, name: str) -> str:
        return zones.known(name)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is None and "plan" not in attrs:
            attrs["plan"] = proposed_plan(attrs["camera"])
        if attrs.keys() & {"time_zone", "start_at", "end_at"}:
            self._check_moments(attrs)
        start_at = attrs.get("start_at", getattr(self.instance, "start_at", None))
        end_at = attrs.get("end_at", getattr(self.instance, "end_at", None))
        if start_at and end_at and end_at <= start_at:
            raise serializers.ValidationError({"end_at": ["The end must lie after the start."]})
        if self.instance is None or attrs.keys() & {"plan", "time_zone"}:
            self._check_plan(attrs)
        return attrs

    def _check_moments(self, attrs: dict[str, Any]) -> None:
        """Also those that are kept already: another zone must be able to tell them."""
        wanted = candidate(attrs, self.instance)
        if problems := zones.problems_of(start_at=wanted.start_at, end_at=wanted.end_at):
            raise serializers.ValidationError(problems)
        # An end that lies behind us would end the timelapse at once, and for good.
        is_new = self.instance is None or wanted.end_at != self.instance.end_at
        if is_new and wanted.end_at and wanted.end_at <= clock.now():
            raise serializers.ValidationError({"end_at": ["The end must not lie in the past."]})

    def _check_plan(self, attrs: dict[str, Any]) -> None:
        """Whether the plan can be carried out at the camera's place: said now, and not when it is started."""
        try:
            versions.checked_timetable(candidate(attrs, self.instance), clock.now())
        except PlanRefused as error:
            raise serializers.ValidationError({"plan": by_path(error.problems)}) from None

    def create(self, validated_data: dict[str, Any]) -> Timelapse:
        timelapse = Timelapse(**validated_data)
        campaign.create(timelapse, by=self.context["request"].user.get_username())
        return timelapse

    def update(self, instance: Timelapse, validated_data: dict[str, Any]) -> Timelapse:
        validated_data.pop("camera", None)
        campaign.change(instance, by=self.context["request"].user.get_username(), **validated_data)
        return instance


def candidate(attrs: dict[str, Any], instance: Timelapse | None = None) -> Timelapse:
    """The timelapse that there would be with these fields, which is not saved."""
    if instance is None:
        return Timelapse(**attrs)
    wanted = copy(instance)
    for name, value in attrs.items():
        setattr(wanted, name, value)
    return wanted


class ScheduleSerializer(serializers.ModelSerializer[Schedule]):
    """A timetable that was in force: what is counted of that time is counted by it."""

    words = serializers.CharField(read_only=True)
    plan = PlanField(source="document.plan", read_only=True)
    time_zone = serializers.CharField(source="document.zone", read_only=True)

    class Meta:
        model = Schedule
        fields = ["id", "from_at", "until_at", "words", "plan", "time_zone"]
        read_only_fields = fields


class StartSerializer(serializers.Serializer[Any]):
    complete_active = serializers.BooleanField(
        default=False, help_text="Complete the camera's running or paused timelapse in the same breath."
    )


class FlagSerializer(serializers.Serializer[Any]):
    is_flagged = serializers.BooleanField(help_text="Clean films leave out pictures with a flag.")
    reason = serializers.CharField(max_length=200, default="", allow_blank=True, help_text="For the audit.")


class CancelledSerializer(serializers.Serializer[Any]):
    cancelled = serializers.IntegerField(help_text="How many captures and jobs.")


class ThumbnailsSerializer(serializers.Serializer[Any]):
    again = serializers.BooleanField(
        default=False, help_text="Also of the pictures that have their thumbnails."
    )


class SpanSerializer(serializers.Serializer[Any]):
    """Which stretch of time the coverage is asked for; today in the timelapse's zone unless said otherwise."""

    start = serializers.DateTimeField(required=False, help_text="Inclusive.")
    end = serializers.DateTimeField(required=False, help_text="Exclusive.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        refuse_out_of_reach(attrs, "start", "end")
        if "start" in attrs and "end" in attrs and attrs["end"] <= attrs["start"]:
            raise serializers.ValidationError({"end": ["The end must lie after the start."]})
        return attrs


class ReasonSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    count = serializers.IntegerField()
    words = serializers.CharField()


class CoverageSerializer(serializers.Serializer[Any]):
    """How a stretch of time was kept: the states add up to `owed_total`."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    owed_total = serializers.IntegerField()
    stored = serializers.IntegerField()
    discarded = serializers.IntegerField()
    failed = serializers.IntegerField()
    missed = serializers.IntegerField()
    skipped = serializers.IntegerField()
    pending = serializers.IntegerField()
    ratio = serializers.FloatField(
        help_text="Stored of what was wanted by now (all but skipped and pending), from 0 to 1; 1 where nothing was."
    )
    reasons = serializers.SerializerMethodField(help_text="Why pictures are missing, the commonest first.")

    @extend_schema_field(ReasonSerializer(many=True))
    def get_reasons(self, found: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"code": code, "count": count, "words": words_of(code)}
            for code, count in found["reasons"].items()
        ]


def refuse_out_of_reach(attrs: dict[str, Any], *names: str) -> None:
    """Moments that no camera knows are told at their fields."""
    if problems := zones.problems_of(**{name: attrs.get(name) for name in names}):
        raise serializers.ValidationError(problems)
