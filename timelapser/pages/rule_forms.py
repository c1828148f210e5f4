"""The rules and windows of a plan as form fields: values in a document become fields, fields become a document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import time
from typing import Any

from django import forms
from django.http import QueryDict

INTERVALS = (
    (2, "2 s"),
    (10, "10 s"),
    (30, "30 s"),
    (60, "1 min"),
    (300, "5 min"),
    (900, "15 min"),
    (3600, "1 h"),
)
UNITS = ((1, "seconds"), (60, "minutes"), (3600, "hours"))
LONGEST_S = 86_400
MOST_RULES = 20
PREFIX = "rules"
COUNT = f"{PREFIX}-count"
CUSTOM = "custom"
EVENTS = (
    ("sunrise", "sunrise"),
    ("sunset", "sunset"),
    ("dawn", "dawn"),
    ("dusk", "dusk"),
    ("noon", "solar noon"),
)
WINDOWS = (
    ("none", "All day and night"),
    ("clock", "From … to …"),
    ("sun", "Sunrise to sunset"),
    ("altitude", "Height of the sun"),
)
AS_BELOW = ("", "As below")


def offset_field(label: str) -> forms.IntegerField:
    return forms.IntegerField(required=False, min_value=-720, max_value=720, label=label)


def degrees_field(label: str) -> forms.FloatField:
    return forms.FloatField(required=False, min_value=-90, max_value=90, label=label)


def time_field(label: str) -> forms.TimeField:
    """A reading of the wall clock."""
    return forms.TimeField(
        required=False,
        label=label,
        widget=forms.TimeInput(attrs={"type": "time"}),
        error_messages={"invalid": "Write a time like 08:00."},
    )


class WindowForm(forms.Form):
    """When pictures are taken at all. As a rule's own window it may be empty: the plan's counts."""

    kind = forms.ChoiceField(choices=WINDOWS, widget=forms.RadioSelect, label="Pictures are taken")
    start = time_field("From")
    end = time_field("To")
    start_offset_min = offset_field("Minutes after sunrise")
    end_offset_min = offset_field("Minutes after sunset")
    at_least_deg = degrees_field("Sun at least at, degrees")
    at_most_deg = degrees_field("Sun at most at, degrees")

    def __init__(self, *args: Any, is_own: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_own:
            self.fields["kind"].choices = [AS_BELOW, *WINDOWS]  # type: ignore[attr-defined] # a ChoiceField
            self.fields["kind"].required = False

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        kind = values.get("kind")
        if kind == "clock":
            for name in ("start", "end"):
                if values.get(name) is None and name not in self.errors:
                    self.add_error(name, "Write a time like 08:00.")
        if kind == "altitude" and not {"at_least_deg", "at_most_deg"} & set(self.errors):
            low, high = values.get("at_least_deg"), values.get("at_most_deg")
            if low is None and high is None:
                self.add_error("at_least_deg", "Write how high the sun must stand; 0 is the horizon.")
            elif low is not None and high is not None and low >= high:
                self.add_error("at_most_deg", "This must be more than the least height.")
        return values

    def document(self) -> dict[str, Any] | None:
        """Of a valid form: the window's document, or None where the plan's window counts."""
        values = self.cleaned_data
        kind = values["kind"]
        if kind == "clock":
            return {"kind": kind, "start": _clock(values["start"]), "end": _clock(values["end"])}
        if kind == "sun":
            offsets = ("start_offset_min", "end_offset_min")
            return {"kind": kind} | {name: values[name] or 0 for name in offsets}
        if kind == "altitude":
            bounds = ("at_least_deg", "at_most_deg")
            return {"kind": kind} | {name: values[name] for name in bounds if values[name] is not None}
        return {"kind": kind} if kind else None


class RuleForm(forms.Form):
    """One rule of a plan; the fields of the kinds that were not chosen count for nothing."""

    kind = forms.ChoiceField(
        choices=(("interval", "Every …"), ("times", "At times"), ("sun", "By the sun"), ("cron", "Cron")),
        widget=forms.RadioSelect,
        label="Rule",
        initial="interval",
    )
    interval = forms.ChoiceField(
        required=False,
        choices=[*((str(seconds), words) for seconds, words in INTERVALS), (CUSTOM, "Custom")],
        widget=forms.RadioSelect,
        label="A picture every",
        initial="300",
    )
    custom_count = forms.FloatField(required=False, min_value=0.01, label="Every")
    custom_unit = forms.TypedChoiceField(required=False, coerce=int, choices=UNITS, label="Unit", initial=60)
    on_the_clock = forms.BooleanField(required=False, label="On the clock")
    times = forms.CharField(required=False, max_length=2000, label="Times of the day")
    event = forms.ChoiceField(required=False, choices=EVENTS, label="At")
    offset_min = offset_field("Minutes after it")
    expression = forms.CharField(required=False, max_length=200, label="Cron expression")
    remove = forms.BooleanField(required=False, label="Remove")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, text in (("times", "08:00, 12:30, 17:00"), ("expression", "*/10 8-17 * * 1-5")):
            self.fields[name].widget.attrs |= {
                "placeholder": text,
                "autocomplete": "off",
                "spellcheck": "false",
            }
        self.fields["custom_count"].widget.attrs |= {"inputmode": "decimal"}
        initial = (self.initial or {}).get("window")
        self.window = WindowForm(
            self.data if self.is_bound else None,
            prefix=f"{self.prefix}-window",
            is_own=True,
            initial=initial or {"kind": ""},
        )

    @property
    def is_removed(self) -> bool:
        return self.is_bound and bool(self["remove"].value())

    def is_valid(self) -> bool:
        return bool(super().is_valid()) & self.window.is_valid()

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        kind = values.get("kind")
        if kind == "interval":
            values["every_s"] = self._every_s(values)
        if kind == "times" and not words_in(values.get("times", "")) and "times" not in self.errors:
            self.add_error("times", "Write the times of the day, like 08:00, 12:30.")
        if kind == "sun" and not values.get("event") and "event" not in self.errors:
            self.add_error("event", "Choose what the sun does.")
        if kind == "cron" and not values.get("expression") and "expression" not in self.errors:
            self.add_error(
                "expression", "Write minute, hour, day, month and weekday, like */10 8-17 * * 1-5."
            )
        return values

    def _every_s(self, values: dict[str, Any]) -> int | None:
        chosen = values.get("interval")
        if chosen != CUSTOM:
            if not chosen and "interval" not in self.errors:
                self.add_error("interval", "Choose how often a picture is taken.")
            return int(chosen) if chosen else None
        count = values.get("custom_count")
        if not count:
            if "custom_count" not in self.errors:
                self.add_error("custom_count", "Write how often a picture is taken.")
            return None
        seconds = count * (values.get("custom_unit") or 1)
        if seconds != int(seconds) or not 1 <= seconds <= LONGEST_S:
            self.add_error("custom_count", "From 1 second to 24 hours, in whole seconds.")
            return None
        return int(seconds)

    def document(self) -> dict[str, Any]:
        """Of a valid form: the rule's document."""
        values = self.cleaned_data
        kind = values["kind"]
        fields: dict[str, Any] = {}
        if kind == "interval":
            fields = {"every_s": values["every_s"], "on_the_clock": values["on_the_clock"]}
        elif kind == "times":
            fields = {"times": words_in(values["times"])}
        elif kind == "sun":
            fields = {"event": values["event"], "offset_min": values["offset_min"] or 0}
        else:
            fields = {"expression": values["expression"]}
        window = self.window.document()
        return {"kind": kind} | fields | ({"window": window} if window else {})

    def add_problem(self, path: list[str], words: str) -> None:
        """Puts what is wrong with the rule's document at the field that it came from."""
        if path[:1] == ["window"]:
            name = path[1] if len(path) > 1 and path[1] in self.window.fields else "kind"
            self.window.add_error(name, words)
        elif path[:1] == ["times"] and len(path) > 1:
            self.add_error("times", f"“{words_in(self.cleaned_data['times'])[int(path[1])]}”: {words}")
        else:
            name = {"every_s": "interval"}.get(path[0], path[0]) if path else "kind"
            self.add_error(name if name in self.fields else None, words)


