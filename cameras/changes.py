"""What people do with cameras and sites is noted, and told of cameras: created, changed, deleted."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from cameras.models import Camera, Site
from media_jobs import audit
from media_jobs.events import EventType, emit


def tell(type_: EventType, camera: Camera, *, by: str, changed: list[str] | None = None) -> None:
    """Notes the decision and tells those who look at the camera. `changed` are names of fields, never their values."""
    facts = {"name": camera.name} | ({"changed": changed} if changed else {})
    topic = f"camera.{camera.pk}"
    with transaction.atomic():
        audit.note(type_, topic=topic, by=by, facts=facts)
        emit(type_, topic, {"camera": camera.pk, "by": by, **facts})


def switch(cameras: Iterable[Camera], *, is_on: bool, by: str) -> int:
    """Switches cameras on or off; returns how many were not so already."""
    switched = 0
    for camera in cameras:
        with transaction.atomic():
            if Camera.objects.filter(pk=camera.pk, is_enabled=not is_on).update(is_enabled=is_on):
                tell(EventType.CAMERA_UPDATED, camera, by=by, changed=["is_enabled"])
                switched += 1
    return switched


def delete(camera: Camera, *, by: str) -> None:
    """Raises ProtectedError where it has timelapses."""
    with transaction.atomic():
        tell(EventType.CAMERA_DELETED, camera, by=by)
        camera.delete()


def note_site(deed: str, site: Site, *, by: str, changed: list[str] | None = None) -> None:
    """Notes that a site was "created", "updated" or "deleted", in the caller's transaction."""
    facts = {"name": site.name} | ({"changed": changed} if changed else {})
    audit.note(f"site_{deed}", topic=f"site.{site.slug}", by=by, facts=facts)


def delete_site(site: Site, *, by: str) -> None:
    """Raises ProtectedError where it has cameras."""
    with transaction.atomic():
        note_site("deleted", site, by=by)
        site.delete()
