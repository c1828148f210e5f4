"""What people do with cameras is noted and told: created, changed, deleted."""

from __future__ import annotations

from django.db import transaction

from cameras.models import Camera
from media_jobs import audit
from media_jobs.events import EventType, emit


def tell(type_: EventType, camera: Camera, *, by: str, changed: list[str] | None = None) -> None:
    """Notes the decision and tells those who look at the camera. `changed` are names of fields, never their values."""
    facts = {"name": camera.name} | ({"changed": changed} if changed else {})
    topic = f"camera.{camera.pk}"
    with transaction.atomic():
        audit.note(type_, topic=topic, by=by, facts=facts)
        emit(type_, topic, {"camera": camera.pk, "by": by, **facts})
