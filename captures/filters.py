"""What lists of timelapses and captures can be narrowed to."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django_filters.rest_framework import FilterSet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from cameras.models import Camera
from captures.models import Capture, JudgedPicture, Timelapse
from media_jobs.filters import EARLIEST, LATEST, MomentFilter


class TimelapseFilter(FilterSet):
    camera = django_filters.ModelChoiceFilter(queryset=Camera.objects.all())
    state = django_filters.MultipleChoiceFilter(choices=Timelapse.State.choices, distinct=False)
    name = django_filters.CharFilter(lookup_expr="icontains", max_length=150, label="A part of the name.")
    is_active = django_filters.BooleanFilter(method="filter_active", label="Running or paused.")

    class Meta:
        model = Timelapse
        fields: list[str] = []

    def filter_active(self, rows: Any, _name: str, is_active: bool) -> Any:  # noqa: FBT001 - django-filter calls it so
        active = [Timelapse.State.RUNNING, Timelapse.State.PAUSED]
        return rows.filter(state__in=active) if is_active else rows.exclude(state__in=active)


class CaptureFilter(FilterSet):
    timelapse = django_filters.ModelChoiceFilter(queryset=Timelapse.objects.all())
    camera = django_filters.ModelChoiceFilter(method="filter_camera", queryset=Camera.objects.all())
    state = django_filters.MultipleChoiceFilter(choices=Capture.State.choices, distinct=False)
    reason = django_filters.CharFilter(max_length=60)
    is_flagged = django_filters.BooleanFilter(label="With a flag, which clean films leave out.")
    verdict = django_filters.CharFilter(max_length=20, label="good, or the gravest finding.")
    score_from = django_filters.NumberFilter(
        field_name="score", lookup_expr="gte", min_value=0, max_value=100, label="Inclusive."
    )
    score_until = django_filters.NumberFilter(
        field_name="score", lookup_expr="lt", min_value=0, max_value=101, label="Exclusive."
    )
    origin = django_filters.ChoiceFilter(choices=Capture.Origin.choices)
    slot_from = MomentFilter(field_name="slot", lookup_expr="gte", label="Inclusive.")
    slot_until = MomentFilter(field_name="slot", lookup_expr="lt", label="Exclusive.")
    day = django_filters.DateFilter(
        method="filter_day", label="A local day of the timelapse, so `timelapse` must be given too."
    )
    day_number = django_filters.NumberFilter(min_value=1, max_value=100_000, label="The first day is 1.")

    class Meta:
        model = Capture
        fields: list[str] = []

    @extend_schema_field(OpenApiTypes.INT)
    def filter_camera(self, rows: QuerySet[Capture], _name: str, camera: Camera) -> QuerySet[Capture]:
        # By its timelapses, which are few: through a join the whole ledger would be read.
        return rows.filter(timelapse__in=list(camera.timelapses.values_list("pk", flat=True)))

    def filter_day(self, rows: QuerySet[Capture], _name: str, day: date) -> QuerySet[Capture]:
        timelapse = self.form.cleaned_data["timelapse"] or self.timelapse_of_path()
        assert timelapse is not None  # noqa: S101 - is_valid has refused the day otherwise
        start, end = local_day(timelapse, day)
        return rows.filter(slot__gte=start, slot__lt=end)

    def is_valid(self) -> bool:
        self._check_day()
        return bool(super().is_valid())

    def timelapse_of_path(self) -> Timelapse | None:
        """The timelapse below whose address the list stands, if it does."""
        pk = self.request.parser_context["kwargs"].get("pk") if self.request else None
        return Timelapse.objects.filter(pk=pk).first() if pk else None

    def _check_day(self) -> None:
        form = self.form
        day = form.cleaned_data.get("day") if form.is_valid() else None
        if day is None:
            return
        if not EARLIEST.date() < day < LATEST.date():
            form.add_error("day", ValidationError(f"Must lie between {EARLIEST:%Y} and {LATEST:%Y}."))
        elif form.cleaned_data["timelapse"] is None and self.timelapse_of_path() is None:
            form.add_error("day", ValidationError("Days are local: name the timelapse, too."))


class EvaluationFilter(FilterSet):
    camera = django_filters.ModelChoiceFilter(queryset=Camera.objects.all())
    timelapse = django_filters.ModelChoiceFilter(
        field_name="capture__timelapse", queryset=Timelapse.objects.all()
    )
    capture = django_filters.NumberFilter(min_value=1, max_value=2**62)
    is_bad = django_filters.BooleanFilter(label="Below the threshold of its time.")
    verdict = django_filters.CharFilter(max_length=20, label="good, or the gravest finding.")
    action = django_filters.MultipleChoiceFilter(choices=JudgedPicture.Action.choices, distinct=False)
    since = MomentFilter(field_name="at", lookup_expr="gte", label="Inclusive.")
    until = MomentFilter(field_name="at", lookup_expr="lt", label="Exclusive.")

    class Meta:
        model = JudgedPicture
        fields: list[str] = []


def local_day(timelapse: Timelapse, day: date) -> tuple[datetime, datetime]:
    """[start, end) of a calendar day in the timelapse's zone."""
    start = datetime.combine(day, time(), tzinfo=timelapse.zone)
    return start, datetime.combine(day + timedelta(days=1), time(), tzinfo=timelapse.zone)
