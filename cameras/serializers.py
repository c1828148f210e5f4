"""Cameras in the form in which the API takes and gives them: a password goes in, and never comes out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from cameras import effective, health
from cameras.models import PLACE_IS_BOTH, Alert, Camera, Site, one_line
from cameras.settings import resolve
from cameras.sources import AddressRefused, SourceKind
from cameras.sources.addresses import validate_address
from media_jobs import roles

READING = [
    "kind",
    "address",
    "transport",
    "username",
    "password",
    "verify_tls",
    "connect_timeout_s",
    "deadline_s",
]


class ReadingSerializer(serializers.ModelSerializer[Camera]):
    """What is needed to read a camera, checked together: the kind decides which addresses are allowed."""

    password = serializers.CharField(
        validators=[one_line],
        write_only=True,
        required=False,
        allow_blank=True,
        max_length=500,
        trim_whitespace=False,
        help_text="Left out: stays as it is. Empty: is removed.",
    )
    connect_timeout_s = serializers.FloatField(min_value=0.5, max_value=60, default=5)
    deadline_s = serializers.FloatField(
        min_value=1, max_value=120, default=10, help_text="Seconds for one picture, connecting included."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is None or {"kind", "address"} & attrs.keys():
            kind = str(attrs.get("kind") or getattr(self.instance, "kind", Camera.Kind.RTSP))
            address = str(attrs.get("address") or getattr(self.instance, "address", ""))
            try:
                attrs["address"] = validate_address(
                    SourceKind(kind),
                    address,
                    allow_loopback=settings.ALLOW_LOOPBACK_CAMERAS,
                    folders=settings.CAMERA_FOLDERS,
                )
            except AddressRefused as error:
                raise serializers.ValidationError({"address": [str(error)]}) from None
        return attrs


class SiteSerializer(serializers.ModelSerializer[Site]):
    """A network of its own. Its slug names its workers, so it stays as it was made."""

    capture_queue = serializers.CharField(read_only=True, help_text="What its workers serve.")
    notes = serializers.CharField(required=False, allow_blank=True, max_length=10_000)

    class Meta:
        model = Site
        fields = ["id", "name", "slug", "capture_queue", "notes"]

    def validate_slug(self, value: str) -> str:
        if self.instance is not None and value != self.instance.slug:
            raise serializers.ValidationError(
                "The workers of this site are started with it: make a new site."
            )
        return value


class CameraSerializer(ReadingSerializer):
    """A camera and how it has been answering."""

    has_password = serializers.BooleanField(read_only=True)
    address = serializers.CharField(
        max_length=500,
        help_text="Without user name and password. Those who may not change it see no values of its query.",
    )
    notes = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    advice = serializers.SerializerMethodField(help_text="What helps against the last error; may be empty.")
    next_probe_at = serializers.SerializerMethodField(
        help_text="When it is asked next if no capture hears of it before; null: with the next tick, or never as it"
        " is switched off."
    )
    open_alerts = serializers.SerializerMethodField(help_text="How many; alerts/?camera= has them.")
    geometry = serializers.DictField(
        read_only=True, help_text="Only what is not as it comes; to be changed at cameras/{id}/geometry/."
    )

    class Meta:
        model = Camera
        fields = [
            "id",
            "name",
            *READING,
            "has_password",
            "site",
            "latitude",
            "longitude",
            "geometry",
            "is_enabled",
            "notes",
            "created_at",
            "health",
            "health_since",
            "consecutive_failures",
            "last_success_at",
            "last_failure_at",
            "last_error_code",
            "last_error",
            "advice",
            "next_probe_at",
            "open_alerts",
            "image_count",
        ]
        read_only_fields = [
            "health",
            "health_since",
            "consecutive_failures",
            "last_success_at",
            "last_failure_at",
            "last_error_code",
            "last_error",
            "image_count",
        ]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        place = [attrs.get(name, getattr(self.instance, name, None)) for name in ("latitude", "longitude")]
        if (place[0] is None) != (place[1] is None):
            raise serializers.ValidationError(
                {"latitude" if place[0] is None else "longitude": [PLACE_IS_BOTH]}
            )
        return attrs

    def get_advice(self, camera: Camera) -> str:
        return health.advice_for(camera.last_error_code)

    @extend_schema_field(OpenApiTypes.DATETIME)
    def get_next_probe_at(self, camera: Camera) -> datetime | None:
        if not camera.is_enabled:
            return None
        said = self.context.get("said_globally", effective.said_globally)()
        return health.next_probe_at(camera, resolve(said, camera.said).settings)

    def get_open_alerts(self, camera: Camera) -> int:
        """Counted by the list's query; one that was just made has none."""
        counted: int = getattr(camera, "open_alert_count", 0)
        return counted

    def to_representation(self, instance: Camera) -> dict[str, Any]:
        shown = super().to_representation(instance)
        request = self.context.get("request")
        if request is None or not roles.may(request.user, roles.CONFIGURE, instance):
            shown["address"] = instance.shown_address
        return shown

    def create(self, validated_data: dict[str, Any]) -> Camera:
        return self._write(Camera(), validated_data)

    def update(self, instance: Camera, validated_data: dict[str, Any]) -> Camera:
        return self._write(instance, validated_data)

    @staticmethod
    def _write(camera: Camera, values: dict[str, Any]) -> Camera:
        """Only what is given is written: workers count pictures and failures in the same row meanwhile."""
        password = values.pop("password", None)
        for name, value in values.items():
            setattr(camera, name, value)
        if password is not None:
            camera.set_password(password)
            values["sealed_password"] = camera.sealed_password
        camera.save(update_fields=None if camera.pk is None else list(values))
        return camera


