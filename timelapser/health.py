"""Is it alive, is it ready? For supervisors and monitors; says no more than they need, so no login is asked."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from cameras import sites
from captures.dispatch import PULSE, SILENT_AFTER
from captures.models import Capture
from media_jobs import clock, outbox, workers
from media_jobs.models import Pulse
from timelapser import entries
from timelapser.queues import QUEUES

RECENTLY = timedelta(minutes=10)
OF_THE_STORAGE = ("disk_full", "storage_unwritable", "storage_error")


@login_not_required
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """This process answers."""
    return JsonResponse({"status": "ok"})


@login_not_required
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 where pictures are being taken: database, broker, clock and every pool; else 503 and what is missing."""
    faults = find_faults()
    return JsonResponse(
        {"status": "degraded" if faults else "ok", "faults": faults}, status=503 if faults else 200
    )


def find_faults() -> list[str]:
    """What keeps the system from doing its work, in plain words."""
    try:
        now = clock.now()
        faults = []
        if outbox.queue_length(QUEUES[0]) is None:
            faults.append("The broker does not answer.")
        silent_for = scheduler_silence(now)
        if PULSE in entries.switched_off():
            faults.append("The scheduler is switched off: no pictures are planned.")
        elif silent_for is None or silent_for > SILENT_AFTER:
            faults.append("The scheduler is silent: no pictures are planned.")
        faults += [
            f"The clock of {host} is {abs(ahead_s):.1f} s {'ahead' if ahead_s > 0 else 'behind'}."
            for host, ahead_s in clocks_apart(now).items()
        ]
        faults += [f"No worker serves the queue {queue}." for queue in queues_without_worker(now)]
        if trouble := storage_trouble(now):
            faults.append(trouble)
    except DatabaseError:
        return ["The database does not answer."]
    return faults


def scheduler_silence(now: datetime) -> timedelta | None:
    """How long the planner has not ticked, or None where it never has."""
    at = Pulse.objects.filter(name=PULSE).values_list("at", flat=True).first()
    return now - at if at else None


def queues_without_worker(now: datetime) -> list[str]:
    """Also of the sites: theirs must have a worker as soon as they have a camera."""
    alive = workers.queues_alive(now)
    return [queue for queue in sites.queues() if queue not in alive]


def clocks_apart(now: datetime) -> dict[str, float]:
    """The machines whose clock is wrong, by name, and how far they are ahead of the database's, in seconds."""
    return {
        pulse.facts["host"]: pulse.facts["clock_offset_s"]
        for pulse in workers.alive(now)
        if abs(pulse.facts.get("clock_offset_s", 0)) > workers.CLOCKS_APART_S
    }


def storage_trouble(now: datetime) -> str:
    """Why pictures cannot be kept, in plain words; empty where they can."""
    free = [
        pulse.facts["disk_free_bytes"] for pulse in workers.alive(now) if "disk_free_bytes" in pulse.facts
    ]
    if free and min(free) < settings.MIN_FREE_BYTES:
        kept = settings.MIN_FREE_BYTES // 2**20
        return f"The disk is full: {min(free) // 2**20} MB are free, {kept} MB are kept free."
    recent = Capture.objects.filter(slot__gt=now - RECENTLY)
    refused = recent.filter(state=Capture.State.FAILED, reason__in=OF_THE_STORAGE).order_by("-slot").first()
    if refused is None or recent.stored().filter(slot__gt=refused.slot).exists():
        return ""
    return refused.detail
