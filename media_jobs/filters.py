"""What lists of jobs can be narrowed to, and the time filter that all lists share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django_filters.rest_framework import FilterSet
from rest_framework.exceptions import ValidationError as Refusal
from rest_framework.filters import OrderingFilter
from rest_framework.request import Request
from rest_framework.views import APIView

from media_jobs.models import MediaJob

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def in_reach(moment: datetime) -> None:
    """Raises ValidationError for moments that no camera knows; year 1 and 9999 overflow in time zones."""
    if not EARLIEST <= moment < LATEST:
        raise ValidationError(f"Must lie between {EARLIEST:%Y} and {LATEST:%Y}.")


class KnownOrdering(OrderingFilter):
    """Refuses names that the list cannot be ordered by, as other values that are not valid, where DRF ignores them."""

    def remove_invalid_fields(
        self, queryset: QuerySet[Any], fields: Iterable[str], view: APIView, request: Request
    ) -> list[str]:
        wanted = list(fields)
        known = super().remove_invalid_fields(queryset, wanted, view, request)
        if len(known) < len(wanted):
            raise Refusal({self.ordering_param: ["The list cannot be ordered by this."]})
        return list(known)


class MomentFilter(django_filters.IsoDateTimeFilter):
    """An ISO 8601 date and time; without an offset it is UTC."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validators=[in_reach], **kwargs)


class JobFilter(FilterSet):
    state = django_filters.MultipleChoiceFilter(choices=MediaJob.State.choices, distinct=False)
    is_active = django_filters.BooleanFilter(method="filter_active", label="Queued, running or waiting.")
    task = django_filters.CharFilter(max_length=80)
    topic = django_filters.CharFilter(max_length=80, label="camera.<id> or timelapse.<id>")
    requested_by = django_filters.CharFilter(max_length=150)
    is_quiet = django_filters.BooleanFilter(label="Steps of something larger, such as thumbnails.")

    class Meta:
        model = MediaJob
        fields: list[str] = []

    def filter_active(self, rows: Any, _name: str, is_active: bool) -> Any:  # noqa: FBT001 - django-filter calls it so
        return rows.active() if is_active else rows.ended()
