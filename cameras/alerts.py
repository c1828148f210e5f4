"""What somebody should look at: told once when it begins, and once when it is over."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import IntegrityError, transaction

from cameras.models import Alert
from media_jobs import audit
from media_jobs.events import EventType, emit

Kind = Alert.Kind


def raise_alert(camera_id: int, kind: Alert.Kind, now: datetime, *, reason: str, words: str) -> bool:
    """Opens the alert. False where it is open already; it then keeps its first reason and words."""
    if Alert.objects.filter(camera_id=camera_id, kind=kind, cleared_at=None).exists():
        return False
    opened = Alert(camera_id=camera_id, kind=kind, reason=reason, words=words, raised_at=now)
    try:
        with transaction.atomic():
            opened.save(force_insert=True)
            facts = {"kind": str(kind), "reason": reason, "words": words}
            _tell(EventType.ALERT_RAISED, camera_id, facts, now, by=audit.CLOCK)
    except IntegrityError:
        return False  # two have noticed at once, and the constraint has decided between them
    return True


def clear(camera_id: int, kind: Alert.Kind, now: datetime, *, by: str = audit.CLOCK) -> bool:
    """Closes the alert. False where none is open."""
    with transaction.atomic():
        open_ones = Alert.objects.filter(camera_id=camera_id, kind=kind, cleared_at=None)
        if not open_ones.update(cleared_at=now, cleared_by=by):
            return False
        _tell(EventType.ALERT_CLEARED, camera_id, {"kind": str(kind)}, now, by=by)
    return True


def clear_all(camera_id: int, now: datetime, *, by: str, but: Collection[Alert.Kind] = ()) -> int:
    """Closes the camera's alerts of all kinds `but` these; returns how many were open."""
    return sum(clear(camera_id, kind, now, by=by) for kind in Kind if kind not in but)


def _tell(type_: EventType, camera_id: int, facts: dict[str, str], now: datetime, *, by: str) -> None:
    topic = f"camera.{camera_id}"
    audit.note(type_, topic=topic, by=by, facts=facts, now=now)
    emit(type_, topic, {"camera": camera_id, **facts}, now=now)
