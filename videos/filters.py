"""What the list of films can be narrowed to."""

from __future__ import annotations

import django_filters
from django_filters.rest_framework import FilterSet

from cameras.models import Camera
from captures.models import Timelapse
from videos.models import Recipe, Video


class VideoFilter(FilterSet):
    timelapse = django_filters.ModelChoiceFilter(queryset=Timelapse.objects.all())
    camera = django_filters.ModelChoiceFilter(field_name="timelapse__camera", queryset=Camera.objects.all())
    recipe = django_filters.ModelChoiceFilter(queryset=Recipe.objects.all())
    state = django_filters.MultipleChoiceFilter(choices=Video.State.choices)
    follows = django_filters.BooleanFilter()

    class Meta:
        model = Video
        fields: list[str] = []
