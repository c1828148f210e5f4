"""How a camera has been giving its pictures, in the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from cameras import health
from cameras.models import Camera
from captures import uptime
from captures.lookback import LONGEST_CALENDAR_DAYS, CalendarQuerySerializer
from media_jobs import clock

USUAL_DAYS = 30


class UptimeQuerySerializer(CalendarQuerySerializer):
    """Which local days; the last 30 unless it is said."""


class CountsSerializer(serializers.Serializer[Any]):
    """What was owed and kept, and how often the camera answered when it was asked."""

    owed = serializers.IntegerField(help_text="Without what was skipped on purpose.")
    stored = serializers.IntegerField()
    pending = serializers.IntegerField(help_text="Of those owed: not decided yet.")
    success_ratio = serializers.FloatField(
        allow_null=True, help_text="Stored of what was owed by now, from 0 to 1."
    )
    asked = serializers.IntegerField(help_text="Slots at which the camera was read.")
    answered = serializers.IntegerField(help_text="Of those asked: it gave a picture, kept or discarded.")
    uptime_ratio = serializers.FloatField(allow_null=True, help_text="Answered of asked, from 0 to 1.")


class UptimeDaySerializer(serializers.Serializer[Any]):
    """One local day."""

    day = serializers.DateField()
    counts = CountsSerializer()


class OutageSerializer(serializers.Serializer[Any]):
    """The camera gave nothing, several slots in a row or one."""

    from_at = serializers.DateTimeField(help_text="The first slot without a picture.")
    until_at = serializers.DateTimeField(
        allow_null=True, help_text="Its next picture or answer; null: it lasts."
    )
    reason = serializers.CharField()
    reason_words = serializers.SerializerMethodField(help_text="The same for people.")
    count = serializers.IntegerField(help_text="So many slots failed.")

    def get_reason_words(self, outage: uptime.Outage) -> str:
        return health.words_for(outage.reason)


class UptimeSerializer(serializers.Serializer[Any]):
    """Local days in order, and the outages in them, the newest first."""

    time_zone = serializers.CharField()
    total = CountsSerializer()
    days = UptimeDaySerializer(many=True)
    outages = OutageSerializer(many=True)


class CameraUptimeViewSet(GenericViewSet[Camera]):
    """How a camera has been giving its pictures, by the ledger of all its timelapses."""

    queryset = Camera.objects.all()
    serializer_class = UptimeSerializer
    pagination_class = None
    filter_backends: list[Any] = []
    query_serializer_class = UptimeQuerySerializer

    @extend_schema(
        operation_id="cameras_uptime", parameters=[UptimeQuerySerializer], responses={200: UptimeSerializer}
    )
    def retrieve(self, request: Request, pk: int) -> Response:
        """Uptime and success rate per day, and outages: the last 30 days unless said otherwise, at most 400 at once."""
        camera = self.get_object()
        query = UptimeQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        wish = query.validated_data
        last = wish.get("until_day") or clock.now().astimezone(uptime.zone_of(camera)).date()
        first = wish.get("from_day") or last - timedelta(days=USUAL_DAYS - 1)
        if last < first or last - first >= timedelta(days=LONGEST_CALENDAR_DAYS):
            raise serializers.ValidationError(
                {"until_day": [f"From 1 to {LONGEST_CALENDAR_DAYS} days, the last not before the first."]}
            )
        return Response(UptimeSerializer(uptime.uptime(camera, first, last)).data)
