"""The geometry of a camera in the API: what is hidden, cut and turned, and a test shot of it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from cameras import shots
from cameras.geometry import Geometry, GeometryRefused
from cameras.models import Camera
from captures import framing
from media_jobs import roles
from media_jobs.serializers import JobSerializer
from media_jobs.viewsets import Conflict, job_response


class FlipSerializer(serializers.Serializer[Any]):
    horizontal = serializers.BooleanField(default=False, help_text="Left and right.")
    vertical = serializers.BooleanField(default=False, help_text="Up and down.")


class CropSerializer(serializers.Serializer[Any]):
    x = serializers.FloatField(min_value=0, max_value=1)
    y = serializers.FloatField(min_value=0, max_value=1)
    width = serializers.FloatField(min_value=0.02, max_value=1)
    height = serializers.FloatField(min_value=0.02, max_value=1)


class AspectSerializer(serializers.Serializer[Any]):
    ratio = serializers.CharField(
        help_text="16:9, 4:3, 1:1, 21:9, 9:16 or two numbers of your own, like 3:2."
    )
    mode = serializers.ChoiceField(choices=["crop", "letterbox"], default="crop")


class GeometrySerializer(serializers.Serializer[Any]):
    """In this order: masks, crop, turning, flipping, aspect. Masks and crop are shares of the camera's own picture."""

    masks = serializers.ListField(
        child=serializers.ListField(
            child=serializers.ListField(
                child=serializers.FloatField(min_value=0, max_value=1), min_length=2, max_length=2
            ),
            min_length=3,
            max_length=50,
        ),
        max_length=20,
        default=list,
        help_text="Polygons of points [x, y]; what they enclose is black before anything is stored.",
    )
    crop = CropSerializer(allow_null=True, default=None)
    rotate = serializers.ChoiceField(choices=[0, 90, 180, 270], default=0, help_text="Degrees clockwise.")
    flip = FlipSerializer(default=dict)
    aspect = AspectSerializer(allow_null=True, default=None)

    def to_representation(self, instance: Geometry) -> dict[str, Any]:
        said = instance.to_document()
        return {
            "masks": said.get("masks", []),
            "crop": said.get("crop"),
            "rotate": instance.rotate,
            "flip": {"horizontal": instance.flip_horizontal, "vertical": instance.flip_vertical},
            "aspect": said.get("aspect"),
        }


class TestShotSerializer(serializers.Serializer[Any]):
    geometry = GeometrySerializer(required=False, help_text="Left out: the one that is saved.")


class CameraGeometryViewSet(GenericViewSet[Camera]):
    """How a camera's pictures are changed before they are stored."""

    queryset = Camera.objects.select_related("site")
    serializer_class = GeometrySerializer
    lookup_value_regex = "[0-9]+"
    filter_backends: list[Any] = []
    pagination_class = None
    deeds = {"test": roles.OPERATE}

    @extend_schema(operation_id="cameras_geometry_retrieve", responses={200: GeometrySerializer})
    def retrieve(self, request: Request, pk: str) -> Response:
        """The geometry in force."""
        return self._show(self.get_object())

    @extend_schema(
        operation_id="cameras_geometry_update",
        request=GeometrySerializer,
        responses={200: GeometrySerializer},
    )
    def update(self, request: Request, pk: str) -> Response:
        """Another geometry, whole; it counts from the next picture on. Earlier pictures stay as they are."""
        camera = self.get_object()
        framing.set_geometry(camera, _read(request.data), by=request.user.get_username())
        return self._show(camera)

    @extend_schema(operation_id="cameras_geometry_destroy", responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Pictures are stored as they come again, with nothing hidden."""
        framing.set_geometry(self.get_object(), Geometry(), by=request.user.get_username())
        return Response(status=204)

    @extend_schema(
        operation_id="cameras_geometry_test", request=TestShotSerializer, responses={202: JobSerializer}
    )
    def test(self, request: Request, pk: str) -> Response:
        """One picture before and after; nothing is saved. What a saved mask hides is hidden in both."""
        camera = self.get_object()
        if not isinstance(request.data, dict) or request.data.keys() - {"geometry"}:
            raise serializers.ValidationError({"geometry": ["Send a geometry, or nothing at all."]})
        geometry = _read(request.data.get("geometry", camera.geometry), "geometry.")
        return job_response(shots.request(camera, geometry, by=request.user.get_username()), request)

    def _show(self, camera: Camera) -> Response:
        try:
            geometry = Geometry.from_document(camera.geometry)
        except GeometryRefused as error:
            raise Conflict(
                "What is stored cannot be read, so nothing of this camera is stored. Put a geometry anew.",
                "geometry_unreadable",
            ) from error
        return Response(GeometrySerializer(geometry).data)


def _read(written: Any, under: str = "") -> Geometry:
    try:
        return Geometry.from_document(written)
    except GeometryRefused as error:
        problems = {under + path: [words] for path, words in error.problems.items()}
        raise serializers.ValidationError(problems) from None
