"""Cameras in the admin: the password goes in, and is never drawn again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldBooleanWidget

from cameras import changes, connection, health
from cameras.models import Alert, Camera, GlobalSettings, SettingChange, Site, Weather, one_line
from cameras.settings import outline
from cameras.sources import AddressRefused, SourceKind
from cameras.sources.addresses import validate_address
from media_jobs.admin import EvidenceAdmin, tell
from media_jobs.events import EventType

HEALTH_COLOURS = {"online": "success", "degraded": "warning", "offline": "danger", "unknown": "info"}


class CameraForm(forms.ModelForm):
    password = forms.CharField(
        validators=[one_line],
        required=False,
        strip=False,
        max_length=500,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="Kept sealed and never shown. Left empty, it stays as it is.",
    )
    remove_password = forms.BooleanField(
        required=False, widget=UnfoldBooleanWidget, help_text="The camera asks for none any more."
    )

    class Meta:
        model = Camera
        exclude: list[str] = []

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if values.get("kind") and values.get("address"):
            try:
                values["address"] = validate_address(
                    SourceKind(values["kind"]),
                    values["address"],
                    allow_loopback=settings.ALLOW_LOOPBACK_CAMERAS,
                    folders=settings.CAMERA_FOLDERS,
                )
            except AddressRefused as error:
                self.add_error("address", str(error))
        if values.get("password") and values.get("remove_password"):
            self.add_error("remove_password", "Either write a new password or remove the old one.")
        return values

    def save(self, commit: bool = True) -> Camera:  # noqa: FBT001 - Django's signature
        if self.cleaned_data["remove_password"]:
            self.instance.set_password("")
        elif self.cleaned_data["password"]:
            self.instance.set_password(self.cleaned_data["password"])
        camera: Camera = super().save(commit=commit)
        return camera


@admin.register(Camera)
class CameraAdmin(ModelAdmin):
    form = CameraForm
    list_display = [
        "name",
        "kind",
        "shown_address",
        "is_enabled",
        "shown_health",
        "last_success_at",
        "image_count",
    ]
    list_filter = ["kind", "health", "is_enabled", "site"]
    search_fields = ["name", "address", "notes"]
    ordering = ["name"]
    actions = ["test_connection", "enable", "disable"]
    readonly_fields = [
        "has_password",
        "shown_health",
        "health_since",
        "consecutive_failures",
        "last_success_at",
        "last_failure_at",
        "last_error",
        "shown_advice",
        "image_count",
        "created_at",
    ]
    fieldsets = [
        (None, {"fields": ["name", "kind", "address", "is_enabled", "notes"]}),
        ("Where it is", {"fields": ["site", "latitude", "longitude"]}),
        ("Login", {"fields": ["username", "password", "has_password", "remove_password"]}),
        ("Reading", {"fields": ["transport", "verify_tls", "connect_timeout_s", "deadline_s"]}),
        ("How it has been answering", {"fields": readonly_fields[1:]}),
    ]

    @display(description="health", ordering="health", label=HEALTH_COLOURS)
    def shown_health(self, camera: Camera) -> tuple[str, str]:
        return camera.health, camera.get_health_display()

    @display(description="what helps")
    def shown_advice(self, camera: Camera) -> str:
        return health.advice_for(camera.last_error_code)

    @display(description="has a password", boolean=True)
    def has_password(self, camera: Camera) -> bool:
        return camera.has_password

    @display(description="address", ordering="address")
    def shown_address(self, camera: Camera) -> str:
        return camera.shown_address

    def get_fieldsets(self, request: HttpRequest, obj: Camera | None = None) -> Any:
        """In full it is shown only where it is written: its query can hold a password."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        fields = ["name", "kind", "shown_address", "is_enabled", "notes"]
        return [(None, {"fields": fields}), *fieldsets[1:]]

    def get_readonly_fields(self, request: HttpRequest, obj: Camera | None = None) -> list[str]:
        return [*self.readonly_fields, "shown_address"]

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        # What can be searched can be guessed, letter by letter.
        return self.search_fields if self.has_change_permission(request) else ["name", "notes"]

    def save_model(self, request: HttpRequest, obj: Camera, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        # Only what people write: workers count pictures and failures in the same row meanwhile.
        written = [name for name in form.cleaned_data if name not in {"password", "remove_password"}]
        with transaction.atomic():
            obj.save(update_fields=[*written, "sealed_password"] if change else None)
            type_ = EventType.CAMERA_UPDATED if change else EventType.CAMERA_CREATED
            changed = sorted(form.changed_data) if change else None
            changes.tell(type_, obj, by=request.user.get_username(), changed=changed)

    def delete_model(self, request: HttpRequest, obj: Camera) -> None:
        changes.delete(obj, by=request.user.get_username())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Camera]) -> None:
        for camera in queryset:
            self.delete_model(request, camera)

    @admin.action(description="Test the connection", permissions=["change"])
    def test_connection(self, request: HttpRequest, cameras: QuerySet[Camera]) -> None:
        for camera in cameras:
            connection.request_camera_test(camera, by=request.user.get_username())
        tell(self, request, len(cameras), "Tests asked for; the jobs say what came", [])

    @admin.action(description="Switch on", permissions=["change"])
    def enable(self, request: HttpRequest, cameras: QuerySet[Camera]) -> None:
        switched = changes.switch(cameras, is_on=True, by=request.user.get_username())
        tell(self, request, switched, "Switched on", [])

    @admin.action(description="Switch off", permissions=["change"])
    def disable(self, request: HttpRequest, cameras: QuerySet[Camera]) -> None:
        switched = changes.switch(cameras, is_on=False, by=request.user.get_username())
        tell(self, request, switched, "Switched off", [])


