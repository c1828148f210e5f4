"""What the list of cameras can be narrowed to."""

from __future__ import annotations

import django_filters
from django_filters.rest_framework import FilterSet

from cameras.models import Camera


class CameraFilter(FilterSet):
    name = django_filters.CharFilter(lookup_expr="icontains", max_length=100, label="A part of the name.")
    kind = django_filters.MultipleChoiceFilter(choices=Camera.Kind.choices)
    health = django_filters.MultipleChoiceFilter(choices=Camera.Health.choices)
    is_enabled = django_filters.BooleanFilter()

    class Meta:
        model = Camera
        fields: list[str] = []
