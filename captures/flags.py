"""A flag on a stored picture: clean films leave it out."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F

from captures import ledger
from captures.exceptions import NoPicture
from captures.models import Capture, Timelapse
from media_jobs import audit, clock
from media_jobs.events import EventType


def set_flag(capture: Capture, *, is_flagged: bool, by: str, reason: str = "") -> bool:
    """Sets or clears it, and lets the films follow. False where it was so already. Raises NoPicture."""
    now = clock.now()
    stored = Capture.objects.stored().filter(pk=capture.pk)
    with transaction.atomic():
        if not stored.filter(is_flagged=not is_flagged).update(is_flagged=is_flagged, flagged_by=by):
            if not stored.exists():
                raise NoPicture
            return False
        Timelapse.objects.filter(pk=capture.timelapse_id).update(
            flagged_count=F("flagged_count") + (1 if is_flagged else -1),
            frames_revision=F("frames_revision") + 1,
        )
        facts = {"capture": capture.pk, "is_flagged": is_flagged, "reason": reason}
        audit.note(EventType.CAPTURE_FLAGGED, topic=capture.timelapse.topic, by=by, facts=facts, now=now)
        ledger.tell_flagged(capture, is_flagged=is_flagged, by=by, now=now)
    return True
