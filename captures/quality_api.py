"""Quality in the API: how pictures were judged, how good those of a camera were, and a picture to try."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import IO, Any

from drf_spectacular.utils import extend_schema
from rest_framework.parsers import DataAndFiles, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError
from rest_framework.throttling import UserRateThrottle
from rest_framework.viewsets import GenericViewSet, ReadOnlyModelViewSet

from cameras import effective
from cameras.models import Camera
from captures import degraded, quality_report
from captures.filters import EvaluationFilter
from captures.imaging.errors import BrokenPicture
from captures.models import JudgedPicture
from captures.quality_serializers import (
    EvaluationSerializer,
    FleetQualitySerializer,
    LeftSerializer,
    QualityReportSerializer,
    QualitySpanSerializer,
    QualityTestSerializer,
    TrialSerializer,
)
from media_jobs import clock, roles
from media_jobs.parsing import BodyTooLarge

MOST_BYTES = 50 * 2**20
FORM_BYTES = 64 * 1024  # what a form needs around its picture
USUAL_SPAN = timedelta(days=7)


class BoundedForm(MultiPartParser):
    """A form whose files come to no more than a picture."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> DataAndFiles[Any, Any]:
        request = (parser_context or {})["request"]
        if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BYTES + FORM_BYTES:
            raise BodyTooLarge
        return super().parse(stream, media_type, parser_context)


class TrialThrottle(UserRateThrottle):
    """Each is a decode in the web's own process."""

    scope = "quality_test"
    rate = "30/min"


class EvaluationViewSet(ReadOnlyModelViewSet[JudgedPicture]):
    """How each picture was judged, and what was done about it; also those that were only taken once more."""

    queryset = JudgedPicture.objects.select_related("capture").order_by("-at", "-id")
    serializer_class = EvaluationSerializer
    filterset_class = EvaluationFilter
    ordering_fields = ["at", "score"]
    lookup_value_regex = "[0-9]+"


class CameraQualityViewSet(GenericViewSet[Camera]):
    """How good a camera's pictures were."""

    queryset = Camera.objects.all()
    serializer_class = QualityReportSerializer
    lookup_value_regex = "[0-9]+"
    filter_backends: list[Any] = []
    pagination_class = None
    query_serializer_class = QualitySpanSerializer
    deeds = {"leave_degraded": roles.OPERATE}

    @extend_schema(operation_id="cameras_quality_retrieve", parameters=[QualitySpanSerializer])
    def report(self, request: Request, pk: str) -> Response:
        """Bands, days, findings and the last bad pictures of a while; the last seven days unless it is said."""
        query = QualitySpanSerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        now = clock.now()
        until = query.validated_data.get("until", now)
        since = query.validated_data.get("since", until - USUAL_SPAN)
        found = quality_report.report(self.get_object(), since, until, now)
        return Response(QualityReportSerializer(found, context=self.get_serializer_context()).data)

    @extend_schema(
        operation_id="cameras_leave_degraded", request=None, responses={200: LeftSerializer}, parameters=[]
    )
    def leave_degraded(self, request: Request, pk: str) -> Response:
        """Says that the camera is well again, before enough good pictures have shown it."""
        has_left = degraded.leave(self.get_object(), by=request.user.get_username())
        return Response(LeftSerializer({"has_left": has_left}).data)


class QualityViewSet(GenericViewSet[Any]):
    """The quality of all cameras, and a picture to try."""

    queryset = JudgedPicture.objects.none()
    serializer_class = FleetQualitySerializer
    filter_backends: list[Any] = []
    pagination_class = None
    deeds = {"test": roles.OPERATE}

    @extend_schema(operation_id="quality_retrieve", responses={200: FleetQualitySerializer})
    def fleet(self, request: Request) -> Response:
        """All cameras at a glance."""
        return Response(FleetQualitySerializer(quality_report.fleet_report(clock.now())).data)

    @extend_schema(
        operation_id="quality_test",
        request={"multipart/form-data": QualityTestSerializer},
        responses={200: TrialSerializer},
    )
    def test(self, request: Request) -> Response:
        """Judges a picture of your own as a camera's first would be. It is kept nowhere."""
        from captures import trial  # slow import: pixels

        form = QualityTestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        upload = form.validated_data["picture"]
        if upload.size > MOST_BYTES:
            raise BodyTooLarge
        try:
            found = trial.judge(upload.read(), effective.globally())
        except BrokenPicture as error:
            raise ValidationError({"picture": [f"This cannot be judged: {error}."]}) from error
        return Response(TrialSerializer(found).data)
