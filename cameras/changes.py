"""What people do with cameras and sites is noted, and told of cameras: created, changed, deleted."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from cameras import health
from cameras.models import Camera, Site
from media_jobs import audit, clock
from media_jobs.events import EventType, emit

# What decides how it is reached: where one of them is another, a camera that was offline may well answer.
WAY_TO_IT = frozenset(
    {"kind", "address", "transport", "username", "password", "forget_password", "remove_password"}
    | {"verify_tls", "connect_timeout_s", "deadline_s", "site", "is_enabled"}
)


def tell(type_: EventType, camera: Camera, *, by: str, changed: list[str] | None = None) -> None:
    """Notes the decision and tells those who look at the camera. `changed` are names of fields, never their values.

    A change of the way to it, or of whether it is asked at all, is one of its health, too.
    """
    facts = {"name": camera.name} | ({"changed": changed} if changed else {})
    topic = f"camera.{camera.pk}"
    with transaction.atomic():
        audit.note(type_, topic=topic, by=by, facts=facts)
        emit(type_, topic, {"camera": camera.pk, "by": by, **facts})
        if "is_enabled" in (changed or ()) and not camera.is_enabled:
            health.put_to_rest(camera.pk, clock.now(), by=by)
        elif WAY_TO_IT.intersection(changed or ()):
            health.ask_soon(camera.pk)


def switch(cameras: Iterable[Camera], *, is_on: bool, by: str) -> int:
    """Switches cameras on or off; returns how many were not so already."""
    switched = 0
    for camera in cameras:
        with transaction.atomic():
            if Camera.objects.filter(pk=camera.pk, is_enabled=not is_on).update(is_enabled=is_on):
                camera.is_enabled = is_on
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
