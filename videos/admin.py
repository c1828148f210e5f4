"""Films, recipes and segments in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display

from media_jobs.admin import EvidenceAdmin, picture, tell
from media_jobs.events import EventType
from videos import rendering
from videos.exceptions import VideoError
from videos.models import Recipe, Segment, Video

STATE_COLOURS = {"ready": "success", "rendering": "info", "failed": "danger", "cancelled": "warning"}


@admin.register(Recipe)
class RecipeAdmin(ModelAdmin):
    list_display = ["name", "frames", "fps", "height", "codec", "quality"]
    list_filter = ["frames", "codec", "quality"]
    search_fields = ["name"]
    ordering = ["name"]


@admin.register(Video)
class VideoAdmin(ModelAdmin):
    list_display = [
        "poster_picture",
        "name",
        "timelapse",
        "recipe",
        "shown_state",
        "follows",
        "frame_count",
        "duration_s",
        "bytes",
        "rendered_at",
        "film",
    ]
    list_display_links = ["name"]
    list_select_related = ["timelapse", "recipe"]
    list_filter = ["state", "follows", "recipe", "timelapse"]
    search_fields = ["name", "timelapse__name"]
    date_hierarchy = "created_at"
    ordering = ["-created_at"]
    actions = ["render_films", "cancel_films"]
    autocomplete_fields = ["timelapse", "recipe"]
    evidence = [
        "shown_state",
        "error",
        "frame_count",
        "omitted_count",
        "duration_s",
        "width",
        "height",
        "bytes",
        "revision",
        "created_at",
        "rendered_at",
        "film",
        "poster_picture",
    ]
    fieldsets = [
        (None, {"fields": ["name", "timelapse", "recipe"]}),
        ("Which pictures", {"fields": ["follows", "throttle_s", "from_day", "until_day"]}),
        ("What became of it", {"fields": evidence}),
    ]

    @display(description="state", ordering="state", label=STATE_COLOURS)
    def shown_state(self, video: Video) -> str:
        return video.state

    @display(description="poster")
    def poster_picture(self, video: Video) -> str:
        if not video.poster:
            return "-"
        return picture(reverse("video-poster", args=[video.pk, video.revision]))

    @display(description="film")
    def film(self, video: Video) -> str:
        if not video.file:
            return "-"
        return format_html('<a href="{}">Play</a>', reverse("video-film", args=[video.pk, video.revision]))

    def get_readonly_fields(self, request: HttpRequest, obj: Video | None = None) -> list[str]:
        fixed = ["timelapse", "recipe", "follows", "from_day", "until_day"]
        return [*self.evidence, *fixed] if obj else self.evidence

    def save_model(self, request: HttpRequest, obj: Video, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        # A render may publish meanwhile: only what was changed is written.
        facts = {"changed": sorted(form.changed_data)} if change else {}
        with transaction.atomic():
            obj.save(update_fields=form.changed_data if change else None)
            type_ = EventType.VIDEO_UPDATED if change else EventType.VIDEO_CREATED
            rendering.tell(type_, obj, by=request.user.get_username(), **facts)

    def delete_model(self, request: HttpRequest, obj: Video) -> None:
        try:
            rendering.discard(obj, by=request.user.get_username())
        except VideoError as error:
            raise PermissionDenied(str(error)) from error

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Video]) -> None:
        for video in queryset.select_related("timelapse"):
            try:
                rendering.discard(video, by=request.user.get_username())
            except VideoError as error:
                self.message_user(request, f"{video}: {error}", messages.ERROR)

    @admin.action(description="Render", permissions=["change"])
    def render_films(self, request: HttpRequest, videos: QuerySet[Video]) -> None:
        refused, asked = [], 0
        for video in videos.select_related("timelapse"):
            try:
                rendering.request(video, by=request.user.get_username())
                asked += 1
            except VideoError as error:
                refused.append(f"{video}: {error}")
        tell(self, request, asked, "Films asked for", refused)

    @admin.action(description="Cancel the rendering", permissions=["change"])
    def cancel_films(self, request: HttpRequest, videos: QuerySet[Video]) -> None:
        for video in videos:
            rendering.cancel(video, by=request.user.get_username())
        tell(self, request, len(videos), "Cancelled", [])


@admin.register(Segment)
class SegmentAdmin(EvidenceAdmin):
    list_display = ["key", "timelapse", "frame_count", "bytes", "created_at", "used_at"]
    list_select_related = ["timelapse"]
    list_filter = ["timelapse"]
    search_fields = ["key"]
    ordering = ["-used_at"]
