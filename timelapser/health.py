"""Is it alive, is it ready? For supervisors and monitors; without a login it says no more than they need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from cameras import sites
from captures.dispatch import PULSE, SILENT_AFTER
from captures.models import Capture
from media_jobs import clock, outbox, roles, workers
from media_jobs.models import Pulse
from timelapser import entries
from timelapser.queues import QUEUES

RECENTLY = timedelta(minutes=10)
OF_THE_STORAGE = ("disk_full", "storage_unwritable", "storage_error")

# What everybody may know: neither names of machines and sites nor how much room there is.
PLAIN = {
    "database_away": "The database does not answer.",
    "broker_away": "The broker does not answer.",
    "scheduler_off": "The scheduler is switched off: no pictures are planned.",
    "entry_changed": "An entry of the scheduler does not do its work.",
    "scheduler_silent": "The scheduler is silent: no pictures are planned.",
    "clock_wrong": "The clock of a machine is wrong.",
    "queue_without_worker": "No worker serves one of the queues.",
    "storage_trouble": "Pictures cannot be kept.",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What keeps the system from doing its work. `words` are for those who may look at it."""

    code: str
    words: str


@login_not_required
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """This process answers."""
    return JsonResponse({"status": "ok"})


@login_not_required
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 where pictures are being taken: database, broker, clock and every pool; else 503 and what is missing.

    Codes and plain words for everybody, details for those who may look.
    """
    found = faults()
    codes = list(dict.fromkeys(fault.code for fault in found))
    words = [fault.words for fault in found] if _may_know(request) else [PLAIN[code] for code in codes]
    answer = {"status": "degraded" if found else "ok", "codes": codes, "faults": words}
    return JsonResponse(answer, status=503 if found else 200)


def _may_know(request: HttpRequest) -> bool:
    try:
        return roles.may(request.user, roles.SEE)
    except DatabaseError:
        return False


def find_faults() -> list[str]:
    """What keeps the system from doing its work, in the words for those who may look at it."""
    return [fault.words for fault in faults()]


def faults() -> list[Fault]:
    """What keeps the system from doing its work."""
    try:
        now = clock.now()
        plain = []
        if outbox.queue_length(QUEUES[0]) is None:
            plain.append("broker_away")
        silent_for = scheduler_silence(now)
        off, astray = entries.out_of_order()
        if astray:
            plain.append("entry_changed")
        if PULSE in off:
            plain.append("scheduler_off")
        elif silent_for is None or silent_for > SILENT_AFTER:
            plain.append("scheduler_silent")
        return [*(Fault(code, PLAIN[code]) for code in plain), *_faults_of_machines(now)]
    except DatabaseError:
        return [Fault("database_away", PLAIN["database_away"])]


def _faults_of_machines(now: datetime) -> Iterable[Fault]:
    for host, ahead_s in clocks_apart(now).items():
        apart = f"{abs(ahead_s):.1f} s {'ahead' if ahead_s > 0 else 'behind'}"
        yield Fault("clock_wrong", f"The clock of {host} is {apart}.")
    for queue in queues_without_worker(now):
        yield Fault("queue_without_worker", f"No worker serves the queue {queue}.")
    if trouble := storage_trouble(now):
        yield Fault("storage_trouble", trouble)


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
