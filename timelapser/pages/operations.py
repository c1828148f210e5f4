"""The engine room: the queues, the workers, the clock, and what presses on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from cameras import sites
from media_jobs import clock, lifecycle, limits, queue_state, workers
from media_jobs.exceptions import NotRepeatable
from media_jobs.models import MediaJob, Pulse
from media_jobs.roles import CONFIGURE, OPERATE, SEE
from timelapser import entries
from timelapser.pages.access import answer, page, show, show_parts

PARTS = {
    "queues": "operations/_queues.html",
    "workers": "operations/_workers.html",
    "clock": "operations/_clock.html",
    "pressure": "operations/_pressure.html",
    "trouble": "operations/_trouble.html",
}
TROUBLE = (MediaJob.State.FAILED, MediaJob.State.PARKED)
TROUBLE_OF = timedelta(days=1)
SHOWN_TROUBLE = 20


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker as it last described itself."""

    name: str
    at: datetime
    facts: dict[str, Any]
    running: int
    is_clock_wrong: bool


@page(SEE)
def operations(request: HttpRequest) -> HttpResponse:
    return show(request, "operations.html", _context(clock.now()))


@page(SEE)
def parts(request: HttpRequest) -> HttpResponse:
    return show_parts(request, PARTS, _context(clock.now()))


@page(CONFIGURE, "POST")
def run_now(request: HttpRequest, task: str) -> HttpResponse:
    """Sends an entry of the clock out of its turn."""
    try:
        is_sent = entries.run_now(task, by=request.user.get_username())
    except KeyError:
        raise Http404 from None
    words = f"{task} is being run." if is_sent else "The broker does not answer; nothing was sent."
    return answer(request, words, reverse("operations"), is_error=not is_sent)


@page(OPERATE, "POST")
def retry(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Asks anew for what failed or was parked."""
    job = get_object_or_404(MediaJob, pk=pk)
    back_to = reverse("operations")
    if job.is_active or job.state not in TROUBLE:
        return answer(request, "Only what has failed can be tried again.", back_to, is_error=True)
    try:
        lifecycle.retry(job, by=request.user.get_username())
    except NotRepeatable as error:
        return answer(request, str(error), back_to, is_error=True)
    return answer(request, f"“{job.title}” is tried again.", back_to)


def _context(now: datetime) -> dict[str, Any]:
    """Each thing is asked for when a template shows it."""
    return {
        "queues": partial(_queues, now),
        "workers": partial(_workers, now),
        "entries": partial(entries.standing, now),
        "pressure": _pressure,
        "trouble": partial(_trouble, now),
    }


def _queues(now: datetime) -> list[queue_state.QueueState]:
    return queue_state.snapshot(now, sites.queues())


def _workers(now: datetime) -> list[WorkerRow]:
    return [_worker_row(pulse) for pulse in workers.alive(now)]


def _worker_row(pulse: Pulse) -> WorkerRow:
    facts = pulse.facts
    return WorkerRow(
        name=pulse.name,
        at=pulse.at,
        facts=facts,
        running=sum(facts.get("running", {}).values()),
        is_clock_wrong=abs(facts.get("clock_offset_s", 0)) > workers.CLOCKS_APART_S,
    )


def _pressure() -> list[limits.Pressure]:
    """The kinds of work that have a limit, those that press most first."""
    limited = [one for one in limits.pressure() if one.limit]
    return sorted(limited, key=lambda one: -one.waiting / one.limit)


def _trouble(now: datetime) -> list[MediaJob]:
    """What failed or was parked within a day, newest first."""
    rows = MediaJob.objects.filter(state__in=TROUBLE, finished_at__gte=now - TROUBLE_OF)
    return list(rows.order_by("-finished_at")[:SHOWN_TROUBLE])
