"""When a timelapse takes pictures, as a form: to start one, to change one, and to preview either."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.db import transaction

from cameras import places
from cameras.models import Camera
from captures import campaign, versions, zones
from captures.effective import proposed_plan
from captures.exceptions import PlanRefused
from captures.intervalometer import Plan, PlanError
from captures.models import Timelapse, default_time_zone
from captures.serializers import candidate
from media_jobs.filters import in_reach
from timelapser.pages.rule_forms import Rules, WindowForm
from videos import rendering
from videos.models import Recipe

WEEKDAYS = (
    ("1", "Mon"),
    ("2", "Tue"),
    ("3", "Wed"),
    ("4", "Thu"),
    ("5", "Fri"),
    ("6", "Sat"),
    ("7", "Sun"),
)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
SPAN = re.compile(rf"({DATE.pattern})(?:\s*(?:to|until|[-–—…])\s*({DATE.pattern}))?")
FIELDS = ("name", "time_zone", "start_at", "end_at", "stop_after_days", "stop_after_captures")
NO_PLACE = "The sun has a part in this: write where the camera stands."
ASK_FOR_PLACE = (
    "The sun has a part in this, and nobody has written yet where the camera stands. Ask an administrator."
)


def lines_field(label: str) -> forms.CharField:
    widget = forms.Textarea(
        attrs={"rows": 2, "placeholder": "2026-03-01 to 2026-11-30", "spellcheck": "false"}
    )
    return forms.CharField(required=False, label=label, max_length=10_000, widget=widget)


def moment_field(label: str) -> forms.DateTimeField:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    return forms.DateTimeField(required=False, label=label, widget=widget, validators=[in_reach])


class ScheduleForm(forms.Form):
    """The plan of a timelapse of one camera, with its beginning and its end.

    The place of the camera belongs to it while the camera has none; who may not set up cameras is not asked for it.
    """

    instance: Timelapse | None = None  # the one that is changed

    name = forms.CharField(max_length=150)
    weekdays = forms.MultipleChoiceField(
        required=False, choices=WEEKDAYS, widget=forms.CheckboxSelectMultiple, label="Days of the week"
    )
    dates = lines_field("Only between these dates")
    blackouts = lines_field("Never on these dates")
    start_at = moment_field("Start")
    end_at = moment_field("End")
    stop_after_days = forms.IntegerField(required=False, min_value=1, max_value=36_500, label="After days")
    stop_after_captures = forms.IntegerField(
        required=False, min_value=1, max_value=2_000_000_000, label="After pictures"
    )
    time_zone = forms.CharField(max_length=64, label="Time zone")
    latitude = forms.FloatField(required=False, min_value=-90, max_value=90)
    longitude = forms.FloatField(required=False, min_value=-180, max_value=180)

    def __init__(
        self,
        *args: Any,
        camera: Camera,
        plan: dict[str, Any],
        now: datetime,
        may_place: bool,
        **kwargs: Any,
    ) -> None:
        self.camera = camera
        self.now = now
        self.has_place_already = places.spot_of(camera) is not None
        self.asks_for_place = may_place and not self.has_place_already
        super().__init__(*args, **kwargs)
        place = {"latitude": camera.latitude, "longitude": camera.longitude}
        self.initial = {**self.initial, **_fields_of_plan(plan), **place}
        data = self.data if self.is_bound else None
        self.window = WindowForm(data, prefix="window", initial=plan.get("window", {"kind": "none"}))
        self.rules = Rules(data, plan["rules"])
        self.fields["time_zone"].widget.attrs |= {"list": "time-zones", "autocomplete": "off"}
        if not self.asks_for_place:
            del self.fields["latitude"], self.fields["longitude"]

    def is_valid(self) -> bool:
        if not (bool(super().is_valid()) & self.rules.is_valid() & self.window.is_valid()):
            return False
        try:
            self.plan = Plan.from_document(self.document())
        except PlanError as error:
            self.add_problems(error.problems)
            return False
        if self.plan.needs_place and not self.has_place:
            self.add_problems({"place": ""})
        if not self.errors:
            self._check_timetable()
        return not self.errors

    def _check_timetable(self) -> None:
        """As saving will judge it, so that the preview does not promise what is refused then."""
        fields = self.fields_of_timelapse()
        if self.instance is not None and not self._moves_slots(fields):
            return
        fields["camera"] = self.placed_camera()
        try:
            versions.checked_timetable(candidate(fields, self.instance), self.now)
        except PlanRefused as error:
            self.add_problems(error.problems)

    def _moves_slots(self, fields: dict[str, Any]) -> bool:
        return any(getattr(self.instance, name) != fields[name] for name in campaign.TIMING & set(fields))

    @property
    def has_place(self) -> bool:
        entered = (self.cleaned_data.get("latitude"), self.cleaned_data.get("longitude"))
        return self.has_place_already or None not in entered

    def clean_time_zone(self) -> str:
        return zones.known(self.cleaned_data["time_zone"].strip())

    def clean_dates(self) -> list[list[str]]:
        return _spans(self.cleaned_data["dates"])

    def clean_blackouts(self) -> list[list[str]]:
        return _spans(self.cleaned_data["blackouts"])

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if "time_zone" in values:
            # What was typed is the wall clock of the timelapse's zone.
            zone = ZoneInfo(values["time_zone"])
            for name in ("start_at", "end_at"):
                if values.get(name):
                    values[name] = values[name].replace(tzinfo=zone)
        moments = {name: values.get(name) for name in ("start_at", "end_at")}
        for name, words in zones.problems_of(**moments).items():
            self.add_error(name, words)
        start, end = values.get("start_at"), values.get("end_at")
        if end and end <= (start or self.now):
            self.add_error("end_at", "The end must lie after the start, and not in the past.")
        return values

    def document(self) -> dict[str, Any]:
        """The plan as it was entered; Plan judges it."""
        return {
            "rules": [rule.document() for rule in self.rules.kept],
            "window": self.window.document(),
            "weekdays": [int(day) for day in self.cleaned_data["weekdays"]],
            "dates": self.cleaned_data["dates"],
            "blackouts": self.cleaned_data["blackouts"],
        }

    def add_problems(self, problems: dict[str, str]) -> None:
        """Puts what is wrong with the plan at the fields that it came from: `rules.0.expression`, `window.start`."""
        for path, words in problems.items():
            head, *rest = path.split(".")
            if head == "rules" and rest and rest[0].isdigit():
                self.rules.kept[int(rest[0])].add_problem(rest[1:], words)
            elif head == "window":
                name = rest[0] if rest and rest[0] in self.window.fields else "kind"
                self.window.add_error(name, words)
            elif head == "place":
                self.add_error("latitude" if self.asks_for_place else None, self._words_for_place)
            else:
                self.add_error(head if head in self.fields else None, words)

    @property
    def _words_for_place(self) -> str:
        return NO_PLACE if self.asks_for_place else ASK_FOR_PLACE

    def fields_of_timelapse(self) -> dict[str, Any]:
        """Of a valid form: what a timelapse with this schedule has."""
        values = self.cleaned_data
        return {name: values[name] for name in FIELDS if name in values} | {"plan": self.plan.to_document()}

    def placed_camera(self) -> Camera:
        """The camera with the place that was entered, in memory alone."""
        if not self.is_bound:
            return self.camera
        if self.asks_for_place and self.cleaned_data.get("latitude") is not None:
            self.camera.latitude = self.cleaned_data["latitude"]
            self.camera.longitude = self.cleaned_data["longitude"]
        return self.camera

    def save_place(self) -> None:
        if self.asks_for_place and self.has_place:
            self.placed_camera().save(update_fields=["latitude", "longitude"])

    def forget_errors(self) -> None:
        """For a form that is only shown again: nobody has said yet that it is complete."""
        for form in self._forms():
            form.errors.clear()

    @property
    def is_more_open(self) -> bool:
        """Whether something that is folded away was changed, or is wrong."""
        folded = (
            "weekdays",
            "dates",
            "blackouts",
            "start_at",
            "end_at",
            "stop_after_days",
            "stop_after_captures",
        )
        names = [name for name in (*folded, "time_zone", "make_film", "recipe") if name in self.fields]
        return any(self[name].errors for name in names) or any(
            self[name].value() for name in folded if name in self.fields
        )

    def _forms(self) -> list[forms.BaseForm]:
        """In the order of the page."""
        found: list[forms.BaseForm] = [self]
        for rule in self.rules.kept:
            found += [rule, rule.window]
        return [*found, self.window]

    @property
    def problems(self) -> list[tuple[str, str, str]]:
        """Everything that is wrong: the field's id, its label and the words, in the order of the page."""
        found = [
            (form[name].auto_id if name in form.fields else "", _label(form, name), str(words))
            for form in self._forms()
            for name, errors in form.errors.items()
            for words in errors
        ]
        return [*found, *(("", "", str(words)) for words in self.rules.errors)]


