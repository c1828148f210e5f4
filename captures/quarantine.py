"""Discarded pictures wait to be restored, and go when their time is over; so do old evaluations."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from cameras import effective
from captures import filing, ledger
from captures.exceptions import NotRestorable
from captures.models import Capture, JudgedPicture, Timelapse
from media_jobs import audit, clock, files, housekeeping
from media_jobs.events import EventType, emit

BATCH = 500


def restore(capture: Capture, *, by: str) -> None:
    """discarded -> stored, without a flag: somebody has looked at it. Raises NotRestorable, StorageError."""
    now = clock.now()
    waiting = Capture.objects.discarded().filter(pk=capture.pk, quarantine_until__gt=now).exclude(file="")
    found = waiting.select_related("timelapse").first()
    if found is None:
        raise NotRestorable
    file = filing.frame_name(found, found.file.rpartition(".")[2])
    try:
        files.write(file, files.read(found.file))
    except FileNotFoundError as error:
        raise NotRestorable("Its file is gone from the quarantine.") from error
    with transaction.atomic():
        is_moved = waiting.filter(file=found.file).update(
            state=Capture.State.STORED,
            reason="",
            detail="",
            file=file,
            quarantine_until=None,
            is_flagged=False,
            flagged_by=by,
        )
        if is_moved:
            _count_restored(found, by, now)
    if is_moved:
        files.delete(found.file)
    elif not Capture.objects.filter(pk=capture.pk, file=file).exists():
        files.delete(file)  # it was deleted meanwhile
        raise NotRestorable


def _count_restored(capture: Capture, by: str, now: datetime) -> None:
    topic = capture.timelapse.topic
    ledger.record_thumbnails(capture)
    ledger.count_stored(capture, is_flagged=False)
    Timelapse.objects.filter(pk=capture.timelapse_id).update(
        discarded_count=F("discarded_count") - 1, frames_revision=F("frames_revision") + 1
    )
    facts = {"capture": capture.pk, "verdict": capture.verdict}
    audit.note(EventType.CAPTURE_RESTORED, topic=topic, by=by, facts=facts, now=now)
    emit(EventType.CAPTURE_RESTORED, topic, {**ledger.names_of(capture), "by": by}, now=now)


def tidy(now: datetime) -> tuple[int, int]:
    """Deletes discarded pictures whose time is over, and old evaluations. Returns how many of each."""
    before = now - timedelta(days=effective.globally().evaluation_days)
    return _empty(now), housekeeping.forget(JudgedPicture.objects.filter(at__lt=before))


def _empty(now: datetime) -> int:
    """The file first: where this ends in between the row still names it, and the next time finds it gone."""
    over = Capture.objects.discarded().filter(quarantine_until__lte=now).order_by("quarantine_until")
    emptied = 0
    while batch := list(over.values_list("pk", "file", "original")[:BATCH]):
        for _, *names in batch:
            files.delete(*names)
        gone = Capture.objects.discarded().filter(pk__in=[pk for pk, *_ in batch], quarantine_until__lte=now)
        gone.update(file="", original="", quarantine_until=None)
        emptied += len(batch)
    return emptied
