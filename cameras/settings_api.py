"""Settings in the API: what counts at each level and who says so, changes, and their history."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Model
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from cameras import configured
from cameras.effective import said_globally
from cameras.models import Camera, SettingChange
from cameras.settings import Level, Line, Option, Settings, SettingsRefused, options, outline
from media_jobs import clock
from media_jobs.filters import MomentFilter

KINDS = {bool: "yes_or_no", int: "whole_number", float: "number", str: "text", tuple: "list"}


class ChoiceSerializer(serializers.Serializer[Any]):
    value = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # the name is ours; DRF keeps its own elsewhere


class LineSerializer(serializers.Serializer[Line]):
    """One setting as its level sees it. Values of secrets are never given: `is_set` tells whether there is one."""

    name = serializers.CharField()
    group = serializers.CharField(source="option.group")
    label = serializers.CharField(source="option.label")  # type: ignore[assignment] # as above
    help = serializers.CharField(source="option.help")
    unit = serializers.CharField(source="option.unit")
    kind = serializers.SerializerMethodField()
    minimum = serializers.FloatField(source="option.minimum", allow_null=True)
    maximum = serializers.FloatField(source="option.maximum", allow_null=True)
    choices = serializers.SerializerMethodField(help_text="The values that it takes; empty where others do.")
    levels = serializers.ListField(
        child=serializers.CharField(),
        source="option.levels",
        help_text="Where it can be set.",
    )
    is_secret = serializers.BooleanField(source="option.is_secret")
    is_settable = serializers.BooleanField(help_text="Whether it can be set at this level.")
    is_set = serializers.BooleanField(
        help_text="Whether this level says it; of a secret, whether there is one."
    )
    value = serializers.JSONField(help_text="What counts at this level.")
    origin = serializers.CharField(help_text="Who says so: default, global, camera or timelapse.")
    own = serializers.JSONField(help_text="What this level says; null: nothing, it is inherited.")
    inherited = serializers.JSONField(help_text="What would count if this level said nothing.")
    inherited_from = serializers.CharField()

    def get_kind(self, line: Line) -> str:
        return KINDS[line.option.kind]

    @extend_schema_field(ChoiceSerializer(many=True))
    def get_choices(self, line: Line) -> list[dict[str, str]]:
        return [{"value": value, "label": label} for value, label in line.option.choices]


class LevelSerializer(serializers.Serializer[Any]):
    """All settings as one level sees them."""

    level = serializers.CharField(help_text="global, camera or timelapse.")
    topic = serializers.CharField(
        help_text="Whose events and whose history: settings, camera.3, timelapse.7."
    )
    settings = LineSerializer(many=True)


class ChangeSerializer(serializers.ModelSerializer[SettingChange]):
    """One value that somebody changed. Of a secret only that it was: `new` is "set" or "removed"."""

    old = serializers.JSONField(help_text="Null: the level said nothing.")
    new = serializers.JSONField(help_text="Null: it is inherited again.")

    class Meta:
        model = SettingChange
        fields = ["id", "at", "by", "level", "topic", "name", "old", "new"]
        read_only_fields = fields


class ChangeFilter(FilterSet):
    topic = django_filters.CharFilter(max_length=80, label="settings, camera.<id> or timelapse.<id>")
    name = django_filters.CharFilter(max_length=60, label="The setting's.")
    by = django_filters.CharFilter(max_length=150, label="A person's login.")
    start = MomentFilter(field_name="at", lookup_expr="gte", label="Inclusive.")
    end = MomentFilter(field_name="at", lookup_expr="lt", label="Exclusive.")

    class Meta:
        model = SettingChange
        fields: list[str] = []


def wish_of(level: Level) -> type[serializers.Serializer[Any]]:
    """The form of a change at `level`, for the schema: what it takes is checked by the options themselves."""
    fields: dict[str, Any] = {
        name: _field_of(option) for name, option in options(Settings).items() if level in option.levels
    }
    words = "Only what is to be changed. Null: inherit again."
    return type(
        f"{level.capitalize()}SettingsWishSerializer", (serializers.Serializer,), fields | {"__doc__": words}
    )


def _field_of(option: Option) -> serializers.Field[Any, Any, Any, Any]:
    given: dict[str, Any] = {"required": False, "allow_null": True, "help_text": option.help or option.label}
    bounds: dict[str, Any] = {"min_value": option.minimum, "max_value": option.maximum}
    if option.kind is bool:
        return serializers.BooleanField(**given)
    if option.kind is int:
        whole: dict[str, Any] = {
            name: None if bound is None else int(bound) for name, bound in bounds.items()
        }
        return serializers.IntegerField(**given, **whole)
    if option.kind is float:
        return serializers.FloatField(**given, **bounds)
    if option.kind is tuple:
        return serializers.ListField(child=serializers.CharField(), **given)
    if option.choices:
        return serializers.ChoiceField(choices=option.choices, **given)
    return serializers.CharField(**given, write_only=option.is_secret, allow_blank=True)


class LevelViewSet(GenericViewSet[Any]):
    """What all three levels have in common."""

    level: Level
    lookup_value_regex = "[0-9]+"
    filter_backends: list[Any] = []
    pagination_class = None
    serializer_class = LevelSerializer

    def target(self) -> Any:
        """The row whose word is the nearest."""
        return self.get_object()

    def lines(self, target: Any) -> list[Line]:
        raise NotImplementedError

    def _show(self) -> Response:
        target = self.target()
        shown = {"level": self.level.value, "topic": target.topic, "settings": self.lines(target)}
        return Response(LevelSerializer(shown).data)

    def _change(self, request: Request) -> Response:
        wanted = request.data
        if not isinstance(wanted, dict):
            raise serializers.ValidationError("Send an object: names of settings with their values.")
        target: Model = self.target()
        by = request.user.get_username()
        try:
            configured.change(self.level, target, wanted, by=by, now=clock.now())
        except SettingsRefused as error:
            problems = {name: [words] for name, words in error.problems.items()}
            raise serializers.ValidationError(problems) from None
        return self._show()


class GlobalSettingsViewSet(LevelViewSet):
    """Settings for all cameras."""

    level = Level.GLOBAL
    queryset = SettingChange.objects.none()  # for the schema only: there is one row, and it needs no address

    def target(self) -> Any:
        return configured.global_row()

    def lines(self, target: Any) -> list[Line]:
        return outline(target.said)

    @extend_schema(operation_id="settings_retrieve", responses={200: LevelSerializer})
    def retrieve(self, request: Request) -> Response:
        """Every setting: what counts where nobody says otherwise."""
        return self._show()

    @extend_schema(
        operation_id="settings_partial_update",
        request=wish_of(Level.GLOBAL),
        responses={200: LevelSerializer},
    )
    def partial_update(self, request: Request) -> Response:
        """Changes what is named, all of it or nothing; in force from the next picture on."""
        return self._change(request)


class CameraSettingsViewSet(LevelViewSet):
    """Settings of one camera."""

    level = Level.CAMERA
    queryset = Camera.objects.all()

    def lines(self, target: Any) -> list[Line]:
        return outline(said_globally(), target.said)

    @extend_schema(operation_id="cameras_settings_retrieve", responses={200: LevelSerializer})
    def retrieve(self, request: Request, pk: str) -> Response:
        """Every setting: what counts for this camera, and who says so."""
        return self._show()

    @extend_schema(
        operation_id="cameras_settings_partial_update",
        request=wish_of(Level.CAMERA),
        responses={200: LevelSerializer},
    )
    def partial_update(self, request: Request, pk: str) -> Response:
        """Changes what is named, all of it or nothing; in force from the next picture on."""
        return self._change(request)


class SettingChangeViewSet(mixins.ListModelMixin, GenericViewSet[SettingChange]):
    """Who changed which setting."""

    queryset = SettingChange.objects.order_by("-at", "-id")
    serializer_class = ChangeSerializer
    filterset_class = ChangeFilter
    ordering_fields = ["at"]