class StartForm(ScheduleForm):
    """A new timelapse of a camera, started at once or at its time."""

    make_film = forms.BooleanField(required=False, label="Keep a film ready")
    recipe = forms.ModelChoiceField(Recipe.objects.all(), required=False, empty_label=None)

    def __init__(self, *args: Any, camera: Camera, now: datetime, may_place: bool, **kwargs: Any) -> None:
        zone = ZoneInfo(default_time_zone())
        kwargs["initial"] = {
            "name": f"{camera.name}, {now.astimezone(zone):%d %B %Y}",
            "time_zone": str(zone),
            "make_film": True,
        }
        self.proposed = proposed_plan(camera)
        super().__init__(*args, camera=camera, plan=self.proposed, now=now, may_place=may_place, **kwargs)

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        if values.get("make_film") and not values.get("recipe") and "recipe" not in self.errors:
            self.add_error("recipe", "Choose how the film looks.")
        return values

    def timelapse(self) -> Timelapse:
        """The timelapse that a valid form would start, unsaved; of one that was not sent yet, by what it proposes."""
        if self.is_bound:
            return Timelapse(camera=self.placed_camera(), **self.fields_of_timelapse())
        return Timelapse(camera=self.camera, plan=self.proposed, time_zone=self.initial["time_zone"])

    def start(self, *, by: str, complete_active: bool) -> Timelapse:
        """Creates and starts it, with its film. Raises CameraBusy, and then nothing was written."""
        with transaction.atomic():
            self.save_place()
            timelapse = self.timelapse()
            campaign.create(timelapse, by=by)
            campaign.start(timelapse, by=by, complete_active=complete_active)
            if self.cleaned_data["make_film"]:
                rendering.create_follower(timelapse, self.cleaned_data["recipe"], by=by)
        return timelapse


