"""One camera: its newest picture, its health, its timelapses, a test of its connection."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from cameras import connection
from cameras.models import Camera
from media_jobs import clock
from media_jobs.models import MediaJob
from media_jobs.roles import OPERATE, SEE
from timelapser.pages import streams, wellbeing
from timelapser.pages.access import is_partial, page, show, show_parts
from timelapser.pages.cards import cards
from timelapser.pages.quality import recent
from timelapser.pages.skies import sky_above
from timelapser.pages.status import standing_of_timelapse

PARTS = {
    "state": "camera/_state.html",
    "health": "camera/_health.html",
    "sky": "camera/_sky.html",
    "alerts": "camera/_alerts.html",
    "uptime": "camera/_uptime.html",
    "quality": "camera/_quality.html",
    "timelapses": "camera/_timelapses.html",
}
TEST = "cameras.test_connection"
SHOWN_TIMELAPSES = 50


@page(SEE)
def camera(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Camera, pk=pk)
    context = _context(row)
    if request.GET.get("test"):
        context["test"] = _test_job(request.GET["test"])
    if request.GET.get("streams"):
        context["streams"] = streams.find(request.GET["streams"])
    return show(request, "camera.html", context)


@page(SEE)
def parts(request: HttpRequest, pk: int) -> HttpResponse:
    return show_parts(request, PARTS, _context(get_object_or_404(Camera, pk=pk)))


@page(OPERATE, "POST")
def test(request: HttpRequest, pk: int) -> HttpResponse:
    """Tests the connection of a saved camera."""
    row = get_object_or_404(Camera, pk=pk)
    job = connection.request_camera_test(row, by=request.user.get_username())
    if is_partial(request):
        return render(request, "camera/_test.html", {"test": job})
    return redirect(f"{reverse('camera', args=[pk])}?test={job.pk}#test")


@page(OPERATE)
def test_result(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How a test stands; the part asks again by itself until it has ended."""
    job = get_object_or_404(MediaJob, pk=pk, task=TEST)
    return render(request, "camera/_test.html", {"test": job})


def _test_job(text: str) -> MediaJob | None:
    try:
        return MediaJob.objects.filter(pk=UUID(text), task=TEST).first()
    except ValueError:
        return None


def _context(row: Camera) -> dict[str, Any]:
    now = clock.now()
    timelapses = list(
        row.timelapses.prefetch_related("videos").order_by("-created_at", "-pk")[:SHOWN_TIMELAPSES]
    )
    card = cards(now, camera_ids=[row.pk])[0]
    return {
        "camera": row,
        "card": card,
        "judged_camera": row,
        "quality": partial(recent, card.timelapse),
        # Asked by the parts that show them.
        "wellbeing": partial(wellbeing.wellbeing, row, now),
        "camera_alerts": partial(wellbeing.alerts_of, row),
        "uptime": partial(wellbeing.strip, row, now),
        "sky": partial(sky_above, row, now, card.timelapse.time_zone if card.timelapse else ""),
        "zone": card.timelapse.time_zone if card.timelapse else "UTC",
        "timelapses": [(timelapse, standing_of_timelapse(timelapse)) for timelapse in timelapses],
    }
