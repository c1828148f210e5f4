"""Who deletes what is old: events, decisions, ended jobs, previews, workers that are no more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models import Q, QuerySet

from media_jobs import files
from media_jobs.models import Decision, Event, MediaJob, Pulse

PREVIEWS = "previews"
KEEP_PREVIEWS = timedelta(days=1)
KEEP_QUIET = timedelta(hours=1)
KEEP_PULSES = timedelta(days=1)
BATCH = 1000
KEEP_MAKING = timedelta(days=1)  # nothing is in the making for so long


def prune(now: datetime) -> None:
    """Forgets what the settings allow to forget."""
    clear_leftovers(now)
    prune_jobs(now - timedelta(days=settings.KEEP_JOBS_DAYS), quiet_before=now - KEEP_QUIET)
    old = Event.objects.filter(created_at__lt=now - timedelta(hours=settings.KEEP_EVENTS_HOURS))
    newest_old = old.order_by("-id").values_list("id", flat=True).first()
    if newest_old is not None:
        forget(Event.objects.filter(id__lte=newest_old))
    forget(Decision.objects.filter(at__lt=now - timedelta(days=settings.KEEP_AUDIT_DAYS)))
    Pulse.objects.filter(kind="worker", at__lt=now - KEEP_PULSES).delete()
    for name in files.names_in(PREVIEWS):
        path = f"{PREVIEWS}/{name}"
        if default_storage.get_modified_time(path) < now - KEEP_PREVIEWS:
            default_storage.delete(path)


def prune_jobs(before: datetime, *, quiet_before: datetime, batch: int | None = None) -> int:
    """Forgets jobs that ended before `before`, quiet ones that went well before `quiet_before`. Returns how many."""
    went_well = Q(is_quiet=True, state=MediaJob.State.DONE, finished_at__lt=quiet_before)
    return forget(MediaJob.objects.ended().filter(Q(finished_at__lt=before) | went_well), batch=batch)


def forget(rows: QuerySet[Any], *, batch: int | None = None) -> int:
    """Deletes `rows` in batches, events oldest first, so that nobody waits for a long transaction. Returns how many."""
    model, forgotten = rows.model, 0
    while doomed := list(rows.order_by("pk").values_list("pk", flat=True)[: batch or BATCH]):
        model.objects.filter(pk__in=doomed).delete()
        forgotten += len(doomed)
    return forgotten


def clear_leftovers(now: datetime) -> None:
    """Removes what killed processes left in the making: also called when a worker starts."""
    files.clear_leftovers((now - KEEP_MAKING).timestamp())
