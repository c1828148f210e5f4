"""All scheduled work in the API, and whether there is any."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.viewsets import GenericViewSet

from captures.serializers import refuse_out_of_reach
from media_jobs import clock, roles
from media_jobs.serializers import TOPIC
from timelapser.work import Item, Kind, Scheduled

WHERE = {
    Kind.SLOT: "timelapse-detail",
    Kind.CAPTURE: "capture-detail",
    Kind.JOB: "job-detail",
    Kind.ENTRY: "clock-detail",
}


class TopicField(serializers.RegexField):
    """A camera or a timelapse."""

    def __init__(self, **kwargs: Any) -> None:
        words = "`camera.<id>` (with its timelapses) or `timelapse.<id>`."
        super().__init__(rf"^{TOPIC.pattern}$", max_length=80, help_text=words, **kwargs)


class WorkQuerySerializer(serializers.Serializer[Any]):
    """Which work."""

    kind = serializers.MultipleChoiceField(choices=Kind.choices, required=False, help_text="Every kind else.")
    topic = TopicField(required=False)
    until = serializers.DateTimeField(required=False, help_text="Exclusive.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        refuse_out_of_reach(attrs, "until")
        return attrs


class TopicQuerySerializer(serializers.Serializer[Any]):
    """Whose work."""

    kind = serializers.MultipleChoiceField(choices=Kind.choices, required=False, help_text="Every kind else.")
    topic = TopicField()


class WorkSerializer(serializers.Serializer[Any]):
    """One thing that is to be done at, or as soon as possible after, `at`."""

    at = serializers.DateTimeField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    id = serializers.CharField(help_text="Of the timelapse, the capture, the job; the entry's task.")
    state = serializers.CharField()
    title = serializers.CharField()
    topic = serializers.CharField(help_text="Whose it is; empty for the clock's own.")
    requested_by = serializers.CharField()
    url = serializers.SerializerMethodField(help_text="Where more is to be had.")

    def get_url(self, item: Item) -> str:
        return reverse(WHERE[item.kind], args=[item.id], request=self.context.get("request"))


class IsScheduledSerializer(serializers.Serializer[Any]):
    """Whether anything is to be done."""

    topic = serializers.CharField()
    is_scheduled = serializers.BooleanField()
    count = serializers.IntegerField()
    next = WorkSerializer(allow_null=True)


class WorkViewSet(GenericViewSet[Any]):
    """All scheduled work: coming slots, owed captures, jobs, and the entries of the clock."""

    serializer_class = WorkSerializer
    filter_backends: list[Any] = []
    query_serializer_class: type[serializers.Serializer[Any]] | None = WorkQuerySerializer

    @extend_schema(parameters=[WorkQuerySerializer], responses={200: WorkSerializer(many=True)})
    def list(self, request: Request) -> Response:
        """The next first."""
        page = self.paginate_queryset(self._asked(request))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        operation_id="work_is_scheduled",
        parameters=[TopicQuerySerializer],
        responses={200: IsScheduledSerializer},
    )
    @action(
        detail=False,
        url_path="is-scheduled",
        pagination_class=None,
        query_serializer_class=TopicQuerySerializer,
    )
    def is_scheduled(self, request: Request) -> Response:
        """Whether anything is to be done for a camera or a timelapse, and what comes next."""
        work = self._asked(request)
        count, coming = len(work), work[:1]
        answer = {
            "topic": work.topic,
            "is_scheduled": count > 0,
            "count": count,
            "next": coming[0] if coming else None,
        }
        return Response(IsScheduledSerializer(answer, context=self.get_serializer_context()).data)

    def _asked(self, request: Request) -> Scheduled:
        assert self.query_serializer_class is not None  # noqa: S101 - both actions have one
        query = self.query_serializer_class(data=request.query_params)
        query.is_valid(raise_exception=True)
        wish: dict[str, Any] = query.validated_data
        topic = wish.get("topic", "")
        if topic and not roles.may(request.user, roles.SEE, topic):
            self.permission_denied(request)
        kinds = frozenset(map(Kind, wish.get("kind") or Kind))
        return Scheduled(clock.now(), kinds, topic, wish.get("until"))
