"""The weather in the API: its newest readings, how the provider answers, and wishes to ask it now."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from cameras import observations, sky
from cameras.models import Weather
from cameras.places import Spot, is_stale
from media_jobs import clock, roles
from media_jobs.serializers import JobSerializer
from media_jobs.viewsets import job_response


class WeatherSerializer(serializers.ModelSerializer[Weather]):
    """The newest reading at one place, which all cameras within a kilometre share."""

    latitude = serializers.SerializerMethodField()
    longitude = serializers.SerializerMethodField()
    is_stale = serializers.SerializerMethodField(
        help_text="Older than 25 hours: it is noted with no picture."
    )

    class Meta:
        model = Weather
        fields = [
            "place",
            "latitude",
            "longitude",
            "provider",
            "observed_at",
            "fetched_at",
            "temperature_c",
            "condition",
            "words",
            "facts",
            "is_stale",
            "failures",
            "last_error_code",
            "last_error",
            "ask_after",
        ]
        read_only_fields = fields

    def get_latitude(self, row: Weather) -> float:
        return Spot.of_key(row.place).latitude

    def get_longitude(self, row: Weather) -> float:
        return Spot.of_key(row.place).longitude

    def get_is_stale(self, row: Weather) -> bool:
        return is_stale(row.observed_at, self.context["now"])


class WeatherProviderSerializer(serializers.Serializer[sky.Standing]):
    """The provider that is set, and how it has been answering."""

    provider = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # the name is ours; DRF keeps its own elsewhere
    key_state = serializers.ChoiceField(
        choices=[(state.value, state.value) for state in sky.KeyState],
        help_text="Of the key that is set now; unknown until somebody has asked with it.",
    )
    is_failing = serializers.BooleanField(help_text="Four times in a row or more.")
    failures = serializers.IntegerField()
    error_code = serializers.CharField()
    words = serializers.CharField(help_text="What is the matter; empty where nothing is.")
    ask_after = serializers.DateTimeField(allow_null=True, help_text="It is left alone until then.")


class WeatherViewSet(mixins.ListModelMixin, GenericViewSet[Weather]):
    """The weather at the places of the cameras that want it."""

    queryset = Weather.objects.order_by("place")
    serializer_class = WeatherSerializer
    filter_backends = []
    deeds = {"refresh": roles.OPERATE}

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "now": clock.now()}

    @extend_schema(responses={200: WeatherProviderSerializer})
    @action(detail=False, pagination_class=None)
    def provider(self, request: Request) -> Response:
        """The provider, the state of its key, and how it has been answering."""
        return Response(WeatherProviderSerializer(sky.standing()).data)

    @extend_schema(request=None, responses={200: JobSerializer, 202: JobSerializer})
    @action(detail=False, methods=["post"])
    def refresh(self, request: Request) -> Response:
        """Asks for the weather at all places now; the job's result says how many were read."""
        job, is_new = observations.request_now(by=request.user.get_username())
        return job_response(job, request, is_new=is_new)

    @extend_schema(request=None, responses={200: JobSerializer, 202: JobSerializer})
    @action(detail=False, methods=["post"], url_path="check-key", url_name="check-key")
    def check_key(self, request: Request) -> Response:
        """Whether the provider takes the key that is set: the job's result has `state` and `words`."""
        job, is_new = observations.request_check(by=request.user.get_username())
        return job_response(job, request, is_new=is_new)
