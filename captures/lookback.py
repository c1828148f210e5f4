"""How the promise was kept, day by day, in the API: the calendar, the ribbon of a day, its gaps, and "why not?"."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from captures import days
from captures.models import Timelapse
from captures.reasons import words_of
from captures.serializers import CaptureSerializer, refuse_out_of_reach
from media_jobs import clock
from media_jobs.filters import EARLIEST, LATEST

LONGEST_CALENDAR_DAYS = 400


class CalendarQuerySerializer(serializers.Serializer[Any]):
    """Which local days; the present month unless it is said."""

    from_day = serializers.DateField(required=False, help_text="Inclusive.")
    until_day = serializers.DateField(required=False, help_text="Inclusive.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        _refuse_strange_days(attrs)
        return attrs


class DayQuerySerializer(serializers.Serializer[Any]):
    """Which local day."""

    day = serializers.DateField(required=False, help_text="Today unless it is said.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        _refuse_strange_days(attrs)
        return attrs


class MomentQuerySerializer(serializers.Serializer[Any]):
    """Which moment."""

    at = serializers.DateTimeField(help_text="With an offset, or in UTC.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        refuse_out_of_reach(attrs, "at")
        return attrs


class GapQuerySerializer(MomentQuerySerializer):
    """From which moment, and in which direction."""

    direction = serializers.ChoiceField(choices=["next", "previous"], default="next")


class DaySerializer(serializers.Serializer[Any]):
    """How one local day was kept: the states add up to `owed`."""

    day = serializers.DateField()
    owed = serializers.IntegerField()
    stored = serializers.IntegerField()
    discarded = serializers.IntegerField()
    failed = serializers.IntegerField()
    missed = serializers.IntegerField()
    skipped = serializers.IntegerField()
    pending = serializers.IntegerField()
    ratio = serializers.FloatField(allow_null=True, help_text="Stored of what was to be had, from 0 to 1.")
    top_reason = serializers.CharField(help_text="The commonest reason of what is missing; empty for none.")
    top_reason_words = serializers.SerializerMethodField(help_text="The same for people.")

    def get_top_reason_words(self, day: days.Day) -> str:
        return words_of(day.top_reason) if day.top_reason else ""


class StretchSerializer(serializers.Serializer[Any]):
    """Slots one after the other with the same fate, for drawing."""

    from_at = serializers.DateTimeField()
    until_at = serializers.DateTimeField(help_text="Exclusive.")
    state = serializers.CharField()
    reason = serializers.CharField(help_text="Empty where nothing is missing.")
    reason_words = serializers.SerializerMethodField(help_text="The same for people.")
    count = serializers.IntegerField()

    def get_reason_words(self, stretch: days.Stretch) -> str:
        return words_of(stretch.reason) if stretch.reason else ""


class RibbonSerializer(serializers.Serializer[Any]):
    """A local day, from midnight to midnight."""

    day = serializers.DateField()
    time_zone = serializers.CharField()
    stretches = StretchSerializer(many=True, help_text="In the order of time.")


class GapSerializer(serializers.Serializer[Any]):
    """The neighbouring gap, or null."""

    gap = StretchSerializer(allow_null=True)


class AnswerSerializer(serializers.Serializer[Any]):
    """Why there is, or is no, picture of a moment."""

    at = serializers.DateTimeField(help_text="What was asked for.")
    kind = serializers.CharField(help_text="What it was, for programs.")
    slot = serializers.DateTimeField(allow_null=True, help_text="The nearest slot that was owed then.")
    code = serializers.CharField(help_text="The reason, for programs.")
    words = serializers.CharField(help_text="The reason, for people.")
    advice = serializers.CharField(help_text="What helps; may be empty.")
    capture = CaptureSerializer(
        allow_null=True, help_text="What became of the slot; its picture, if there is one."
    )


class TimelapseDaysViewSet(GenericViewSet[Timelapse]):
    """How timelapses were kept, day by day."""

    queryset = Timelapse.objects.select_related("camera")
    serializer_class = DaySerializer
    pagination_class = None
    filter_backends: list[Any] = []
    lookup_value_regex = "[0-9]+"
    query_serializer_class: type[serializers.Serializer[Any]] | None = None

    @extend_schema(parameters=[CalendarQuerySerializer], responses={200: DaySerializer(many=True)})
    @action(detail=True, query_serializer_class=CalendarQuerySerializer)
    def calendar(self, request: Request, pk: str) -> Response:
        """How each day was kept; at most 400 days at once."""
        timelapse, query = self.get_object(), self._query(request)
        first, last = _span(query, _today(timelapse))
        return Response(DaySerializer(days.calendar(timelapse, first, last), many=True).data)

    @extend_schema(parameters=[DayQuerySerializer], responses={200: RibbonSerializer})
    @action(detail=True, query_serializer_class=DayQuerySerializer)
    def ribbon(self, request: Request, pk: str) -> Response:
        """One day, drawn: stretches of the same fate."""
        timelapse, query = self.get_object(), self._query(request)
        day = query.get("day") or _today(timelapse)
        ribbon = {"day": day, "time_zone": timelapse.time_zone, "stretches": days.ribbon(timelapse, day)}
        return Response(RibbonSerializer(ribbon).data)

    @extend_schema(parameters=[GapQuerySerializer], responses={200: GapSerializer})
    @action(detail=True, query_serializer_class=GapQuerySerializer)
    def gap(self, request: Request, pk: str) -> Response:
        """The next or the previous stretch without pictures, across days."""
        timelapse, query = self.get_object(), self._query(request)
        found = days.neighbour_gap(timelapse, query["at"], forward=query["direction"] == "next")
        return Response(GapSerializer({"gap": found}).data)

    @extend_schema(parameters=[MomentQuerySerializer], responses={200: AnswerSerializer})
    @action(detail=True, query_serializer_class=MomentQuerySerializer)
    def why(self, request: Request, pk: str) -> Response:
        """Why there was no picture at a moment; or the picture, if there was one."""
        timelapse, query = self.get_object(), self._query(request)
        answer = days.why(timelapse, query["at"])
        names = ("kind", "slot", "code", "words", "advice", "capture")
        values = {"at": query["at"]} | {name: getattr(answer, name) for name in names}
        return Response(AnswerSerializer(values, context=self.get_serializer_context()).data)

    def _query(self, request: Request) -> dict[str, Any]:
        assert self.query_serializer_class is not None  # noqa: S101 - each action names its own
        query = self.query_serializer_class(data=request.query_params)
        query.is_valid(raise_exception=True)
        values: dict[str, Any] = query.validated_data
        return values


def _today(timelapse: Timelapse) -> date:
    return clock.now().astimezone(timelapse.zone).date()


def _span(query: dict[str, Any], today: date) -> tuple[date, date]:
    """First and last day: the month of the one that is given, or the present one."""
    known = query.get("from_day") or query.get("until_day") or today
    first = query.get("from_day") or known.replace(day=1)
    last = query.get("until_day") or known.replace(day=monthrange(known.year, known.month)[1])
    if last < first:
        raise serializers.ValidationError({"until_day": ["The last day must not lie before the first one."]})
    if last - first >= timedelta(days=LONGEST_CALENDAR_DAYS):
        raise serializers.ValidationError(
            {"until_day": [f"At most {LONGEST_CALENDAR_DAYS} days at once; ask for the others after them."]}
        )
    return first, last


def _refuse_strange_days(attrs: dict[str, Any]) -> None:
    for name, day in attrs.items():
        if not EARLIEST.date() < day < LATEST.date():
            raise serializers.ValidationError({name: [f"Must lie between {EARLIEST:%Y} and {LATEST:%Y}."]})
