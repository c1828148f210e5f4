"""Timelapses and captures in the API: run campaigns, look at the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.viewsets import GenericViewSet, ModelViewSet, ReadOnlyModelViewSet

from cameras.models import Camera
from captures import campaign, coverage, ledger
from captures.exceptions import NotRunning
from captures.filters import CaptureFilter, TimelapseFilter, local_day
from captures.models import Capture, Timelapse
from captures.serializers import (
    CaptureSerializer,
    CoverageSerializer,
    SpanSerializer,
    StartSerializer,
    TimelapseSerializer,
)
from media_jobs import clock, roles
from media_jobs.viewsets import Conflict

LEDGER = Capture.objects.select_related("timelapse").order_by("-slot", "-id")


class TimelapseViewSet(ModelViewSet[Timelapse]):
    """Timelapses: the permanent records of campaigns."""

    queryset = Timelapse.objects.select_related("camera", "latest_capture").order_by("-created_at", "-id")
    serializer_class = TimelapseSerializer
    filterset_class = TimelapseFilter
    ordering_fields = ["name", "created_at", "started_at", "next_slot_at", "image_count"]
    lookup_value_regex = "[0-9]+"
    http_method_names = ["get", "head", "options", "post", "patch", "delete"]
    query_serializer_class: type[SpanSerializer] | None = None
    deeds = dict.fromkeys(("start", "pause", "resume", "complete", "archive"), roles.OPERATE)
    conflicts = {"destroy", "partial_update", *deeds}

    def get_queryset(self) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset()
        return rows.filter(timelapse=self.kwargs["pk"]) if self.action == "captures" else rows

    def perform_destroy(self, instance: Timelapse) -> None:
        # Asked before the delete, which would load every protected row.
        if instance.captures.exists():
            raise Conflict("This timelapse has captures, and the ledger is kept. Archive it.", "has_captures")
        instance.delete()

    @extend_schema(request=StartSerializer, responses={200: TimelapseSerializer})
    @action(detail=True, methods=["post"])
    def start(self, request: Request, pk: str) -> Response:
        """created -> running."""
        wish = StartSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        return self._move(request, campaign.start, complete_active=wish.validated_data["complete_active"])

    @extend_schema(request=None, responses={200: TimelapseSerializer})
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """running -> paused: nothing more is owed."""
        return self._move(request, campaign.pause)

    @extend_schema(request=None, responses={200: TimelapseSerializer})
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """paused -> running, on the grid that it had."""
        return self._move(request, campaign.resume)

    @extend_schema(request=None, responses={200: TimelapseSerializer})
    @action(detail=True, methods=["post"])
    def complete(self, request: Request, pk: str) -> Response:
        """running or paused -> completed."""
        return self._move(request, campaign.complete)

    @extend_schema(request=None, responses={200: TimelapseSerializer})
    @action(detail=True, methods=["post"])
    def archive(self, request: Request, pk: str) -> Response:
        """completed, or never started -> archived."""
        return self._move(request, campaign.archive)

    @extend_schema(parameters=[SpanSerializer], responses={200: CoverageSerializer}, filters=False)
    @action(detail=True, filterset_class=None, pagination_class=None, query_serializer_class=SpanSerializer)
    def coverage(self, request: Request, pk: str) -> Response:
        """How the promise was kept in a stretch of time: today, unless it is said."""
        timelapse = self.get_object()
        query = SpanSerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        today, tomorrow = local_day(timelapse, clock.now().astimezone(timelapse.zone).date())
        start = query.validated_data.get("start", today)
        end = query.validated_data.get("end", tomorrow)
        found = coverage.coverage(timelapse, start, end)
        values = {"start": start, "end": end, "ratio": found.ratio, **asdict(found)}
        return Response(CoverageSerializer(values).data)

    @extend_schema(responses={200: CaptureSerializer(many=True)})
    @action(
        detail=True,
        queryset=LEDGER,
        serializer_class=CaptureSerializer,
        filterset_class=CaptureFilter,
        ordering_fields=["slot"],
    )
    def captures(self, request: Request, pk: str) -> Response:
        """The ledger of this timelapse, the newest slot first."""
        self.check_object_permissions(request, get_object_or_404(Timelapse, pk=pk))
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def _move(self, request: Request, move: Callable[..., None], **wish: Any) -> Response:
        timelapse = self.get_object()
        move(timelapse, by=request.user.get_username(), **wish)
        return Response(self.get_serializer(self.get_object()).data)


class CaptureViewSet(ReadOnlyModelViewSet[Capture]):
    """The ledger: one capture for each slot that was owed."""

    queryset = LEDGER
    serializer_class = CaptureSerializer
    filterset_class = CaptureFilter
    ordering_fields = ["slot", "taken_at", "lateness_ms"]
    lookup_value_regex = "[0-9]+"


class CameraPicturesViewSet(GenericViewSet[Any]):
    """What captures add to a camera: a picture now, and the newest one."""

    queryset = Camera.objects.all()
    serializer_class = CaptureSerializer
    lookup_value_regex = "[0-9]+"
    deeds = {"capture_now": roles.OPERATE}
    conflicts = {"capture_now"}

    @extend_schema(request=None, responses={202: CaptureSerializer})
    def capture_now(self, request: Request, pk: str) -> Response:
        """One picture at once, in the camera's running timelapse."""
        camera = self.get_object()
        timelapse = Timelapse.objects.active().filter(camera=camera).first()
        if timelapse is None:
            raise NotRunning("This camera has no running timelapse. Start one first.")
        capture = ledger.request_capture(timelapse, by=request.user.get_username())
        return Response(
            self.get_serializer(capture).data,
            status=status.HTTP_202_ACCEPTED,
            headers={"Location": reverse("capture-detail", args=[capture.pk], request=request)},
        )

    @extend_schema(responses={200: CaptureSerializer})
    def latest_picture(self, request: Request, pk: str) -> Response:
        """The newest picture of the camera."""
        newest = self.get_object().timelapses.filter(latest_capture__isnull=False).values("latest_capture")
        rows = Capture.objects.filter(pk__in=newest).select_related("timelapse")
        capture = rows.order_by("-slot").first()
        if capture is None:
            raise NotFound("This camera has no picture yet.")
        return Response(self.get_serializer(capture).data)
