"""Evaluations and reports of quality in the form in which the API gives them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from captures.models import JudgedPicture
from captures.serializers import refuse_out_of_reach


class ReadingSerializer(serializers.Serializer[Any]):
    """What one detector read."""

    detector = serializers.CharField()
    value = serializers.FloatField(
        allow_null=True, help_text="In the detector's unit; null: it could not read."
    )
    is_found = serializers.BooleanField(help_text="Beyond the detector's bound.")
    penalty = serializers.FloatField(help_text="Points of 100 that it takes away.")
    elapsed_ms = serializers.FloatField()
    error = serializers.CharField()


class EvaluationSerializer(serializers.ModelSerializer[JudgedPicture]):
    """How one picture was judged. Scores are 0 to 100, 100 is perfect."""

    timelapse = serializers.IntegerField(source="capture.timelapse_id", read_only=True, default=None)
    readings = ReadingSerializer(many=True, read_only=True)

    class Meta:
        model = JudgedPicture
        fields = [
            "id",
            "at",
            "camera",
            "timelapse",
            "capture",
            "score",
            "fast",
            "heavy",
            "verdict",
            "sort",
            "readings",
            "action",
            "is_bad",
            "elapsed_ms",
            "error",
        ]
        read_only_fields = fields


class QualitySpanSerializer(serializers.Serializer[Any]):
    """Which while; the last seven days unless it is said."""

    since = serializers.DateTimeField(required=False, help_text="Inclusive.")
    until = serializers.DateTimeField(required=False, help_text="Exclusive.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        refuse_out_of_reach(attrs, "since", "until")
        if "since" in attrs and "until" in attrs and attrs["until"] <= attrs["since"]:
            raise serializers.ValidationError({"until": ["The end must lie after the start."]})
        return attrs


class BandsSerializer(serializers.Serializer[Any]):
    """How many pictures by their score."""

    excellent = serializers.IntegerField(help_text="90 and more.")
    good = serializers.IntegerField(help_text="70 to 89.")
    acceptable = serializers.IntegerField(help_text="50 to 69.")
    poor = serializers.IntegerField(help_text="30 to 49.")
    critical = serializers.IntegerField(help_text="Less than 30.")


class QualityDaySerializer(serializers.Serializer[Any]):
    day = serializers.DateField()
    count = serializers.IntegerField()
    average = serializers.FloatField()
    bad = serializers.IntegerField()


class QualityReportSerializer(serializers.Serializer[Any]):
    """A camera's pictures of a while; those that were only taken once more are counted by `retried` alone."""

    camera = serializers.IntegerField(source="camera.pk")
    is_degraded = serializers.BooleanField(source="camera.is_degraded")
    degraded_since = serializers.DateTimeField(source="camera.degraded_since", allow_null=True)
    bad_in_row = serializers.IntegerField(source="camera.bad_in_row")
    good_in_row = serializers.IntegerField(source="camera.good_in_row")
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    count = serializers.IntegerField()
    bad = serializers.IntegerField(help_text="Below the threshold of their time.")
    score_average = serializers.FloatField(allow_null=True)
    bands = BandsSerializer()
    per_day = QualityDaySerializer(many=True)
    findings = serializers.DictField(child=serializers.IntegerField(), help_text="How often by its word.")
    flagged = serializers.IntegerField(help_text="Stored pictures that have a flag now.")
    discarded = serializers.IntegerField(help_text="Slots whose picture is discarded now.")
    retried = serializers.IntegerField()
    saved_bytes = serializers.IntegerField(help_text="Of discarded pictures whose files are gone.")
    quarantine_bytes = serializers.IntegerField()
    restorable = serializers.IntegerField()
    last_failures = EvaluationSerializer(many=True)


class JudgedSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    bad = serializers.IntegerField()
    average = serializers.FloatField(allow_null=True)
    bands = BandsSerializer()


class StandingSerializer(serializers.Serializer[Any]):
    """One camera among all: its last 24 hours, its last seven days."""

    camera = serializers.IntegerField(source="camera.pk")
    name = serializers.CharField(source="camera.name")
    is_degraded = serializers.BooleanField(source="camera.is_degraded")
    lately = JudgedSerializer()
    per_day = QualityDaySerializer(many=True)
    last_failure = EvaluationSerializer(allow_null=True)


class FleetQualitySerializer(serializers.Serializer[Any]):
    """All cameras at a glance."""

    score_average = serializers.FloatField(allow_null=True, help_text="Of the last 24 hours.")
    lately = JudgedSerializer()
    healthy = serializers.IntegerField(help_text="Cameras that are switched on and not degraded.")
    degraded = serializers.IntegerField()
    issues_today = serializers.IntegerField(help_text="Bad pictures since midnight.")
    saved_bytes = serializers.IntegerField()
    quarantine_bytes = serializers.IntegerField()
    cameras = StandingSerializer(many=True)
    last_failures = EvaluationSerializer(many=True)


class LeftSerializer(serializers.Serializer[Any]):
    has_left = serializers.BooleanField(help_text="False: it was not degraded.")


class QualityTestSerializer(serializers.Serializer[Any]):
    picture = serializers.FileField(help_text="JPEG, PNG or WebP, 50 MB at most.")


class TrialSerializer(serializers.Serializer[Any]):
    """What was found, and what a camera with the settings for all would do."""

    width = serializers.IntegerField()
    height = serializers.IntegerField()
    bytes = serializers.IntegerField(source="size_bytes")
    score = serializers.IntegerField(source="evaluation.score")
    fast = serializers.IntegerField(source="evaluation.fast")
    heavy = serializers.IntegerField(source="evaluation.heavy", allow_null=True)
    verdict = serializers.CharField(source="evaluation.verdict")
    sort = serializers.CharField(source="evaluation.sort", allow_null=True)
    findings = serializers.ListField(source="evaluation.findings", child=serializers.CharField())
    readings = ReadingSerializer(source="evaluation.readings", many=True)
    recommended = serializers.CharField(
        source="action", help_text="save, retry, flag, discard: what a camera would do."
    )
    words = serializers.CharField(help_text="The same for people.")
    decode_ms = serializers.FloatField()
    elapsed_ms = serializers.FloatField(source="evaluation.elapsed_ms", help_text="Decode not included.")
