"""One camera: its newest picture, its health, its timelapses, and the start of a new one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from cameras import connection
from cameras.models import Camera
from captures.exceptions import CameraBusy, CampaignError
from captures.models import Timelapse
from media_jobs import clock
from media_jobs.models import MediaJob
from media_jobs.roles import OPERATE, SEE
from timelapser.pages.access import answer, is_partial, page, show, show_parts
from timelapser.pages.cards import cards
from timelapser.pages.forms import StartForm
from timelapser.pages.status import advice_for, standing_of_timelapse

PARTS = {
    "state": "camera/_state.html",
    "health": "camera/_health.html",
    "timelapses": "camera/_timelapses.html",
}
TEST = "cameras.test_connection"
SHOWN_TIMELAPSES = 50


@page(SEE)
def camera(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Camera, pk=pk)
    context = _context(row) | {"form": StartForm(camera=row, now=clock.now())}
    if request.GET.get("test"):
        context["test"] = _test_job(request.GET["test"])
    return show(request, "camera.html", context)


@page(SEE)
def parts(request: HttpRequest, pk: int) -> HttpResponse:
    return show_parts(request, PARTS, _context(get_object_or_404(Camera, pk=pk)))


@page(OPERATE, "POST")
def start(request: HttpRequest, pk: int) -> HttpResponse:
    """Starts a new timelapse; a busy camera is a 409 that offers to complete the one in the way."""
    row = get_object_or_404(Camera, pk=pk)
    form = StartForm(request.POST, camera=row, now=clock.now())
    busy: Timelapse | None = None
    if form.is_valid():
        try:
            timelapse = form.start(
                by=request.user.get_username(), complete_active=bool(request.POST.get("complete_active"))
            )
        except CameraBusy as error:
            busy = error.active
        except CampaignError as error:
            form.add_error(None, str(error))
        else:
            return answer(
                request, f"“{timelapse.name}” has started.", reverse("timelapse", args=[timelapse.pk])
            )
    status = 409 if busy else 422
    return show(request, "camera.html", _context(row) | {"form": form, "busy": busy}, status=status)


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
    return {
        "camera": row,
        "card": cards(now, camera_ids=[row.pk])[0],
        "advice": advice_for(row.last_error_code),
        "timelapses": [(timelapse, standing_of_timelapse(timelapse)) for timelapse in timelapses],
    }
