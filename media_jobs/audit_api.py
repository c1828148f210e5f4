"""The audit in the API: decisions, and all that belongs to one deed."""

from __future__ import annotations

from typing import Any

import django_filters
from django.http import Http404
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from media_jobs import audit
from media_jobs.filters import MomentFilter
from media_jobs.models import Decision


class DecisionSerializer(serializers.ModelSerializer[Decision]):
    """What was decided, by which rule, for what, and by whom."""

    facts = serializers.DictField(read_only=True, help_text="What else was known; depends on the action.")

    class Meta:
        model = Decision
        fields = ["id", "at", "action", "rule", "topic", "by", "facts", "correlation_id"]
        read_only_fields = fields


class StepSerializer(serializers.Serializer[Any]):
    """One step of a deed."""

    at = serializers.DateTimeField()
    kind = serializers.CharField(help_text="Which rows tell it: decision, capture, job or event.")
    what = serializers.CharField(help_text="The action, the event's type, or the state that it came into.")
    topic = serializers.CharField()
    by = serializers.CharField(help_text="A person's login, the clock, or empty.")
    rule = serializers.CharField(help_text="Which rule fired; empty for a person's wish.")
    pk = serializers.CharField(help_text="Which of the rows.")
    facts = serializers.DictField()


class ThreadSerializer(serializers.Serializer[Any]):
    """All that is known of one deed, in the order of time."""

    correlation_id = serializers.CharField()
    steps = StepSerializer(many=True)


class DecisionFilter(FilterSet):
    topic = django_filters.CharFilter(max_length=80, label="camera.<id>, timelapse.<id> or fleet")
    action = django_filters.CharFilter(max_length=60)
    by = django_filters.CharFilter(max_length=150, label="A person's login, or clock.")
    correlation_id = django_filters.CharFilter(max_length=64)
    start = MomentFilter(field_name="at", lookup_expr="gte")
    end = MomentFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = Decision
        fields: list[str] = []


class DecisionViewSet(ReadOnlyModelViewSet[Decision]):
    """The audit of decisions, the newest first."""

    queryset = Decision.objects.order_by("-id")
    serializer_class = DecisionSerializer
    filterset_class = DecisionFilter
    ordering_fields = ["at", "id"]
    lookup_value_regex = "[0-9]{1,18}"

    @extend_schema(responses={200: ThreadSerializer}, filters=False)
    @action(
        detail=False,
        url_path="threads/(?P<correlation_id>[0-9a-zA-Z-]{1,64})",
        filterset_class=None,
        pagination_class=None,
    )
    def thread(self, request: Request, correlation_id: str) -> Response:
        """Everything that belongs to one deed: decisions, captures, jobs and events, in the order of time."""
        steps = audit.thread(correlation_id)
        if not steps:
            raise Http404("Nothing is known of this id.")
        return Response(ThreadSerializer({"correlation_id": correlation_id, "steps": steps}).data)
