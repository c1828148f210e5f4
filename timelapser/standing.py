"""How the machinery stands, in the API: the clock's entries, the queues, the workers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from cameras import sites
from captures.dispatch import SILENT_AFTER
from media_jobs import clock, queue_state, workers
from media_jobs.models import Pulse, Run
from timelapser import entries, health

TASK = OpenApiParameter(
    "task", OpenApiTypes.STR, OpenApiParameter.PATH, description="Such as `captures.plan`."
)


class BrokerAway(APIException):
    """The broker does not answer."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = __doc__
    default_code = "broker_away"


class QueueSerializer(serializers.Serializer[Any]):
    """A queue, by what the broker, the workers and the rows say."""

    name = serializers.CharField()
    depth = serializers.IntegerField(allow_null=True, help_text="Messages that wait; null: no broker.")
    oldest_s = serializers.FloatField(allow_null=True, help_text="Since when the oldest message waits.")
    jobs_waiting = serializers.IntegerField(help_text="Rows of jobs that are due in it.")
    running = serializers.IntegerField(help_text="Messages that are being worked on.")
    rate_per_min = serializers.FloatField(help_text="Messages taken in the last minute.")
    failed_jobs = serializers.IntegerField(help_text="Jobs that failed or were parked in the last hour.")
    concurrency = serializers.IntegerField(help_text="How many messages its workers can work on at once.")
    workers = serializers.ListField(child=serializers.CharField(), help_text="Those that live.")
    is_served = serializers.BooleanField()


class QueuesView(APIView):
    """The queues."""

    @extend_schema(operation_id="queues_list", responses={200: QueueSerializer(many=True)})
    def get(self, request: Request) -> Response:
        """Every queue that must have a worker, those of the sites too."""
        states = queue_state.snapshot(clock.now(), sites.queues())
        return Response(QueueSerializer(states, many=True).data)


class WorkerSerializer(serializers.Serializer[Any]):
    """A worker, by its own last sign of life. One that ended in order is not here."""

    name = serializers.CharField()
    is_alive = serializers.BooleanField()
    silent_s = serializers.FloatField()
    queues = serializers.ListField(child=serializers.CharField(), default=list)
    pool = serializers.CharField(default="", help_text="threads, prefork or solo.")
    concurrency = serializers.IntegerField(default=0)
    running = serializers.DictField(child=serializers.IntegerField(), default=dict, help_text="By queue.")
    rate_per_min = serializers.DictField(child=serializers.FloatField(), default=dict, help_text="By queue.")
    taken = serializers.IntegerField(default=0, help_text="Messages since it began.")
    host = serializers.CharField(default="")
    load = serializers.FloatField(default=None, allow_null=True, help_text="Of its machine, over a minute.")
    cores = serializers.IntegerField(default=None, allow_null=True)
    disk_free_bytes = serializers.IntegerField(default=None, allow_null=True)
    disk_total_bytes = serializers.IntegerField(default=None, allow_null=True)
    version = serializers.CharField(default="")
    begun_at = serializers.DateTimeField(default=None, allow_null=True)
    clock_offset_s = serializers.FloatField(
        default=None, allow_null=True, help_text="How far its clock is ahead of the database's."
    )
    is_clock_wrong = serializers.BooleanField(help_text=f"By more than {workers.CLOCKS_APART_S} s.")


class WorkersView(APIView):
    """The workers."""

    @extend_schema(operation_id="workers_list", responses={200: WorkerSerializer(many=True)})
    def get(self, request: Request) -> Response:
        """Every worker that lives, and those that ended without a word in the last day."""
        now = clock.now()
        rows = [
            pulse.facts
            | {
                "name": pulse.name,
                "is_alive": now - pulse.at <= workers.ALIVE_FOR,
                "silent_s": max(0.0, (now - pulse.at).total_seconds()),
                "is_clock_wrong": abs(pulse.facts.get("clock_offset_s", 0)) > workers.CLOCKS_APART_S,
            }
            for pulse in Pulse.objects.filter(kind=workers.KIND).order_by("name")
        ]
        return Response(WorkerSerializer(rows, many=True).data)


