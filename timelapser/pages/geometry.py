"""The editor of a camera's geometry: drawn on a test shot, tried out, saved."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from cameras import shots
from cameras.geometry import Geometry, GeometryRefused
from cameras.models import Camera
from captures import framing
from media_jobs.exceptions import TooManyWaiting
from media_jobs.models import MediaJob
from media_jobs.roles import CONFIGURE
from timelapser.pages.access import is_partial, page, show
from timelapser.pages.geometry_form import GeometryForm

UNKNOWN_SIZE = (1600, 900)  # of a camera that nobody has seen yet: shares know no pixels


@page(CONFIGURE, "GET", "HEAD", "POST")
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    camera = get_object_or_404(Camera.objects.select_related("site"), pk=pk)
    if request.method != "POST":
        form = GeometryForm(geometry=_saved(request, camera))
        return _show(request, camera, form, _find(camera, request.GET.get("shot", "")))
    if "reset" in request.POST:
        messages.info(request, "Everything is as it comes. Nothing is saved yet.")
        return _show(request, camera, GeometryForm(geometry=Geometry()))
    form = GeometryForm(request.POST)
    is_good = form.is_valid()
    if "look" in request.POST:  # without JavaScript: the same form again, with what the shot has found
        return _show(request, camera, form, _find(camera, request.POST["look"]))
    if "shot" in request.POST:
        return _try(request, camera, form)
    if not is_good:
        return _show(request, camera, form, status=422)
    return _save(request, camera, form.geometry)


@page(CONFIGURE)
def shot(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How a test shot stands; the part asks again by itself until it has ended."""
    return render(
        request, "camera/geometry_shot.html", {"shot": get_object_or_404(MediaJob, pk=pk, task=shots.TASK)}
    )


def _try(request: HttpRequest, camera: Camera, form: GeometryForm) -> HttpResponse:
    by = request.user.get_username()
    job = shots.request(camera, form.geometry, by=by) if form.is_valid() else None
    if is_partial(request):
        return render(request, "camera/geometry_shot.html", {"shot": job, "shot_form": form})
    return _show(request, camera, form, job, status=200 if job else 422)


def _save(request: HttpRequest, camera: Camera, geometry: Geometry) -> HttpResponse:
    by = request.user.get_username()
    here = reverse("geometry-edit", args=[camera.pk])
    had_masks = camera.geometry.get("masks", [])
    if not framing.set_geometry(camera, geometry, by=by):
        messages.success(request, "It was like this already.")
        return redirect(here)
    messages.success(request, "Saved. It counts from the next picture on.")
    if camera.geometry.get("masks", []) == had_masks:
        return redirect(here)
    try:  # the shots from before were deleted with the new masks
        return redirect(f"{here}?shot={shots.request(camera, geometry, by=by).pk}")
    except TooManyWaiting:
        return redirect(here)


def _saved(request: HttpRequest, camera: Camera) -> Geometry:
    try:
        return Geometry.from_document(camera.geometry)
    except GeometryRefused:
        messages.error(
            request, "What is saved cannot be read, and no picture is stored until you save it anew."
        )
        return Geometry()


def _find(camera: Camera, text: str) -> MediaJob | None:
    try:
        return MediaJob.objects.filter(pk=UUID(text), task=shots.TASK, topic=camera.topic).first()
    except ValueError:
        return None


def _show(
    request: HttpRequest,
    camera: Camera,
    form: GeometryForm,
    job: MediaJob | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    seen = job if job is not None and job.result.get("before") else shots.newest(camera)
    width, height = seen.result["source"] if seen else UNKNOWN_SIZE
    context = {
        "camera": camera,
        "form": form,
        "shot": job or seen,
        "seen": seen,
        "width": width,
        "height": height,
        "drawing": _drawing(form.geometry, width, height),
        "has_saved_masks": bool(camera.geometry.get("masks")),
        "is_form": True,
    }
    return show(request, "camera/geometry.html", context, status=status)


def _drawing(geometry: Geometry, width: int, height: int) -> dict[str, Any]:
    """What the picture shows without JavaScript, in its pixels."""
    left, top, right, bottom = geometry.layout(width, height).box
    return {
        "masks": [" ".join(f"{x * width:.1f},{y * height:.1f}" for x, y in mask) for mask in geometry.masks],
        "crop": {"x": left, "y": top, "width": right - left, "height": bottom - top},
    }
