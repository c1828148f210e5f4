"""Timelapses and the ledger in the admin, and what they add to a camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from cameras.admin import CameraAdmin
from cameras.models import Camera
from captures import backfill, campaign, orders, plan_form
from captures.exceptions import CampaignError, NotRunning
from captures.models import Capture, Gap, Schedule, Timelapse
from captures.reasons import REASONS
from media_jobs.admin import EvidenceAdmin, picture, tell

STATE_COLOURS = {
    "running": "success",
    "stored": "success",
    "paused": "warning",
    "missed": "warning",
    "discarded": "warning",
    "skipped": "info",
    "failed": "danger",
}
HISTORY = {Timelapse.State.COMPLETED, Timelapse.State.ARCHIVED}

admin.site.unregister(Camera)


@admin.register(Camera)
class CameraWithPicturesAdmin(CameraAdmin):
    """A camera, its newest picture, and the wish for another one."""

    list_display = ["newest_picture", *CameraAdmin.list_display]
    list_display_links = ["name"]
    actions = [*CameraAdmin.actions, "capture_now"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Camera]:
        newest = (
            Timelapse.objects.filter(camera=OuterRef("pk"), latest_capture__isnull=False)
            .order_by("-latest_capture__slot")
            .values("latest_capture")[:1]
        )
        rows: QuerySet[Camera] = super().get_queryset(request)
        return rows.annotate(newest_capture_id=Subquery(newest))

    @display(description="newest picture")
    def newest_picture(self, camera: Camera) -> str:
        pk = camera.newest_capture_id  # type: ignore[attr-defined] # annotated above
        return picture(reverse("capture-picture", args=[pk, "thumbnail"])) if pk else "-"

    @admin.action(description="Take a picture now", permissions=["change"])
    def capture_now(self, request: HttpRequest, cameras: QuerySet[Camera]) -> None:
        active = {timelapse.camera_id: timelapse for timelapse in Timelapse.objects.active()}
        refused, asked = [], 0
        for camera in cameras:
            try:
                if camera.pk not in active:
                    raise NotRunning("it has no running timelapse.")
                orders.request_capture(active[camera.pk], by=request.user.get_username())
                asked += 1
            except CampaignError as error:
                refused.append(f"{camera}: {error}")
        tell(self, request, asked, "Pictures asked for", refused)


class ScheduleInline(TabularInline):
    model = Schedule
    extra = 0
    fields = ["from_at", "until_at", "words"]
    readonly_fields = fields
    can_delete = False
    verbose_name_plural = "schedules that were in force"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Timelapse)
class TimelapseAdmin(ModelAdmin):
    form = plan_form.TimelapseForm
    list_display = [
        "newest_picture",
        "name",
        "camera",
        "shown_state",
        "words",
        "image_count",
        "next_slot_at",
        "started_at",
        "schedule_error",
    ]
    list_display_links = ["name"]
    list_select_related = ["camera"]
    list_filter = ["state", "camera"]
    search_fields = ["name", "camera__name"]
    date_hierarchy = "created_at"
    ordering = ["-created_at"]
    actions = [
        "start",
        "start_completing",
        "pause",
        "resume",
        "complete",
        "reschedule",
        "cancel_work",
        "make_thumbnails",
    ]
    autocomplete_fields = ["camera"]
    inlines = [ScheduleInline]
    evidence = [
        "shown_state",
        "image_count",
        "next_slot_at",
        "schedule_error",
        "created_at",
        "started_at",
        "completed_at",
        "newest_picture",
    ]
    fieldsets = [
        (None, {"fields": ["camera", "name"]}),
        (
            "When",
            {
                "fields": [
                    "plan",
                    "start_at",
                    "end_at",
                    "stop_after_days",
                    "stop_after_captures",
                    "time_zone",
                    "preview",
                ]
            },
        ),
        ("What became of it", {"fields": evidence}),
    ]

    @display(description="state", ordering="state", label=STATE_COLOURS)
    def shown_state(self, timelapse: Timelapse) -> str:
        return timelapse.state

    @display(description="newest picture")
    def newest_picture(self, timelapse: Timelapse) -> str:
        pk = timelapse.latest_capture_id
        return picture(reverse("capture-picture", args=[pk, "thumbnail"])) if pk else "-"

    @display(description="what comes")
    def preview(self, timelapse: Timelapse) -> str:
        return plan_form.preview(timelapse)

    def get_readonly_fields(self, request: HttpRequest, obj: Timelapse | None = None) -> list[str]:
        fixed = [*self.evidence, "preview"]
        if obj is not None:
            fixed.append("camera")
            if obj.state != Timelapse.State.CREATED:
                fixed.append("start_at")
            if obj.state in HISTORY:
                fixed += ["plan", "end_at", "stop_after_days", "stop_after_captures", "time_zone"]
        return fixed

    def has_delete_permission(self, request: HttpRequest, obj: Timelapse | None = None) -> bool:
        """Pictures are kept: only what has none can go, and only one at a time."""
        if obj is None or obj.captures.stored().exists():
            return False
        return bool(super().has_delete_permission(request, obj))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes with it, which nobody can delete by itself: slots without pictures, and what was asked for it."""
        listed, counts, _, _ = super().get_deleted_objects(objs, request)
        return listed, counts, set(), []

    def delete_model(self, request: HttpRequest, obj: Timelapse) -> None:
        try:
            campaign.delete(obj, by=request.user.get_username())
        except CampaignError as error:
            raise PermissionDenied(str(error)) from error

    def save_model(self, request: HttpRequest, obj: Timelapse, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        if not change:
            campaign.create(obj, by=request.user.get_username())
            return
        wanted = {name: form.cleaned_data[name] for name in form.changed_data}
        try:
            campaign.change(Timelapse.objects.get(pk=obj.pk), by=request.user.get_username(), **wanted)
        except CampaignError as error:
            self.message_user(request, f"Not changed: {error}", messages.ERROR)

    @admin.action(description="Start", permissions=["change"])
    def start(self, request: HttpRequest, timelapses: QuerySet[Timelapse]) -> None:
        self._move(request, timelapses, campaign.start, "Started")

    @admin.action(
        description="Start, and complete the one that keeps the camera busy", permissions=["change"]
    )
    def start_completing(self, request: HttpRequest, timelapses: QuerySet[Timelapse]) -> None:
        self._move(request, timelapses, campaign.start, "Started", complete_active=True)

    @admin.action(description="Pause", permissions=["change"])
    def pause(self, request: HttpRequest, timelapses: QuerySet[Timelapse]) -> None:
        self._move(request, timelapses, campaign.pause, "Paused")

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, timelapses: QuerySet[Timelapse]) -> None:
        self._move(request, timelapses, campaign.resume, "Resumed")

    @admin.action(description="Complete", permissions=["change"])
    def complete(self, request: HttpRequest, timelapses: QuerySet[Timelapse]) -> None:
        self._move(request, timelapses, campaign.complete, "Completed")

    @admin.action(description="Calculate the schedule anew", permissions=["change"])
    def reschedule(self, request: HttpRequest, timelapses: QuerySet[Timelapse]) -> None:
        self._move(request, timelapses, campaign.reschedule, "Calculated anew")

    @admin.action(description="Cancel what is owed, waits and runs", permissions=["change"])
    def cancel_work(self, request: HttpRequest, timelapses: QuerySet[Timelapse]) -> None:
        by = request.user.get_username()
        cancelled = sum(campaign.cancel_work(timelapse, by=by) for timelapse in timelapses)
        self.message_user(request, f"Captures and jobs cancelled: {cancelled}.", messages.SUCCESS)

    @admin.action(description="Make missing thumbnails", permissions=["change"])
    def make_thumbnails(self, request: HttpRequest, timelapses: QuerySet[Timelapse]) -> None:
        by = request.user.get_username()
        jobs = [backfill.request_thumbnails(timelapse, by=by)[0] for timelapse in timelapses]
        self.message_user(request, f"Timelapses whose thumbnails are made: {len(jobs)}.", messages.SUCCESS)

    def _move(
        self,
        request: HttpRequest,
        timelapses: QuerySet[Timelapse],
        move: Callable[..., None],
        words: str,
        **wish: bool,
    ) -> None:
        refused, moved = [], 0
        for timelapse in timelapses.select_related("camera"):
            try:
                move(timelapse, by=request.user.get_username(), **wish)
                moved += 1
            except CampaignError as error:
                refused.append(f"{timelapse}: {error}")
        tell(self, request, moved, words, refused)


