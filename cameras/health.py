"""How a camera has been answering: each capture says so, a change is told once."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F

from cameras.models import Camera
from media_jobs.events import EventType, emit

OFFLINE_AFTER = 5
Health = Camera.Health


def note_success(camera_id: int, now: datetime) -> None:
    """A picture came: the camera is online, whatever it was."""
    was_well = Camera.objects.filter(pk=camera_id, health=Health.ONLINE, consecutive_failures=0)
    if was_well.update(last_success_at=now):
        return
    Camera.objects.filter(pk=camera_id).update(
        consecutive_failures=0, last_success_at=now, last_error="", last_error_code=""
    )
    _become(camera_id, Health.ONLINE, "", now)


def note_failure(camera_id: int, now: datetime, *, code: str, message: str) -> None:
    """No picture came: degraded from the first time on, offline from the fifth in a row."""
    Camera.objects.filter(pk=camera_id).update(
        consecutive_failures=F("consecutive_failures") + 1,
        last_failure_at=now,
        last_error_code=code,
        last_error=message,
    )
    failures = Camera.objects.values_list("consecutive_failures", flat=True).get(pk=camera_id)
    _become(camera_id, Health.OFFLINE if failures >= OFFLINE_AFTER else Health.DEGRADED, message, now)


def _become(camera_id: int, state: str, message: str, now: datetime) -> None:
    if Camera.objects.filter(pk=camera_id).exclude(health=state).update(health=state):
        payload = {"camera": camera_id, "health": state, "error": message}
        emit(EventType.CAMERA_HEALTH_CHANGED, f"camera.{camera_id}", payload, now=now)
