"""Adding and editing a camera, with a test of the connection before anything is saved."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from cameras import changes, connection
from cameras.models import Camera, Site
from captures import campaign
from media_jobs.events import EventType
from media_jobs.models import MediaJob
from media_jobs.roles import CONFIGURE
from timelapser.pages import streams
from timelapser.pages.access import answer, is_partial, page, show
from timelapser.pages.forms import CameraForm, TestForm, without_login


@page(CONFIGURE, "GET", "HEAD", "POST")
def add(request: HttpRequest) -> HttpResponse:
    return _edit(request, None)


@page(CONFIGURE, "GET", "HEAD", "POST")
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    return _edit(request, get_object_or_404(Camera, pk=pk))


def _edit(request: HttpRequest, camera: Camera | None) -> HttpResponse:
    if request.method != "POST":
        return _show(request, CameraForm(instance=camera), camera)
    data = without_login(request.POST)
    if "test" in data:
        return _test(request, data, camera)
    if "streams" in data:
        return _look_for_streams(request, data, camera)
    if "choose" in data:
        data, words = streams.filled(data)
        messages.info(request, words)
        return _show(request, CameraForm(data, instance=camera), camera, errors=False)
    form = CameraForm(data, instance=camera)
    if "look_streams" in data:
        found = streams.find(str(data["look_streams"]))
        return _show(request, form, camera, streams=found, errors=False)
    if "look" in data:  # without JavaScript: the same form again, with what its test has found
        return _show(request, form, camera, test=_find(str(data["look"])), errors=False)
    if not form.is_valid():
        return _show(request, form, camera, status=422)
    with transaction.atomic():
        saved = form.save()
        type_ = EventType.CAMERA_UPDATED if camera else EventType.CAMERA_CREATED
        changes.tell(type_, saved, by=request.user.get_username(), changed=form.changed_data)
    if form.has_moved:
        campaign.reschedule_of_camera(saved, by=request.user.get_username())
    words = f"“{saved.name}” is saved." if camera else f"“{saved.name}” is added. Start its first timelapse."
    return answer(request, words, reverse("camera", args=[saved.pk]))


def _test(request: HttpRequest, data: Any, camera: Camera | None) -> HttpResponse:
    form = TestForm(data, instance=camera)
    job = None
    if form.is_valid():
        job = connection.request_test(**form.source(), by=request.user.get_username(), camera=camera)
    if is_partial(request):
        return render(request, "camera/_test.html", {"test": job, "test_form": form})
    shown = CameraForm(data, instance=camera)
    return _show(request, shown, camera, test=job, test_form=form, errors=job is None)


def _look_for_streams(request: HttpRequest, data: Any, camera: Camera | None) -> HttpResponse:
    form = TestForm(data, instance=camera)
    job = streams.look_for_form(form, camera, by=request.user.get_username())
    context = {"streams": job, "camera": camera, "in_form": True, "may_configure": True}
    if is_partial(request):
        return render(request, streams.PART, context | {"test_form": form})
    shown = CameraForm(data, instance=camera)
    return _show(request, shown, camera, streams=job, streams_form=form, errors=job is None)


def _find(text: str) -> MediaJob | None:
    try:
        return MediaJob.objects.filter(pk=UUID(text), task="cameras.test_connection").first()
    except ValueError:
        return None


def _show(
    request: HttpRequest,
    form: CameraForm,
    camera: Camera | None,
    *,
    errors: bool = True,
    status: int = 200,
    **context: Any,
) -> HttpResponse:
    if form.is_bound and not errors:
        form.errors.clear()
    # Validation has written into the row; what the page says of it comes from the database.
    saved = Camera.objects.get(pk=camera.pk) if camera else None
    return show(
        request,
        "camera_form.html",
        {"form": form, "camera": saved, "has_test": True, "has_sites": Site.objects.exists()} | context,
        status=status,
    )
