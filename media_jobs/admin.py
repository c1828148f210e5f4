"""Jobs, events and signs of life in the admin: evidence, to look at."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import BooleanField, Case, QuerySet, When
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display

from media_jobs import clock, lifecycle
from media_jobs.exceptions import NotRepeatable
from media_jobs.models import Decision, Event, MediaJob, Pulse, Run
from media_jobs.workers import ALIVE_FOR


class EvidenceAdmin(ModelAdmin):
    """What the system has written about itself: it can be read, and nobody can add to it or change it."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """For actions, which do something without changing what is written: those who may change the model."""
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")


def tell(admin_: ModelAdmin, request: HttpRequest, done: int, words: str, refused: list[str]) -> None:
    """Says how many were done, and why others were not."""
    if done:
        admin_.message_user(request, f"{words}: {done}.", messages.SUCCESS)
    for reason in refused:
        admin_.message_user(request, reason, messages.ERROR)


def picture(url: str, *, width: int = 80) -> str:
    return format_html('<img src="{}" width="{}" loading="lazy" alt="">', url, width)


@admin.register(MediaJob)
class MediaJobAdmin(EvidenceAdmin):
    list_display = [
        "title",
        "shown_state",
        "shown_progress",
        "task",
        "topic",
        "requested_by",
        "requested_at",
        "attempt",
        "error",
    ]
    list_filter = ["state", "priority", "task", "is_quiet"]
    search_fields = ["title", "topic", "error", "correlation_id", "requested_by"]
    ordering = ["-requested_at"]
    actions = ["cancel", "retry"]
    # The arguments can hold a sealed password, and the list of needs can be long.
    exclude = ["args", "needs", "result"]
    readonly_fields = ["shown_result", "shown_progress", "preview"]

    @display(description="state", ordering="state", label=True)
    def shown_state(self, job: MediaJob) -> str:
        return job.state

    @display(description="progress")
    def shown_progress(self, job: MediaJob) -> str:
        if not job.progress_total:
            return "-"
        return f"{job.progress_done} of {job.progress_total} {job.progress_unit} ({job.percent} %)"

    @display(description="result")
    def shown_result(self, job: MediaJob) -> str:
        return format_html("<pre>{}</pre>", json.dumps(job.result, indent=2))

    @display(description="preview")
    def preview(self, job: MediaJob) -> str:
        return picture(reverse("job-preview", args=[job.pk]), width=480) if job.result.get("preview") else "-"

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[MediaJob]) -> None:
        by = request.user.get_username()
        refused = [f"“{job.title}” has ended already." for job in jobs if not lifecycle.cancel(job, by=by)]
        tell(self, request, len(jobs) - len(refused), "Cancelled", refused)

    @admin.action(description="Do again", permissions=["operate"])
    def retry(self, request: HttpRequest, jobs: QuerySet[MediaJob]) -> None:
        refused = [f"“{job.title}” has not ended yet." for job in jobs if job.is_active]
        for job in [job for job in jobs if not job.is_active]:
            try:
                lifecycle.retry(job, by=request.user.get_username())
            except NotRepeatable as error:
                refused.append(f"“{job.title}”: {error}")
        tell(self, request, len(jobs) - len(refused), "Asked for again", refused)


@admin.register(Event)
class EventAdmin(EvidenceAdmin):
    list_display = ["id", "type", "topic", "created_at", "payload"]
    list_filter = ["type"]
    search_fields = ["topic"]
    search_help_text = "A topic, such as timelapse.3"
    ordering = ["-id"]


@admin.register(Decision)
class DecisionAdmin(EvidenceAdmin):
    list_display = ["at", "action", "rule", "topic", "by", "facts", "correlation_id"]
    list_filter = ["action", "by"]
    search_fields = ["topic", "correlation_id"]
    search_help_text = "A topic, such as timelapse.3, or the id of a deed"
    ordering = ["-id"]


@admin.register(Pulse)
class PulseAdmin(EvidenceAdmin):
    list_display = ["name", "kind", "at", "is_alive", "facts"]
    list_filter = ["kind"]
    search_fields = ["name"]
    ordering = ["kind", "name"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Pulse]:
        is_alive = Case(When(at__gte=clock.now() - ALIVE_FOR, then=True), default=False)
        rows: QuerySet[Pulse] = super().get_queryset(request)
        return rows.annotate(is_heard=Cast(is_alive, BooleanField()))

    @display(description="alive", boolean=True)
    def is_alive(self, pulse: Pulse) -> bool:
        return bool(pulse.is_heard)  # type: ignore[attr-defined] # annotated above


@admin.register(Run)
class RunAdmin(EvidenceAdmin):
    list_display = [
        "name",
        "instant",
        "runs",
        "failures",
        "started_at",
        "longest_ms",
        "result",
        "error",
        "worker",
    ]
    list_filter = ["name"]
    search_fields = ["name"]
    search_help_text = "An entry of the clock, such as captures.sweep"
    ordering = ["-instant", "name"]
