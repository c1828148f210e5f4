"""Recipes and films in the API: render, cancel, fetch."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import ProtectedError
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from media_jobs import roles
from media_jobs.events import EventType
from media_jobs.serializers import JobSerializer
from media_jobs.viewsets import Conflict, job_response
from videos import rendering
from videos.filters import VideoFilter
from videos.models import Recipe, Video
from videos.serializers import RecipeSerializer, VideoChangeSerializer, VideoSerializer


class RecipeViewSet(ModelViewSet[Recipe]):
    """Recipes: how films look."""

    queryset = Recipe.objects.order_by("name", "id")
    serializer_class = RecipeSerializer
    ordering_fields = ["name", "fps", "height"]
    lookup_value_regex = "[0-9]+"
    conflicts = {"create", "update", "partial_update", "destroy"}

    def perform_destroy(self, instance: Recipe) -> None:
        try:
            instance.delete()
        except ProtectedError as error:
            raise Conflict(
                "Films are made by this recipe. Delete them first, or keep it.", "recipe_in_use"
            ) from error


class VideoViewSet(ModelViewSet[Video]):
    """Films."""

    queryset = Video.objects.select_related("timelapse", "recipe").order_by("-created_at", "-id")
    serializer_class = VideoSerializer
    filterset_class = VideoFilter
    ordering_fields = ["name", "created_at", "rendered_at", "bytes", "duration_s"]
    lookup_value_regex = "[0-9]+"
    http_method_names = ["get", "head", "options", "post", "patch", "delete"]
    deeds = dict.fromkeys(("create", "partial_update", "render_film", "cancel"), roles.OPERATE)
    conflicts = {"create", "destroy", "render_film"}

    def get_serializer_class(self) -> Any:
        return VideoChangeSerializer if self.action == "partial_update" else VideoSerializer

    def perform_create(self, serializer: Any) -> None:
        with transaction.atomic():
            rendering.tell(EventType.VIDEO_CREATED, serializer.save(), by=self.request.user.get_username())

    def perform_update(self, serializer: Any) -> None:
        with transaction.atomic():
            changed = sorted(serializer.validated_data)
            by = self.request.user.get_username()
            rendering.tell(EventType.VIDEO_UPDATED, serializer.save(), by=by, changed=changed)

    def perform_destroy(self, instance: Video) -> None:
        rendering.discard(instance, by=self.request.user.get_username())

    @extend_schema(
        operation_id="videos_render", request=None, responses={200: JobSerializer, 202: JobSerializer}
    )
    @action(detail=True, methods=["post"], url_path="render", url_name="render")
    def render_film(self, request: Request, pk: str) -> Response:
        """Asks for the film: 202 with a new job, 200 with the one that is at it already."""
        job, is_new = rendering.request(self.get_object(), by=request.user.get_username())
        return job_response(job, request, is_new=is_new)

    @extend_schema(request=None, responses={200: VideoSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stops the rendering within two seconds; a film that was there before stays."""
        rendering.cancel(self.get_object(), by=request.user.get_username())
        return Response(VideoSerializer(self.get_object(), context=self.get_serializer_context()).data)
