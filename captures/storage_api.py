"""Thumbnails, smalls and the files behind the rows, in the API: how it stands, and what can be done about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from captures import backfill
from captures.figures import figures
from captures.inventory import requests
from captures.inventory.requests import Deed
from captures.models import Timelapse
from captures.serializers import ThumbnailsSerializer
from media_jobs import roles
from media_jobs.serializers import JobSerializer
from media_jobs.viewsets import job_response

ANSWERS = {200: JobSerializer, 202: JobSerializer}


class FiguresSerializer(serializers.Serializer[Any]):
    """How many pictures have their small pictures, and how large all of it is; at most 15 seconds old."""

    pictures = serializers.IntegerField(help_text="Stored ones.")
    thumbnails = serializers.IntegerField()
    smalls = serializers.IntegerField()
    coverage = serializers.FloatField(
        help_text="Thumbnails of pictures, from 0 to 1; 1 where there are none."
    )
    frame_bytes = serializers.IntegerField()
    thumbnail_bytes = serializers.IntegerField()
    small_bytes = serializers.IntegerField()
    average_ms = serializers.FloatField(
        allow_null=True, help_text="To make both of one picture, lately; null where none was made."
    )


class DeepSerializer(serializers.Serializer[Any]):
    deep = serializers.BooleanField(default=False, help_text="Read every byte and compare the checksums.")


class CleanUpSerializer(serializers.Serializer[Any]):
    dry_run = serializers.BooleanField(default=True, help_text="Count the same, and delete nothing.")


class ConfirmSerializer(serializers.Serializer[Any]):
    confirm = serializers.BooleanField(help_text="True, or nothing is deleted.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["confirm"]:
            raise serializers.ValidationError({"confirm": ["Say that all of them shall be deleted."]})
        return attrs


class StorageViewSet(GenericViewSet[Any]):
    """Of all timelapses. Each deed is one job, 200 with the one that is at it already; its `result` is the report."""

    queryset = Timelapse.objects.all()
    serializer_class = FiguresSerializer
    pagination_class = None
    filter_backends = ()
    deeds = {"thumbnails": roles.OPERATE, "verify": roles.OPERATE, "clean_up": roles.OPERATE}

    def scope(self) -> Timelapse | None:
        return None

    @extend_schema(responses={200: FiguresSerializer})
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """Coverage, counts, bytes and speed."""
        found = figures(self.scope())
        return Response(FiguresSerializer(asdict(found) | {"coverage": found.coverage}).data)

    @extend_schema(request=ThumbnailsSerializer, responses=ANSWERS)
    def thumbnails(self, request: Request, **kwargs: Any) -> Response:
        """Makes the thumbnails that are missing, or all again."""
        wish = self._wish(ThumbnailsSerializer)
        job, is_new = backfill.request_thumbnails(self.scope(), by=self._by, again=wish["again"])
        return job_response(job, request, is_new=is_new)

    @extend_schema(request=DeepSerializer, responses=ANSWERS)
    def verify(self, request: Request, **kwargs: Any) -> Response:
        """Compares rows with files and files with rows; changes nothing."""
        return self._ask(Deed.VERIFY, **self._wish(DeepSerializer))

    @extend_schema(request=DeepSerializer, responses=ANSWERS)
    def repair(self, request: Request, **kwargs: Any) -> Response:
        """Puts right what verify finds; deletes no frame and no original."""
        return self._ask(Deed.REPAIR, **self._wish(DeepSerializer))

    @extend_schema(request=CleanUpSerializer, responses=ANSWERS)
    def clean_up(self, request: Request, **kwargs: Any) -> Response:
        """Deletes small pictures that no row names or that are not wanted any more; at first a rehearsal."""
        wish = self._wish(CleanUpSerializer)
        if not wish["dry_run"] and not roles.may(request.user, roles.CONFIGURE):
            self.permission_denied(request)
        return self._ask(Deed.CLEAN_UP, **wish)

    @extend_schema(request=ConfirmSerializer, responses=ANSWERS)
    def delete_thumbnails(self, request: Request, **kwargs: Any) -> Response:
        """Deletes all thumbnails and small pictures, files and rows. They can be made again."""
        self._wish(ConfirmSerializer)
        return self._ask(Deed.DELETE_ALL)

    @property
    def _by(self) -> str:
        return str(self.request.user.get_username())

    def _wish(self, form: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        wish = form(data=self.request.data)
        wish.is_valid(raise_exception=True)
        values: dict[str, Any] = wish.validated_data
        return values

    def _ask(self, deed: Deed, **wish: bool) -> Response:
        job, is_new = requests.request(deed, self.scope(), by=self._by, **wish)
        return job_response(job, self.request, is_new=is_new)


class TimelapseStorageViewSet(StorageViewSet):
    """The same of one timelapse."""

    lookup_value_regex = "[0-9]+"

    def scope(self) -> Timelapse:
        timelapse = get_object_or_404(Timelapse, pk=self.kwargs["pk"])
        self.check_object_permissions(self.request, timelapse)
        return timelapse