class EntrySerializer(serializers.Serializer[Any]):
    """An entry of the clock. It is switched and its period changed in the admin, under periodic tasks."""

    task = serializers.CharField()
    why = serializers.CharField()
    queue = serializers.CharField()
    every_s = serializers.FloatField()
    is_enabled = serializers.BooleanField()
    is_edited = serializers.BooleanField(help_text="An operator has changed it or switched it off.")
    last_run_at = serializers.DateTimeField(allow_null=True)
    next_run_at = serializers.DateTimeField(allow_null=True)
    took_ms = serializers.IntegerField(allow_null=True)
    longest_ms = serializers.IntegerField(allow_null=True)
    is_running = serializers.BooleanField()
    is_late = serializers.BooleanField(help_text="It should have run several times since it last did.")
    result = serializers.DictField(allow_null=True)
    error = serializers.CharField(allow_blank=True)
    runs_of_day = serializers.IntegerField()
    failures_of_day = serializers.IntegerField()


class ClockSerializer(serializers.Serializer[Any]):
    """The clock and its entries."""

    is_ticking = serializers.BooleanField(help_text="The planner ticks, so pictures are planned.")
    silent_s = serializers.FloatField(
        allow_null=True, help_text="Since its last tick; null: there never was one."
    )
    entries = EntrySerializer(many=True)


class RunSerializer(serializers.ModelSerializer[Run]):
    """What an entry did at one occurrence; entries of seconds have one for each minute."""

    class Meta:
        model = Run
        exclude = ["id", "name"]
        read_only_fields = [
            "instant",
            "runs",
            "failures",
            "started_at",
            "finished_at",
            "busy_ms",
            "longest_ms",
            "result",
            "error",
            "worker",
        ]


class ClockViewSet(GenericViewSet[Run]):
    """The clock: what it sets going, and what came of it."""

    queryset = Run.objects.order_by("-instant")
    serializer_class = RunSerializer
    filter_backends = []
    lookup_field = "task"
    lookup_value_regex = r"[a-z_]+\.[a-z_]+"

    @extend_schema(operation_id="clock_retrieve", responses={200: ClockSerializer})
    def list(self, request: Request) -> Response:
        """Whether it ticks, and how each of its entries stands."""
        now = clock.now()
        silence = health.scheduler_silence(now)
        answer = {
            "is_ticking": silence is not None and silence <= SILENT_AFTER,
            "silent_s": max(0.0, silence.total_seconds()) if silence is not None else None,
            "entries": entries.standing(now),
        }
        return Response(ClockSerializer(answer).data)

    @extend_schema(operation_id="clock_entry_retrieve", parameters=[TASK], responses={200: EntrySerializer})
    def retrieve(self, request: Request, task: str) -> Response:
        """How one entry stands."""
        found = [state for state in entries.standing(clock.now()) if state.task == task]
        if not found:
            raise NotFound
        return Response(EntrySerializer(found[0]).data)

    @extend_schema(operation_id="clock_entry_run", parameters=[TASK], request=None, responses={202: None})
    @action(detail=True, methods=["post"])
    def run(self, request: Request, task: str) -> Response:
        """Sends the entry now, out of its turn; its run appears among the others."""
        try:
            is_sent = entries.run_now(task, by=request.user.get_username())
        except KeyError:
            raise NotFound from None
        if not is_sent:
            raise BrokerAway
        return Response(status=status.HTTP_202_ACCEPTED)

    @extend_schema(
        operation_id="clock_entry_runs", parameters=[TASK], responses={200: RunSerializer(many=True)}
    )
    @action(detail=True, methods=["get"])
    def runs(self, request: Request, task: str) -> Response:
        """What the entry did, newest first, for as long as it is kept."""
        page = self.paginate_queryset(self.get_queryset().filter(name=task))
        return self.get_paginated_response(RunSerializer(page, many=True).data)
