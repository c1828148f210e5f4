"""What a camera offers: looking for its streams, and choosing one by a click."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from cameras import detection
from cameras.exceptions import NothingToChoose, NotOnNetwork
from cameras.models import Camera
from cameras.sources import AddressRefused
from media_jobs import roles
from media_jobs.models import MediaJob
from media_jobs.roles import CONFIGURE, OPERATE
from timelapser.pages.access import answer, is_partial, page
from timelapser.pages.forms import TestForm

PART = "camera/_streams.html"


@page(OPERATE, "POST")
def look(request: HttpRequest, pk: int) -> HttpResponse:
    """Looks for the streams of a saved camera."""
    camera, here = get_object_or_404(Camera, pk=pk), reverse("camera", args=[pk])
    try:
        job = detection.request_for_camera(camera, by=request.user.get_username())
    except (NotOnNetwork, AddressRefused) as error:
        return answer(request, str(error), here, is_error=True)
    if is_partial(request):
        return render(request, PART, {"streams": job, "camera": camera} | _rights(request))
    return redirect(f"{here}?streams={job.pk}#streams")


@page(OPERATE)
def result(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How a search stands; the part asks again by itself until it has ended."""
    job = get_object_or_404(MediaJob, pk=pk, task=detection.TASK)
    known = Camera.objects.filter(pk=request.GET.get("camera", "")) if _is_number(request) else None
    camera = known.first() if known is not None else None
    context = {"streams": job, "camera": camera, "in_form": "form" in request.GET}
    return render(request, PART, context | _rights(request))


@page(CONFIGURE, "POST")
def choose(request: HttpRequest, pk: int) -> HttpResponse:
    camera, here = get_object_or_404(Camera, pk=pk), reverse("camera", args=[pk])
    job, number = wish_of(request.POST.get("choose", ""))
    try:
        if job is None:
            raise NothingToChoose
        detection.choose(camera, job, number, by=request.user.get_username())
    except (NothingToChoose, AddressRefused) as error:
        return answer(request, str(error), here, is_error=True)
    return answer(request, f"“{camera.name}” is read from this stream from now on.", f"{here}#test")


def find(text: str) -> MediaJob | None:
    """The search of this id, if it is one."""
    try:
        return MediaJob.objects.filter(pk=UUID(text), task=detection.TASK).first()
    except ValueError:
        return None


def wish_of(text: str) -> tuple[MediaJob | None, int]:
    """`<search>:<number>`, as a button says it."""
    job, _, number = text.partition(":")
    return find(job), int(number) if number.isascii() and number.isdigit() and len(number) < 5 else -1


def look_for_form(form: TestForm, camera: Camera | None, *, by: str) -> MediaJob | None:
    """Looks for what a form holds, if it is ready for that; if not, its errors say why."""
    if not form.is_valid():
        return None
    names = ("kind", "address", "username", "password", "verify_tls", "site")
    try:
        return detection.request(**{name: form.cleaned_data[name] for name in names}, camera=camera, by=by)
    except NotOnNetwork as error:
        form.add_error("kind", str(error))
        return None


def filled(data: QueryDict) -> tuple[QueryDict, str]:
    """The form's data with the chosen stream in it, and what to say of that."""
    job, number = wish_of(str(data["choose"]))
    try:
        if job is None:
            raise NothingToChoose
        offer: dict[str, Any] = detection.offer_of(job, number)
    except NothingToChoose as error:
        return data, str(error)
    data = data.copy()
    for name in ("kind", "address", "transport"):
        data[name] = offer[name]
    return data, "The stream is filled in. Write the password again, if there is one, and save."


def _is_number(request: HttpRequest) -> bool:
    text = request.GET.get("camera", "")
    return text.isascii() and text.isdigit() and len(text) < 19


def _rights(request: HttpRequest) -> dict[str, bool]:
    return {"may_configure": roles.may(request.user, CONFIGURE)}
