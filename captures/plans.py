"""The plan in the API: typed for the schema, read and checked by the core, with what is wrong said under its path."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers

from captures.intervalometer import Plan, PlanError
from captures.intervalometer.document import MAX_INTERVAL_S, MAX_OFFSET_MIN, MAX_RULES, MAX_SPANS, MAX_TIMES
from captures.intervalometer.rules import SUN_EVENTS

TIME = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"
# The schema's own words for what serializers cannot say: a day, or its first and last one.
DAYS = {"type": "array", "items": {"type": "string", "format": "date"}, "minItems": 2, "maxItems": 2}
DAY_OR_DAYS = {"oneOf": [{"type": "string", "format": "date"}, DAYS]}


def _kind(name: str) -> serializers.Field[Any, Any, Any, Any]:
    """What tells one rule or window from the others: always the same word."""
    constant = extend_schema_field({"type": "string", "const": name})
    kind: type[serializers.CharField] = constant(type("KindField", (serializers.CharField,), {}))
    return kind()


class NoWindowSerializer(serializers.Serializer[Any]):
    """Open day and night."""

    kind = _kind("none")


class ClockWindowSerializer(serializers.Serializer[Any]):
    """Open from one local time to another, both inclusive; overnight where the start is later than the end."""

    kind = _kind("clock")
    start = serializers.RegexField(TIME, help_text="Local: 22:00 or 22:00:30.")
    end = serializers.RegexField(TIME, help_text="The same as the start: all day.")


class SunWindowSerializer(serializers.Serializer[Any]):
    """Open from sunrise to sunset, each moved by minutes. Where the sun does not set: always; does not rise: never."""

    kind = _kind("sun")
    start_offset_min = serializers.IntegerField(
        min_value=-MAX_OFFSET_MIN, max_value=MAX_OFFSET_MIN, required=False, help_text="0 unless it is said."
    )
    end_offset_min = serializers.IntegerField(
        min_value=-MAX_OFFSET_MIN, max_value=MAX_OFFSET_MIN, required=False, help_text="0 unless it is said."
    )


class AltitudeWindowSerializer(serializers.Serializer[Any]):
    """Open while the sun stands between two altitudes; one of them is enough."""

    kind = _kind("altitude")
    at_least_deg = serializers.FloatField(min_value=-90, max_value=90, required=False, allow_null=True)
    at_most_deg = serializers.FloatField(min_value=-90, max_value=90, required=False, allow_null=True)


WINDOW = PolymorphicProxySerializer(
    component_name="Window",
    serializers={
        "none": NoWindowSerializer,
        "clock": ClockWindowSerializer,
        "sun": SunWindowSerializer,
        "altitude": AltitudeWindowSerializer,
    },
    resource_type_field_name="kind",
)


@extend_schema_field(WINDOW)
class WindowField(serializers.JSONField):
    """When pictures are taken at all."""


class RuleSerializer(serializers.Serializer[Any]):
    """What every rule may have."""

    window = WindowField(required=False, help_text="Stands in for the window of the plan.")


class IntervalRuleSerializer(RuleSerializer):
    """Every so many seconds."""

    kind = _kind("interval")
    every_s = serializers.IntegerField(min_value=1, max_value=MAX_INTERVAL_S)
    on_the_clock = serializers.BooleanField(
        required=False,
        help_text="At whole multiples since local midnight; else at a phase of the camera's own.",
    )


class CronRuleSerializer(RuleSerializer):
    """Where a cron expression matches the local clock."""

    kind = _kind("cron")
    expression = serializers.CharField(max_length=200, help_text="`*/5 8-17 * * 1-5`")


class TimesRuleSerializer(RuleSerializer):
    """At these local times, each once a day."""

    kind = _kind("times")
    times = serializers.ListField(child=serializers.RegexField(TIME), min_length=1, max_length=MAX_TIMES)


class SunRuleSerializer(RuleSerializer):
    """Once a day at an event of the sun. The camera needs its latitude and longitude."""

    kind = _kind("sun")
    event = serializers.ChoiceField(choices=SUN_EVENTS)
    offset_min = serializers.IntegerField(
        min_value=-MAX_OFFSET_MIN, max_value=MAX_OFFSET_MIN, required=False, help_text="Later is positive."
    )


RULE = PolymorphicProxySerializer(
    component_name="Rule",
    serializers={
        "interval": IntervalRuleSerializer,
        "cron": CronRuleSerializer,
        "times": TimesRuleSerializer,
        "sun": SunRuleSerializer,
    },
    resource_type_field_name="kind",
)


@extend_schema_field(RULE)
class RuleField(serializers.JSONField):
    """One rule."""


@extend_schema_field(DAYS)
class DaysField(serializers.JSONField):
    """The first and the last day."""


@extend_schema_field(DAY_OR_DAYS)
class DayOrDaysField(serializers.JSONField):
    """One day, or the first and the last one."""


class PlanSerializer(serializers.Serializer[Any]):
    """When pictures are owed: the union of the rules' slots, inside their windows, on the days that are allowed."""

    rules = serializers.ListField(child=RuleField(), min_length=1, max_length=MAX_RULES)
    window = WindowField(required=False, help_text="For all rules without one of their own.")
    weekdays = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=7),
        required=False,
        help_text="1 is Monday; none: every day.",
    )
    dates = serializers.ListField(
        child=DaysField(),
        required=False,
        max_length=MAX_SPANS,
        help_text="First and last days; none: always.",
    )
    blackouts = serializers.ListField(
        child=DayOrDaysField(),
        required=False,
        max_length=MAX_SPANS,
        help_text="Days on which nothing is owed.",
    )


@extend_schema_field(PlanSerializer)
class PlanField(serializers.JSONField):
    """A plan's document, in its canonical form."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        try:
            return Plan.from_document(data).to_document()
        except PlanError as error:
            raise serializers.ValidationError(by_path(error.problems)) from None


def by_path(problems: dict[str, str]) -> Any:
    """The problems of a plan as a serializer tells them: each under its path, those of the whole plan without one."""
    return {path: [words] for path, words in problems.items() if path} or list(problems.values())