class ReasonFilter(admin.SimpleListFilter):
    """The reasons that there are, without a look through the whole ledger."""

    title = "reason"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(code, code.replace("_", " ")) for code in REASONS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Capture]) -> QuerySet[Capture]:
        return queryset.filter(reason=self.value()) if self.value() else queryset


@admin.register(Capture)
class CaptureAdmin(EvidenceAdmin):
    list_display = [
        "thumbnail_picture",
        "slot",
        "timelapse",
        "shown_state",
        "reason",
        "rule",
        "lateness_ms",
        "duration_ms",
        "bytes",
        "origin",
        "requested_by",
        "day_number",
    ]
    list_display_links = ["slot"]
    list_select_related = ["timelapse"]
    list_filter = ["state", ReasonFilter, "origin", "timelapse"]
    search_fields = ["timelapse__name", "checksum", "correlation_id"]
    # By number, which is the order in which slots were planned: the slot alone has no index of its own.
    ordering = ["-id"]
    readonly_fields = ["full_picture"]

    @display(description="state", ordering="state", label=STATE_COLOURS)
    def shown_state(self, capture: Capture) -> str:
        return capture.state

    @display(description="picture")
    def thumbnail_picture(self, capture: Capture) -> str:
        if capture.state != Capture.State.STORED:
            return "-"
        return picture(reverse("capture-picture", args=[capture.pk, "thumbnail"]))

    @display(description="picture")
    def full_picture(self, capture: Capture) -> str:
        if capture.state != Capture.State.STORED:
            return "-"
        return picture(reverse("capture-picture", args=[capture.pk, "small"]), width=640)


@admin.register(Schedule)
class ScheduleAdmin(EvidenceAdmin):
    list_display = ["timelapse", "from_at", "until_at", "words"]
    list_select_related = ["timelapse"]
    list_filter = ["timelapse"]
    search_fields = ["timelapse__name"]
    ordering = ["-from_at"]


@admin.register(Gap)
class GapAdmin(EvidenceAdmin):
    list_display = ["timelapse", "from_at", "until_at", "reason"]
    list_select_related = ["timelapse"]
    search_fields = ["timelapse__name"]
    ordering = ["-from_at"]
