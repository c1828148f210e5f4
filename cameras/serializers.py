"""Cameras in the form in which the API takes and gives them: a password goes in, and never comes out."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from cameras.models import PLACE_IS_BOTH, Camera, Site, one_line
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
            "consecutive_failures",
            "last_success_at",
            "last_failure_at",
            "last_error_code",
            "last_error",
            "image_count",
        ]
        read_only_fields = [
            "health",
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
