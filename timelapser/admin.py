"""People, tokens and the clock's entries, in the looks of the other pages of the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat import admin as beat
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from rest_framework.authtoken.admin import TokenAdmin as DrfTokenAdmin
from rest_framework.authtoken.models import TokenProxy
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from media_jobs import clock
from media_jobs.admin import tell
from timelapser import entries
from timelapser.schedule import OURS, whole_life_s

for model in (
    User,
    Group,
    TokenProxy,
    PeriodicTask,
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    SolarSchedule,
):
    admin.site.unregister(model)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    pass


@admin.register(TokenProxy)
class TokenAdmin(DrfTokenAdmin, ModelAdmin):
    """Whose tokens there are and since when; the token itself is shown to nobody but its owner, once."""

    list_display = ["user", "created"]
    list_select_related = ["user"]
    autocomplete_fields = ["user"]


class TaskSelect(UnfoldAdminSelectWidget, beat.TaskSelectWidget):
    pass


class PeriodicTaskForm(beat.PeriodicTaskForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if entries.is_ours(self.instance):
            del self.fields["regtask"]
        else:
            self.fields["task"].widget = UnfoldAdminTextInputWidget()
            self.fields["regtask"].widget = TaskSelect()

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name.startswith(OURS):
            raise ValidationError(f"Names that begin with “{OURS}” are kept for Timelapser's own entries.")
        return name

    def clean(self) -> dict[str, Any]:
        if entries.is_ours(self.instance):
            self.cleaned_data["task"] = self.instance.task  # which the form beneath asks for; nobody edits it
        values: dict[str, Any] = super().clean()
        return values


OPEN_OF_OURS = ["enabled", "interval", "crontab", "solar"]
FIXED_OF_OURS = ["name", "task", "queue", "description", "one_off", "expire_seconds", "last_run_at"]


class EntryRows(ChangeList):
    """The list's rows, each with how its entry stands."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        standing = {f"{OURS}{state.task}": state for state in entries.standing(clock.now())}
        for row in self.result_list:
            row.standing = standing.get(row.name)


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(beat.PeriodicTaskAdmin, ModelAdmin):
    """The clock's entries: whether they run, how often, and how they have been doing."""

    form = PeriodicTaskForm
    list_select_related = ["interval", "crontab", "solar", "clocked"]
    list_display = ["name", "enabled", "interval", "last_run", "next_run", "took", "result", "failures"]
    list_editable = ["enabled"]
    list_filter = ["enabled"]
    date_hierarchy = None
    actions = ["run_now"]  # django-celery-beat's own way to run tasks is a door of its own

    def get_fieldsets(self, request: HttpRequest, obj: PeriodicTask | None = None) -> Any:
        """Of our own entries the switch and the period can be changed, and nothing else."""
        if obj is None or not entries.is_ours(obj):
            return super().get_fieldsets(request, obj)
        return [(None, {"fields": [*OPEN_OF_OURS, *FIXED_OF_OURS]})]

    def get_readonly_fields(self, request: HttpRequest, obj: PeriodicTask | None = None) -> Any:
        is_ours = obj is not None and entries.is_ours(obj)
        return FIXED_OF_OURS if is_ours else super().get_readonly_fields(request, obj)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EntryRows

    @admin.action(description="Run now", permissions=["change"])
    def run_now(self, request: HttpRequest, rows: QuerySet[PeriodicTask]) -> None:
        """By the one door that sends."""
        sent, refused = 0, []
        for row in rows:
            try:
                is_sent = entries.run_now(row.name.removeprefix(OURS), by=request.user.get_username())
            except KeyError:
                refused.append(f"“{row.name}” is no entry of Timelapser's.")
            else:
                sent += is_sent
                refused += [] if is_sent else [f"“{row.name}” was not sent: the broker does not answer."]
        tell(self, request, sent, "Asked to run", refused)

    def save_model(self, request: HttpRequest, obj: PeriodicTask, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """A changed period changes how long its messages live; beat obeys within seconds."""
        if entries.is_ours(obj) and (every_s := entries.period_of(obj)):
            obj.expire_seconds = whole_life_s(every_s)
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            deed, changed = ("updated", sorted(form.changed_data)) if change else ("created", None)
            entries.note(deed, obj, by=request.user.get_username(), changed=changed)

    def delete_model(self, request: HttpRequest, obj: PeriodicTask) -> None:
        with transaction.atomic():
            entries.note("deleted", obj, by=request.user.get_username())
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        for row in queryset:
            self.delete_model(request, row)

    @display(description="last run")
    def last_run(self, row: PeriodicTask) -> Any:
        return row.standing.last_run_at if row.standing else row.last_run_at

    @display(description="next run")
    def next_run(self, row: PeriodicTask) -> Any:
        return row.standing.next_run_at if row.standing else None

    @display(description="took")
    def took(self, row: PeriodicTask) -> str:
        took_ms = row.standing.took_ms if row.standing else None
        return "-" if took_ms is None else f"{took_ms} ms"

    @display(description="result")
    def result(self, row: PeriodicTask) -> str:
        if not row.standing:
            return "-"
        if row.standing.error:
            return str(row.standing.error)
        told = ", ".join(
            f"{name.replace('_', ' ')}: {value}" for name, value in (row.standing.result or {}).items()
        )
        return told or "-"

    @display(description="failures today", label={"none": "success", "some": "danger"})
    def failures(self, row: PeriodicTask) -> tuple[str, str]:
        failures = row.standing.failures_of_day if row.standing else 0
        return ("some" if failures else "none"), str(failures)


class PeriodAdmin(ModelAdmin):
    """A period or a calendar that entries share: whoever changes it changes all of them, so each of them is noted."""

    inlines = ()  # the entries have their own page, which notes what is done there

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            self._note(request, obj, "updated")

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        with transaction.atomic():
            self._note(request, obj, "deleted")  # they go with it
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            self.delete_model(request, row)

    def _note(self, request: HttpRequest, obj: Any, deed: str) -> None:
        for row in obj.periodictask_set.all():
            entries.note(deed, row, by=request.user.get_username(), changed=["schedule"])


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(PeriodAdmin, beat.IntervalScheduleAdmin):
    pass


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(PeriodAdmin, beat.CrontabScheduleAdmin):
    pass


@admin.register(SolarSchedule)
class SolarScheduleAdmin(PeriodAdmin, beat.ScheduleAdmin):
    pass


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(PeriodAdmin, beat.ScheduleAdmin):
    pass
