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
from captures import backfill, campaign, coverage, flags, orders, quarantine
from captures.exceptions import NotRunning
from captures.filters import CaptureFilter, TimelapseFilter, local_day
from captures.models import Capture, Schedule, Timelapse
from captures.serializers import (
    CancelledSerializer,
    CaptureSerializer,
    CoverageSerializer,
    FlagSerializer,
    ScheduleSerializer,
    SpanSerializer,
    StartSerializer,
    ThumbnailsSerializer,
    TimelapseSerializer,
)
from media_jobs import clock, roles
from media_jobs.serializers import JobSerializer
from media_jobs.viewsets import Conflict, job_response

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
    deeds = dict.fromkeys(
        (
            *("create", "partial_update", "start", "pause", "resume", "complete", "archive"),
            *("reschedule", "cancel_work", "thumbnails"),
        ),
        roles.OPERATE,
    )
    conflicts = {"destroy", *deeds} - {"create"}

    def get_queryset(self) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset()
        return rows.filter(timelapse=self.kwargs["pk"]) if self.action in {"captures", "schedules"} else rows

    def perform_destroy(self, instance: Timelapse) -> None:
        campaign.delete(instance, by=self.request.user.get_username())

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

    @extend_schema(request=None, responses={200: TimelapseSerializer})
    @action(detail=True, methods=["post"])
    def reschedule(self, request: Request, pk: str) -> Response:
        """Calculates the timetable anew from now on, also one that was put aside with an error."""
        return self._move(request, campaign.reschedule)

    @extend_schema(request=None, responses={200: CancelledSerializer})
    @action(detail=True, methods=["post"], url_path="cancel-work", url_name="cancel-work")
    def cancel_work(self, request: Request, pk: str) -> Response:
        """Cancels what is owed now, and its jobs that wait or run; the clock goes on with the next slot."""
        cancelled = campaign.cancel_work(self.get_object(), by=request.user.get_username())
        return Response(CancelledSerializer({"cancelled": cancelled}).data)

    @extend_schema(request=ThumbnailsSerializer, responses={200: JobSerializer, 202: JobSerializer})
    @action(detail=True, methods=["post"])
    def thumbnails(self, request: Request, pk: str) -> Response:
        """Makes the thumbnails that are missing, or all again, by one job that gives way to everything else."""
        wish = ThumbnailsSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        job, is_new = backfill.request_thumbnails(
            self.get_object(), by=request.user.get_username(), again=wish.validated_data["again"]
        )
        return job_response(job, request, is_new=is_new)

    @extend_schema(responses={200: ScheduleSerializer(many=True)}, filters=False)
    @action(
        detail=True,
        queryset=Schedule.objects.order_by("-from_at"),
        filterset_class=None,
        ordering_fields=["from_at"],
    )
    def schedules(self, request: Request, pk: str) -> Response:
        """The timetables that were in force, the newest first."""
        self.check_object_permissions(request, get_object_or_404(Timelapse, pk=pk))
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(ScheduleSerializer(page, many=True).data)

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
    deeds = dict.fromkeys(("thumbnail", "flag", "restore"), roles.OPERATE)
    conflicts = {"thumbnail", "flag", "restore"}

    @extend_schema(request=None, responses={200: JobSerializer, 202: JobSerializer})
    @action(detail=True, methods=["post"])
    def thumbnail(self, request: Request, pk: str) -> Response:
        """Makes the thumbnail and the small picture now, whether or not they are there: 202 with a new job."""
        capture = self.get_object()
        if capture.state != Capture.State.STORED:
            raise Conflict("There is no picture of this slot.", "no_picture")
        job, is_new = backfill.request_thumbnail(capture, by=request.user.get_username())
        return job_response(job, request, is_new=is_new)

    @extend_schema(request=FlagSerializer, responses={200: CaptureSerializer})
    @action(detail=True, methods=["post"], url_name="set-flag")
    def flag(self, request: Request, pk: str) -> Response:
        """Sets or clears the flag of a stored picture; films whose recipe leaves flagged ones out follow."""
        wish = FlagSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        flags.set_flag(self.get_object(), by=request.user.get_username(), **wish.validated_data)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None, responses={200: CaptureSerializer})
    @action(detail=True, methods=["post"], url_name="take-back")
    def restore(self, request: Request, pk: str) -> Response:
        """Takes a discarded picture back from the quarantine; it is then stored, without a flag."""
        quarantine.restore(self.get_object(), by=request.user.get_username())
        return Response(self.get_serializer(self.get_object()).data)


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
        capture = orders.request_capture(timelapse, by=request.user.get_username())
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
