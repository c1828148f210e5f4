"""Jobs and events in the API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from media_jobs import events, lifecycle, roles
from media_jobs.exceptions import NotRepeatable
from media_jobs.filters import JobFilter
from media_jobs.models import MediaJob
from media_jobs.serializers import EventQuerySerializer, EventsSerializer, JobSerializer


class Conflict(APIException):
    """The state of things does not allow this."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = __doc__
    default_code = "conflict"


def job_response(job: MediaJob, request: Request, *, is_new: bool = True) -> Response:
    """202 with the job and its address; 200 where the same wish was active already."""
    return Response(
        JobSerializer(job, context={"request": request}).data,
        status=status.HTTP_202_ACCEPTED if is_new else status.HTTP_200_OK,
        headers={"Location": reverse("job-detail", args=[job.pk], request=request)},
    )


class JobViewSet(mixins.RetrieveModelMixin, mixins.ListModelMixin, GenericViewSet[MediaJob]):
    """Pieces of work: what waits, runs and has ended."""

    queryset = MediaJob.objects.order_by("-requested_at", "id")
    serializer_class = JobSerializer
    filterset_class = JobFilter
    ordering_fields = ["requested_at", "started_at", "finished_at", "priority"]
    lookup_value_regex = "[0-9a-f-]{36}"
    deeds = {"cancel": roles.OPERATE, "retry": roles.OPERATE}
    conflicts = {"cancel", "retry"}

    @extend_schema(request=None, responses={202: JobSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Ends a job that nobody works on yet; a running one stops within two seconds."""
        job = self.get_object()
        if not lifecycle.cancel(job, by=request.user.get_username()):
            raise Conflict(f"This job has ended: it is {job.state}.", "job_ended")
        job.refresh_from_db()
        return job_response(job, request)

    @extend_schema(request=None, responses={202: JobSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """The same wish once more, as a new job."""
        job = self.get_object()
        if job.is_active:
            raise Conflict("This job has not ended yet.", "job_active")
        try:
            again = lifecycle.retry(job, by=request.user.get_username())
        except NotRepeatable as error:
            raise Conflict(str(error), error.code) from error
        return job_response(again, request)


class EventsView(APIView):
    """What happened, for clients without a WebSocket and for those that were away."""

    query_serializer_class = EventQuerySerializer

    @extend_schema(
        operation_id="events_retrieve", parameters=[EventQuerySerializer], responses={200: EventsSerializer}
    )
    def get(self, request: Request) -> Response:
        """The events since the one with the given id, oldest first."""
        query = EventQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        wish: dict[str, Any] = query.validated_data
        for topic in wish["topics"]:
            if not roles.may(request.user, roles.SEE, topic):
                self.permission_denied(request)
        latest = events.latest()  # first: what appears meanwhile comes once more with the next question
        if "since" not in wish:
            return Response({"latest": latest, "complete": True, "events": []})
        found, is_complete = events.since(wish["since"], wish["topics"])
        answer = [events.as_message(event) for event in found]
        return Response({"latest": latest, "complete": is_complete, "events": answer})