@admin.register(Site)
class SiteAdmin(ModelAdmin):
    """Networks of their own; docs/operations.md says how their workers are started."""

    list_display = ["name", "slug", "capture_queue"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}

    def get_readonly_fields(self, request: HttpRequest, obj: Site | None = None) -> list[str]:
        return ["slug"] if obj else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: Site | None = None) -> dict[str, Any]:
        return {} if obj else self.prepopulated_fields

    def save_model(self, request: HttpRequest, obj: Site, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            deed, changed = ("updated", sorted(form.changed_data)) if change else ("created", None)
            changes.note_site(deed, obj, by=request.user.get_username(), changed=changed)

    def delete_model(self, request: HttpRequest, obj: Site) -> None:
        changes.delete_site(obj, by=request.user.get_username())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Site]) -> None:
        for site in queryset:
            self.delete_model(request, site)


@admin.register(GlobalSettings)
class GlobalSettingsAdmin(EvidenceAdmin):
    """To look at: settings are changed on their pages, where each field is checked and noted."""

    list_display = ["__str__", "what_is_set"]
    exclude = ["said"]  # its secrets are sealed, and shown to nobody
    readonly_fields = ["what_is_set"]

    @display(description="what is set")
    def what_is_set(self, row: GlobalSettings) -> str:
        lines = [line for line in outline(row.said) if line.is_set]
        told = ((line.option.label, "set" if line.option.is_secret else line.own) for line in lines)
        return format_html_join("", "<div>{}: {}</div>", told) or "-"


@admin.register(SettingChange)
class SettingChangeAdmin(EvidenceAdmin):
    list_display = ["at", "by", "topic", "name", "old", "new"]
    list_filter = ["level", "name"]
    search_fields = ["topic", "by"]
    search_help_text = "A topic, such as camera.3, or a login"
    ordering = ["-at", "-id"]


@admin.register(Alert)
class AlertAdmin(EvidenceAdmin):
    list_display = ["camera", "kind", "reason", "words", "raised_at", "cleared_at", "cleared_by"]
    list_select_related = ["camera"]
    list_filter = ["kind", "camera"]
    search_fields = ["camera__name", "words"]
    ordering = ["-raised_at", "-id"]


@admin.register(Weather)
class WeatherAdmin(EvidenceAdmin):
    list_display = [
        "place",
        "provider",
        "temperature_c",
        "condition",
        "observed_at",
        "fetched_at",
        "failures",
        "last_error",
        "ask_after",
    ]
    list_filter = ["provider"]
    search_fields = ["place"]
    ordering = ["place"]
