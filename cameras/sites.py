"""Sites: networks of their own, whose cameras are read by the site's own workers."""

from __future__ import annotations

from django.conf import settings

from cameras.models import Camera, Site


def queues() -> list[str]:
    """Every queue that must have a worker: the fixed ones, and those of the sites that have cameras switched on."""
    cameras = Camera.objects.filter(site__isnull=False, is_enabled=True)
    needed = Site.objects.filter(pk__in=cameras.values("site")).order_by("slug")
    return [*settings.CELERY_TASK_QUEUES, *(site.capture_queue for site in needed)]