class EditForm(ScheduleForm):
    """Another schedule for a timelapse that is not history. What has begun keeps its start."""

    instance: Timelapse

    def __init__(
        self, *args: Any, timelapse: Timelapse, now: datetime, may_place: bool, **kwargs: Any
    ) -> None:
        self.instance = timelapse
        names = ("name", "time_zone", "stop_after_days", "stop_after_captures")
        kwargs["initial"] = {name: getattr(timelapse, name) for name in names}
        for name in ("start_at", "end_at"):
            kwargs["initial"][name] = self._shown(getattr(timelapse, name))
        camera, plan = timelapse.camera, timelapse.plan
        super().__init__(*args, camera=camera, plan=plan, now=now, may_place=may_place, **kwargs)
        if timelapse.state != Timelapse.State.CREATED:
            del self.fields["start_at"]

    def _shown(self, moment: datetime | None) -> datetime | None:
        """As the field shows it: the wall clock, to the minute."""
        local = moment and moment.astimezone(self.instance.zone)
        return local and local.replace(tzinfo=None, second=0, microsecond=0)

    def fields_of_timelapse(self) -> dict[str, Any]:
        """The same; a moment that was not touched keeps its seconds."""
        fields = super().fields_of_timelapse()
        if self.plan == self.instance.plan_value:
            fields["plan"] = self.instance.plan  # however it was written
        for name in {"start_at", "end_at"} & set(fields):
            if fields[name] and self._shown(fields[name]) == self.initial[name]:
                fields[name] = getattr(self.instance, name)
        return fields

    def timelapse(self) -> Timelapse:
        """The timelapse as a valid form would make it, in memory alone; as it is where none was sent yet."""
        if not self.is_bound:
            return self.instance
        self.instance.camera = self.placed_camera()
        for name, value in self.fields_of_timelapse().items():
            setattr(self.instance, name, value)
        return self.instance

    def save(self, *, by: str) -> None:
        """Takes effect at the next slot. Raises CampaignError, and then nothing was written."""
        with transaction.atomic():
            self.save_place()
            campaign.change(self.instance, by=by, **self.fields_of_timelapse())


class NameForm(forms.ModelForm):
    """Of a timelapse that is history the name alone can be changed."""

    class Meta:
        model = Timelapse
        fields = ["name"]


def _fields_of_plan(plan: dict[str, Any]) -> dict[str, Any]:
    return {
        "weekdays": [str(day) for day in plan.get("weekdays", [])],
        "dates": _lines(plan.get("dates", [])),
        "blackouts": _lines(plan.get("blackouts", [])),
    }


def _lines(spans: list[Any]) -> str:
    return "\n".join(span if isinstance(span, str) else " to ".join(span) for span in spans)


def _spans(text: str) -> list[list[str]]:
    """Each line, or what stands between commas, as its first and last day."""
    spans = []
    for line in filter(None, map(str.strip, re.split(r"[\n,;]", text))):
        found = SPAN.fullmatch(line)
        if found is None:
            raise forms.ValidationError(
                f"“{line}”: write a date like 2026-03-01, or 2026-03-01 to 2026-11-30."
            )
        spans.append([found[1], found[2] or found[1]])
    return spans


def _label(form: forms.BaseForm, name: str) -> str:
    label = str(form.fields[name].label or name) if name in form.fields else ""
    return label.replace("_", " ").capitalize() if label.islower() else label
