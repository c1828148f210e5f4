"""What the list of cameras can be narrowed to."""

from __future__ import annotations

import django_filters
from django_filters.rest_framework import FilterSet

from cameras.models import Alert, Camera
from media_jobs.filters import MomentFilter


class CameraFilter(FilterSet):
    name = django_filters.CharFilter(lookup_expr="icontains", max_length=100, label="A part of the name.")
    kind = django_filters.MultipleChoiceFilter(choices=Camera.Kind.choices)
    health = django_filters.MultipleChoiceFilter(choices=Camera.Health.choices)
    is_enabled = django_filters.BooleanFilter()

    class Meta:
        model = Camera
        fields: list[str] = []


class AlertFilter(FilterSet):
    camera = django_filters.NumberFilter(min_value=1, max_value=2**63 - 1)
    kind = django_filters.MultipleChoiceFilter(choices=Alert.Kind.choices)
    is_open = django_filters.BooleanFilter(field_name="cleared_at", lookup_expr="isnull")
    since = MomentFilter(field_name="raised_at", lookup_expr="gte", label="Raised at or after.")
    until = MomentFilter(field_name="raised_at", lookup_expr="lt", label="Raised before.")

    class Meta:
        model = Alert
        fields: list[str] = []
