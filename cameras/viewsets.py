"""Cameras, their alerts and their sites in the API: set up, test, find streams."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db import transaction
from django.db.models import Count, OuterRef, ProtectedError, Subquery
from django.db.models.functions import Coalesce
from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ModelViewSet

from cameras import changes, connection, detection, effective
from cameras.exceptions import NothingToChoose, NotOnNetwork
from cameras.filters import AlertFilter, CameraFilter
from cameras.models import Alert, Camera, Site
from cameras.serializers import (
    AlertSerializer,
    CameraDetectSerializer,
    CameraSerializer,
    CameraTestSerializer,
    ChoiceSerializer,
    SiteSerializer,
)
from cameras.sources import AddressRefused
from media_jobs import roles
from media_jobs.events import EventType
from media_jobs.models import MediaJob
from media_jobs.serializers import JobSerializer
from media_jobs.viewsets import Conflict, job_response

_OPEN_ALERTS = (
    Alert.objects.filter(camera=OuterRef("pk"), cleared_at=None)
    .order_by()
    .values("camera")
    .annotate(count=Count("pk"))
    .values("count")
)


class CameraViewSet(ModelViewSet[Camera]):
    """Cameras, and how they have been answering."""

    queryset = (
        Camera.objects.select_related("site")
        .annotate(open_alert_count=Coalesce(Subquery(_OPEN_ALERTS), 0))
        .order_by("name", "id")
    )
    serializer_class = CameraSerializer
    filterset_class = CameraFilter
    ordering_fields = ["name", "created_at", "health", "last_success_at", "image_count"]
    lookup_value_regex = "[0-9]+"
    deeds = dict.fromkeys(["test", "test_unsaved", "detect", "detect_unsaved"], roles.OPERATE)
    conflicts = {"destroy", "test", "create", "update", "partial_update", "detect", "choose"}

    def get_serializer_context(self) -> dict[str, Any]:
        # Everybody's settings are read once for a whole list, and only where somebody asks.
        return {**super().get_serializer_context(), "said_globally": cache(effective.said_globally)}

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
        self._see_that_password_may_be_used(wish.get("camera"))
        return job_response(connection.request_test(**wish, by=request.user.get_username()), request)

    @extend_schema(request=None, responses={202: JobSerializer})
    @action(detail=True, methods=["post"])
    def detect(self, request: Request, pk: str) -> Response:
        """Looks for the camera's streams. The job's result has those that answer as `offers`, the recommended first."""
        camera = self.get_object()
        try:
            job = detection.request_for_camera(camera, by=request.user.get_username())
        except (NotOnNetwork, AddressRefused) as error:
            raise Conflict(str(error), "not_on_network") from error
        return job_response(job, request)

    @extend_schema(
        operation_id="cameras_detect_unsaved", request=CameraDetectSerializer, responses={202: JobSerializer}
    )
    @action(detail=False, methods=["post"], url_path="detect", serializer_class=CameraDetectSerializer)
    def detect_unsaved(self, request: Request) -> Response:
        """Looks for the streams of a device before it is saved."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wish: dict[str, Any] = {"password": "", "kind": Camera.Kind.RTSP} | serializer.validated_data
        self._see_that_password_may_be_used(wish.get("camera"))
        try:
            job = detection.request(**wish, by=request.user.get_username())
        except NotOnNetwork as error:
            raise ValidationError({"kind": [str(error)]}) from error
        return job_response(job, request)

    @extend_schema(request=ChoiceSerializer, responses={200: CameraSerializer})
    @action(detail=True, methods=["post"])
    def choose(self, request: Request, pk: str) -> Response:
        """Reads the camera where one of the streams that were found is; all else of it remains."""
        camera = self.get_object()
        wish = ChoiceSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        job = MediaJob.objects.filter(pk=wish.validated_data["job"]).first()
        try:
            if job is None:
                raise NothingToChoose
            detection.choose(camera, job, wish.validated_data["number"], by=request.user.get_username())
        except (NothingToChoose, AddressRefused) as error:
            raise Conflict(str(error), "nothing_to_choose") from error
        return Response(self.get_serializer(self.get_object()).data)

    def _see_that_password_may_be_used(self, camera: Camera | None) -> None:
        """Whoever tries with a stored password could send it to an address of their own."""
        if camera is not None and not roles.may(self.request.user, roles.CONFIGURE, camera):
            self.permission_denied(
                self.request, "Only those who set up cameras may test with a stored password."
            )


class AlertViewSet(mixins.RetrieveModelMixin, mixins.ListModelMixin, GenericViewSet[Alert]):
    """What somebody should look at, and when it was over: raised once, cleared once."""

    queryset = Alert.objects.order_by("-raised_at", "-id")
    serializer_class = AlertSerializer
    filterset_class = AlertFilter
    ordering_fields = ["raised_at", "cleared_at", "kind"]
    lookup_value_regex = "[0-9]+"


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