class Rules:
    """The forms of a plan's rules: of what was sent, or of the documents in `rules`. At least one must be kept."""

    def __init__(self, data: Mapping[str, Any] | None, rules: Sequence[Mapping[str, Any]]) -> None:
        if data is None:
            self.forms = [
                RuleForm(prefix=f"{PREFIX}-{number}", initial=fields_of_rule(rule))
                for number, rule in enumerate(rules)
            ]
        else:
            sent = data.get(COUNT, "")
            count = min(int(sent), MOST_RULES) if sent.isascii() and sent.isdigit() and len(sent) < 4 else 0
            self.forms = [RuleForm(data, prefix=f"{PREFIX}-{number}") for number in range(count)]
        self.errors: list[str] = []

    @property
    def kept(self) -> list[RuleForm]:
        """Those that were not removed."""
        return [form for form in self.forms if not form.is_removed]

    @property
    def blank(self) -> RuleForm:
        """What “Another rule” brings; `__number__` stands for its number."""
        return RuleForm(prefix=f"{PREFIX}-__number__")

    def is_valid(self) -> bool:
        self.errors = [] if self.kept else ["A timelapse needs at least one rule."]
        judged = [form.is_valid() for form in self.kept]  # each of them says what is wrong
        return all(judged) and not self.errors


def with_one_more(data: QueryDict) -> QueryDict:
    """What was sent, with a row more for a rule."""
    more = data.copy()
    number = len(Rules(data, []).forms)
    more[COUNT] = str(number + 1)
    more[f"{PREFIX}-{number}-kind"], more[f"{PREFIX}-{number}-interval"] = "interval", "300"
    return more


def fields_of_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """The initial values of a rule's form, from its document."""
    values = {"interval": "300", "custom_unit": 60, "event": "sunrise"} | dict(rule)
    if rule["kind"] == "interval":
        values |= _fields_of_interval(rule["every_s"])
    if rule["kind"] == "times":
        values["times"] = ", ".join(rule["times"])
    return values


def _fields_of_interval(seconds: int) -> dict[str, Any]:
    if seconds in dict(INTERVALS):
        return {"interval": str(seconds)}
    unit = max(size for size, _ in UNITS if seconds % size == 0)
    return {"interval": CUSTOM, "custom_count": seconds // unit, "custom_unit": unit}


def words_in(text: str) -> list[str]:
    """What stands between commas and blanks."""
    return re.split(r"[,;\s]+", text.strip(" ,;\n\r\t")) if text.strip(" ,;\n\r\t") else []


def _clock(reading: time) -> str:
    return reading.isoformat("seconds" if reading.second else "minutes")
