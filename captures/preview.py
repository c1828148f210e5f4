"""The preview in the API: what a timelapse, saved or not, will take next, what it leaves out, and what that weighs."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from captures import forecast
from captures.exceptions import PlanRefused
from captures.intervalometer import Coming, LeftOut
from captures.models import Timelapse
from captures.plans import by_path
from captures.serializers import TimelapseSerializer, candidate, refuse_out_of_reach
from media_jobs import clock, roles

USUAL_SLOTS = 10
MOST_SLOTS = 200


class PreviewQuerySerializer(serializers.Serializer[Any]):
    """How far to look, and from when."""

    limit = serializers.IntegerField(
        min_value=1, max_value=MOST_SLOTS, default=USUAL_SLOTS, help_text="How many slots that will be taken."
    )
    start = serializers.DateTimeField(required=False, help_text="Inclusive; now unless it is said.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        refuse_out_of_reach(attrs, "start")
        return attrs


class PreviewFormSerializer(TimelapseSerializer):
    """A timelapse that is only a form: nothing of it is saved."""

    _QUESTION = {"limit", "start"}  # of the preview, not of the timelapse

    limit = serializers.IntegerField(min_value=1, max_value=MOST_SLOTS, default=USUAL_SLOTS, write_only=True)
    start = serializers.DateTimeField(required=False, write_only=True)

    class Meta(TimelapseSerializer.Meta):
        fields = [
            "camera",
            "plan",
            "time_zone",
            "start_at",
            "end_at",
            "stop_after_days",
            "stop_after_captures",
            "limit",
            "start",
        ]
        read_only_fields: list[str] = []

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        refuse_out_of_reach(attrs, "start")
        super().validate({name: value for name, value in attrs.items() if name not in self._QUESTION})
        return attrs


class ComingSerializer(serializers.Serializer[Any]):
    """A slot that will be taken, or a stretch in which slots of a rule are left out."""

    is_left_out = serializers.BooleanField()
    at = serializers.DateTimeField(help_text="The slot, or where the stretch begins.")
    until = serializers.DateTimeField(allow_null=True, help_text="Where the stretch ends, exclusive.")
    count = serializers.IntegerField(help_text="How many slots.")
    rule = serializers.CharField(help_text="Which rule names them, in words.")
    reason = serializers.CharField(help_text="Why they are left out, for programs; empty for a slot.")
    words = serializers.CharField(help_text="Why they are left out, for people; empty for a slot.")


class ExpectationSerializer(serializers.Serializer[Any]):
    """What the plan comes to. A camera without pictures does not tell what they weigh."""

    per_day = serializers.FloatField(help_text="Pictures.")
    until_end = serializers.IntegerField(allow_null=True, help_text="Pictures; null: it has no end.")
    bytes_per_day = serializers.IntegerField(allow_null=True)
    bytes_until_end = serializers.IntegerField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)


class PreviewSerializer(serializers.Serializer[Any]):
    """What comes."""

    plan_words = serializers.CharField(help_text="The plan as a person says it.")
    time_zone = serializers.CharField()
    coming = ComingSerializer(many=True, help_text="In the order of time.")
    expected = ExpectationSerializer()


class TimelapsePreviewViewSet(GenericViewSet[Timelapse]):
    """What comes: of timelapses as they are, and as they would be."""

    queryset = Timelapse.objects.select_related("camera")
    serializer_class = PreviewSerializer
    pagination_class = None
    filter_backends: list[Any] = []
    lookup_value_regex = "[0-9]+"
    query_serializer_class: type[PreviewQuerySerializer] | None = None
    # Nothing is written: whoever may look may ask.
    deeds = dict.fromkeys(("preview_form", "preview_changes"), roles.SEE)

    @extend_schema(parameters=[PreviewQuerySerializer], responses={200: PreviewSerializer})
    @action(detail=True, query_serializer_class=PreviewQuerySerializer)
    def preview(self, request: Request, pk: str) -> Response:
        """The next slots, and what is left out between them and why."""
        query = PreviewQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        return _answer(self.get_object(), **query.validated_data)

    @extend_schema(
        operation_id="timelapses_preview_changes",
        request=PreviewFormSerializer,
        responses={200: PreviewSerializer},
    )
    @preview.mapping.post
    def preview_changes(self, request: Request, pk: str) -> Response:
        """The same as it would be with other fields; what is not sent is as it is."""
        timelapse = self.get_object()
        return self._of_form(PreviewFormSerializer(timelapse, data=request.data, partial=True))

    @extend_schema(
        operation_id="timelapses_preview_form",
        request=PreviewFormSerializer,
        responses={200: PreviewSerializer},
    )
    @action(detail=False, methods=["post"], url_path="preview", url_name="preview-form")
    def preview_form(self, request: Request) -> Response:
        """The same for a timelapse that is only a form."""
        return self._of_form(PreviewFormSerializer(data=request.data))

    def _of_form(self, form: PreviewFormSerializer) -> Response:
        form.is_valid(raise_exception=True)
        values = dict(form.validated_data)
        limit, start = values.pop("limit", USUAL_SLOTS), values.pop("start", None)
        return _answer(candidate(values, form.instance), limit=limit, start=start)


def _answer(timelapse: Timelapse, *, limit: int, start: Any = None) -> Response:
    now = clock.now()
    try:
        lines = forecast.forecast(timelapse, limit=limit, start=start)
        expected = forecast.expectation(timelapse, now)
    except PlanRefused as error:
        raise serializers.ValidationError({"plan": by_path(error.problems)}) from None
    preview = {
        "plan_words": timelapse.words,
        "time_zone": timelapse.time_zone,
        "coming": [_line(line) for line in lines],
        "expected": expected,
    }
    return Response(PreviewSerializer(preview).data)


def _line(line: Coming | LeftOut) -> dict[str, Any]:
    if isinstance(line, Coming):
        slot = {"is_left_out": False, "at": line.at, "until": None, "count": 1}
        return slot | {"rule": line.rule, "reason": "", "words": ""}
    stretch = {"is_left_out": True, "at": line.from_at, "until": line.until_at, "count": line.count}
    return stretch | {"rule": line.rule, "reason": line.reason.code, "words": line.reason.words}
