"""A timelapse's form in the admin: its plan as text, and what would come of it before anything is saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.forms.fields import InvalidJSONInput
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import BUTTON_CLASSES, UnfoldAdminTextareaWidget

from captures import forecast, versions, zones
from captures.exceptions import PlanRefused
from captures.intervalometer import Coming, LeftOut, Plan, PlanError
from captures.models import Timelapse
from captures.serializers import MOST_CAPTURES, MOST_DAYS, candidate
from media_jobs import clock
from media_jobs.filters import in_reach

PREVIEW = "_preview"  # the button's name
SHOWN_SLOTS = 20


class PlanTextField(forms.JSONField):
    """The plan's document, one thing a line."""

    def to_python(self, value: Any) -> Any:
        """Refuses also what no document holds: endless numbers and nesting, half characters."""
        try:
            document = super().to_python(value)
            json.dumps(document, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise self._invalid(value) from None
        return document

    def _invalid(self, value: Any) -> forms.ValidationError:
        return forms.ValidationError(self.error_messages["invalid"], code="invalid", params={"value": value})

    def bound_data(self, data: Any, initial: Any) -> Any:
        """As it was typed, whatever it is."""
        return initial if self.disabled else InvalidJSONInput(data or "")

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, InvalidJSONInput) else json.dumps(value, indent=2)


class TimelapseForm(forms.ModelForm):
    """Refuses plans that cannot be carried out; sent by the preview's button it comes back, and nothing is saved."""

    plan = PlanTextField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 16, "class": "font-mono", "spellcheck": "false"}),
        help_text="Rules, window, weekdays, dates, blackouts as JSON; docs/schedules.md has every form of them.",
    )

    class Meta:
        model = Timelapse
        exclude: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """The bounds are the form's own: its plan is judged before the model's validators have their turn."""
        super().__init__(*args, **kwargs)
        bounds: dict[str, list[Callable[[Any], None]]] = {
            "start_at": [in_reach],
            "end_at": [in_reach],
            "stop_after_days": [MinValueValidator(1), MaxValueValidator(MOST_DAYS)],
            "stop_after_captures": [MinValueValidator(1), MaxValueValidator(MOST_CAPTURES)],
        }
        for name, validators in bounds.items():
            if name in self.fields:
                self.fields[name].validators += validators

    def clean_plan(self) -> dict[str, Any]:
        try:
            return Plan.from_document(self.cleaned_data["plan"]).to_document()
        except PlanError as error:
            raise forms.ValidationError(_lines(error.problems)) from None

    def clean_time_zone(self) -> str:
        return zones.known(self.cleaned_data["time_zone"])

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        start_at = values.get("start_at", self.instance.start_at)
        if start_at and values.get("end_at") and values["end_at"] <= start_at:
            self.add_error("end_at", "The end must lie after the start.")
        elif "end_at" in self.changed_data and values.get("end_at") and values["end_at"] <= clock.now():
            self.add_error("end_at", "The end must not lie in the past.")
        wanted = candidate(values, self.instance)
        if "plan" in values and wanted.camera_id is not None and not self.errors:
            is_new = self.instance.pk is None or bool({"plan", "time_zone"} & set(self.changed_data))
            check = versions.checked_timetable if is_new else versions.timetable_of
            try:
                check(wanted, clock.now())
            except PlanRefused as error:
                self.add_error("plan", _lines(error.problems))
        if PREVIEW in self.data and not self.errors:
            raise forms.ValidationError("Nothing is saved yet: this is what would come of it.")
        return values


def preview(timelapse: Timelapse) -> SafeString:
    """What comes of the plan, drawn: of an object in a form with the changes that are not saved."""
    button = format_html(
        '<button type="submit" name="{}" value="1" formnovalidate class="{}">Preview, without saving</button>',
        PREVIEW,
        " ".join(BUTTON_CLASSES),
    )
    page = ""
    if timelapse.pk:
        page = format_html(
            ' <a href="{}" class="underline">As a form</a>', reverse("timelapse-edit", args=[timelapse.pk])
        )
    return format_html("{}<p>{}{}</p>", _drawn(timelapse) if timelapse.camera_id else "", button, page)


def _drawn(timelapse: Timelapse) -> SafeString:
    try:
        lines = forecast.forecast(timelapse, limit=SHOWN_SLOTS)
        expected = forecast.expectation(timelapse)
    except (PlanRefused, PlanError) as error:
        return format_html("<p>{}</p>", str(error))
    listed = format_html_join("", "<li>{}</li>", ((_line(line, timelapse),) for line in lines))
    return format_html("<p>{}</p><p>{}</p><ul>{}</ul>", timelapse.words, _sum(expected), listed)


def _line(line: Coming | LeftOut, timelapse: Timelapse) -> str:
    if isinstance(line, Coming):
        return f"{_local(line.at, timelapse)}: {line.rule}"
    slots = "1 slot is" if line.count == 1 else f"{line.count} slots are"
    span = f"{_local(line.from_at, timelapse)} to {_local(line.until_at, timelapse)}"
    return f"({span}: {slots} left out. {line.reason.words})"


def _sum(expected: forecast.Expectation) -> str:
    parts = [f"{_plain(expected.per_day)} pictures a day"]
    if expected.bytes_per_day is not None:
        parts.append(f"{_megabytes(expected.bytes_per_day)} a day")
    if expected.until_end is not None:
        parts.append(f"{expected.until_end:,} until the end")
    if expected.bytes_until_end is not None:
        parts.append(f"{_megabytes(expected.bytes_until_end)} until the end")
    return ", ".join(parts) + "."


def _plain(number: float) -> str:
    """28,800 and 0.25: never a power of ten."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.4g}"


def _megabytes(size: int) -> str:
    return f"{_plain(size / 1e6)} MB"


def _local(moment: datetime, timelapse: Timelapse) -> str:
    return f"{moment.astimezone(timelapse.zone):%a %Y-%m-%d %H:%M:%S}"


def _lines(problems: dict[str, str]) -> list[str]:
    return [f"{path}: {words}" if path else words for path, words in problems.items()]
