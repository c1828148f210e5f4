"""Cameras and their sites in the API: set up, test."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import ProtectedError
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from cameras import changes, connection
from cameras.filters import CameraFilter
from cameras.models import Camera, Site
from cameras.serializers import CameraSerializer, CameraTestSerializer, SiteSerializer
from media_jobs import roles
from media_jobs.events import EventType
from media_jobs.serializers import JobSerializer
from media_jobs.viewsets import Conflict, job_response


class CameraViewSet(ModelViewSet[Camera]):
    """Cameras, and how they have been answering."""

    queryset = Camera.objects.select_related("site").order_by("name", "id")
    serializer_class = CameraSerializer
    filterset_class = CameraFilter
    ordering_fields = ["name", "created_at", "health", "last_success_at", "image_count"]
    lookup_value_regex = "[0-9]+"
    deeds = {"test": roles.OPERATE, "test_unsaved": roles.OPERATE}
    conflicts = {"destroy", "test", "create", "update", "partial_update"}

    def perform_create(self, serializer: Any) -> None:
        with transaction.atomic():
            changes.tell(EventType.CAMERA_CREATED, serializer.save(), by=self.request.user.get_username())

    def perform_update(self, serializer: Any) -> None:
        with transaction.atomic():
            changed = sorted(serializer.validated_data)
            by = self.request.user.get_username()
            changes.tell(EventType.CAMERA_UPDATED, serializer.save(), by=by, changed=changed)

    def perform_destroy(self, instance: Camera) -> None:
        try:
            changes.delete(instance, by=self.request.user.get_username())
        except ProtectedError as error:
            raise Conflict(
                "This camera has timelapses, and they are kept. Switch the camera off instead of deleting it.",
                "camera_in_use",
            ) from error

    @extend_schema(request=None, responses={202: JobSerializer})
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Reads one picture now. The job's result says what came, or what went wrong and what helps."""
        camera = self.get_object()
        return job_response(connection.request_camera_test(camera, by=request.user.get_username()), request)

    @extend_schema(
        operation_id="cameras_test_unsaved", request=CameraTestSerializer, responses={202: JobSerializer}
    )
    @action(detail=False, methods=["post"], url_path="test", serializer_class=CameraTestSerializer)
    def test_unsaved(self, request: Request) -> Response:
        """Tests a camera before it is saved."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wish: dict[str, Any] = {"password": "", "transport": Camera.Transport.TCP, "kind": Camera.Kind.RTSP}
        wish |= serializer.validated_data
        camera = wish.get("camera")
        # Whoever tests with a stored password could send it to an address of their own.
        if camera is not None and not roles.may(request.user, roles.CONFIGURE, camera):
            self.permission_denied(request, "Only those who set up cameras may test with a stored password.")
        return job_response(connection.request_test(**wish, by=request.user.get_username()), request)


class SiteViewSet(ModelViewSet[Site]):
    """Networks of their own, whose cameras are read by the workers there alone."""

    queryset = Site.objects.order_by("name", "id")
    serializer_class = SiteSerializer
    filter_backends = []
    lookup_value_regex = "[0-9]+"
    conflicts = {"destroy"}

    def perform_create(self, serializer: Any) -> None:
        with transaction.atomic():
            changes.note_site("created", serializer.save(), by=self.request.user.get_username())

    def perform_update(self, serializer: Any) -> None:
        with transaction.atomic():
            changed = sorted(serializer.validated_data)
            by = self.request.user.get_username()
            changes.note_site("updated", serializer.save(), by=by, changed=changed)

    def perform_destroy(self, instance: Site) -> None:
        try:
            changes.delete_site(instance, by=self.request.user.get_username())
        except ProtectedError as error:
            raise Conflict("This site has cameras. Move them to another one first.", "site_in_use") from error
