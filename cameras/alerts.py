"""What somebody should look at: told once when it begins, and once when it is over."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from cameras.models import Alert
from media_jobs import audit
from media_jobs.events import EventType, emit

Kind = Alert.Kind


def raise_alert(camera_id: int, kind: Alert.Kind, now: datetime, *, reason: str, words: str) -> bool:
    """Opens the alert. False where it is open already; it then keeps its first reason and words."""
    with transaction.atomic():
        opened = Alert(camera_id=camera_id, kind=kind, reason=reason, words=words, raised_at=now)
        # The constraint decides between two who notice at once.
        Alert.objects.bulk_create([opened], ignore_conflicts=True)
        if not Alert.objects.filter(camera_id=camera_id, kind=kind, raised_at=now, cleared_at=None).exists():
            return False
        facts = {"kind": kind.value, "reason": reason, "words": words}
        _tell(EventType.ALERT_RAISED, camera_id, facts, now, by=audit.CLOCK)
    return True


def clear(camera_id: int, kind: Alert.Kind, now: datetime, *, by: str = audit.CLOCK) -> bool:
    """Closes the alert. False where none is open."""
    with transaction.atomic():
        open_ones = Alert.objects.filter(camera_id=camera_id, kind=kind, cleared_at=None)
        if not open_ones.update(cleared_at=now, cleared_by=by):
            return False
        _tell(EventType.ALERT_CLEARED, camera_id, {"kind": kind.value}, now, by=by)
    return True


def _tell(type_: EventType, camera_id: int, facts: dict[str, str], now: datetime, *, by: str) -> None:
    topic = f"camera.{camera_id}"
    audit.note(type_, topic=topic, by=by, facts=facts, now=now)
    emit(type_, topic, {"camera": camera_id, **facts}, now=now)
