"""Signs of life: each worker writes a row every ten seconds; who is silent is not counted."""

from __future__ import annotations

import os
import shutil
import threading
import time
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections

from media_jobs import clock
from media_jobs.models import Pulse

EVERY_S = 10
ALIVE_FOR = timedelta(seconds=30)

log = structlog.get_logger(__name__)


def beat_for_ever(hostname: str, queues: list[str]) -> None:
    """Starts the thread that says that this worker lives."""
    threading.Thread(target=_beat, args=(hostname, queues), name="pulse", daemon=True).start()


def queues_alive(now: datetime) -> set[str]:
    """The queues that have a living worker."""
    rows = Pulse.objects.filter(kind="worker", at__gte=now - ALIVE_FOR).values_list("facts", flat=True)
    return {queue for facts in rows for queue in facts.get("queues", [])}


def _beat(hostname: str, queues: list[str]) -> None:
    while True:
        try:
            close_old_connections()
            facts = {"queues": queues, "pid": os.getpid(), "load": os.getloadavg()[0], **_disk()}
            Pulse.objects.update_or_create(
                name=hostname, defaults={"kind": "worker", "at": clock.now(), "facts": facts}
            )
        except DatabaseError as error:
            log.warning("pulse_lost", error=type(error).__name__)
        time.sleep(EVERY_S)


def _disk() -> dict[str, int]:
    try:
        usage = shutil.disk_usage(settings.MEDIA_ROOT)
    except OSError:
        return {}
    return {"disk_free_bytes": usage.free, "disk_total_bytes": usage.total}