class CameraTestSerializer(ReadingSerializer):
    """A camera that is not saved yet, or a change to one that is."""

    camera = serializers.PrimaryKeyRelatedField(
        queryset=Camera.objects.all(),
        required=False,
        write_only=True,
        help_text="A saved camera whose password is used where none is given; needs the role admin.",
    )

    class Meta:
        model = Camera
        fields = [*READING, "site", "camera"]
        extra_kwargs = {"username": {"default": ""}, "verify_tls": {"default": True}}


class CameraDetectSerializer(ReadingSerializer):
    """A device whose streams are looked for, by what would be needed to read it; saved or not."""

    transport = None  # looked for by TCP
    connect_timeout_s = None  # type: ignore[assignment] # how DRF takes back a field: the search has its own times
    deadline_s = None  # type: ignore[assignment] # the same
    camera = serializers.PrimaryKeyRelatedField(
        queryset=Camera.objects.all(),
        required=False,
        write_only=True,
        help_text="A saved camera whose password is used where none is given; needs the role admin.",
    )
    rtsp_port = serializers.IntegerField(
        min_value=1, max_value=65535, required=False, help_text="Left out: the usual ones."
    )
    web_port = serializers.IntegerField(
        min_value=1, max_value=65535, required=False, help_text="Of ONVIF and of snapshots; the same."
    )

    class Meta:
        model = Camera
        fields = ["kind", "address", "username", "password", "verify_tls", "site", "camera"]
        fields += ["rtsp_port", "web_port"]
        extra_kwargs = {"username": {"default": ""}, "verify_tls": {"default": True}}


class ChoiceSerializer(serializers.Serializer[Any]):
    """One of the streams that a search has found."""

    job = serializers.UUIDField(help_text="The search: a job of cameras.detect.")
    number = serializers.IntegerField(min_value=0, max_value=1000, help_text="Its place in `offers`, from 0.")


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """Something about a camera that somebody should look at."""

    is_open = serializers.SerializerMethodField()

    class Meta:
        model = Alert
        fields = [
            "id",
            "camera",
            "kind",
            "reason",
            "words",
            "is_open",
            "raised_at",
            "cleared_at",
            "cleared_by",
        ]

    def get_is_open(self, alert: Alert) -> bool:
        return alert.cleared_at is None
