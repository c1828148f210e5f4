"""What operators do about quality: leave degraded mode, learn a view anew, flag a picture, restore a discarded one."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from cameras.models import Camera
from captures import conditions, degraded, flags, quarantine
from captures.exceptions import NoPicture, NotRestorable
from captures.models import Capture
from captures.views import TYPES
from media_jobs import roles
from media_jobs.exceptions import StorageError
from media_jobs.roles import OPERATE
from media_jobs.serving import serve
from timelapser.pages.access import answer, back_to, page, surroundings
from timelapser.pages.readings import judgement_of

EVALUATION = "evaluation"  # the part of a picture's page that its flag changes


@page(OPERATE, "POST")
def leave(request: HttpRequest, pk: int) -> HttpResponse:
    """A person says that the camera is well again."""
    camera = get_object_or_404(Camera, pk=pk)
    is_left = degraded.leave(camera, by=request.user.get_username())
    words = f"“{camera.name}” has left degraded mode." if is_left else f"“{camera.name}” is not degraded."
    return answer(request, words, back_to(request, reverse("camera-quality", args=[pk])))


@page(OPERATE, "POST")
def learn(request: HttpRequest, pk: int) -> HttpResponse:
    """A person says that the camera shall look as it does now."""
    camera = get_object_or_404(Camera, pk=pk)
    conditions.learn_anew(camera, by=request.user.get_username())
    words = f"The view of “{camera.name}” is learnt anew, from the next pictures on."
    return answer(request, words, back_to(request, reverse("camera-quality", args=[pk])))


@page(OPERATE, "POST")
def flag(request: HttpRequest, pk: int, wish: str) -> HttpResponse:
    """Sets the flag (`on`) or takes it away (`off`); a picture's page gets its evaluation anew."""
    if wish not in ("on", "off"):
        raise Http404
    capture = get_object_or_404(Capture.objects.select_related("timelapse"), pk=pk)
    next_page = back_to(request, reverse("timelapse", args=[capture.timelapse_id]))
    try:
        flags.set_flag(capture, is_flagged=wish == "on", by=request.user.get_username())
    except NoPicture as error:
        return answer(request, str(error), next_page, is_error=True)
    if request.headers.get("HX-Target") == EVALUATION:
        capture.refresh_from_db()
        context = {"capture": capture, "judgement": judgement_of(capture)}
        response = render(request, "quality/_evaluation.html", surroundings(request) | context)
        response["HX-Trigger"] = "changed"
        return response
    words = "The picture is flagged: clean films leave it out." if wish == "on" else "The flag is taken away."
    return answer(request, words, next_page)


@page(OPERATE, "POST")
def restore(request: HttpRequest, pk: int) -> HttpResponse:
    """Takes a discarded picture out of the quarantine, back among the others."""
    capture = get_object_or_404(Capture.objects.select_related("timelapse"), pk=pk)
    next_page = back_to(request, reverse("camera-quality", args=[capture.timelapse.camera_id]))
    try:
        quarantine.restore(capture, by=request.user.get_username())
    except (NotRestorable, StorageError) as error:
        return answer(request, str(error), next_page, is_error=True)
    return answer(request, "The picture is restored; films use it again.", next_page)


@require_safe
def quarantined(request: HttpRequest, pk: int) -> HttpResponseBase:
    """A discarded picture, as long as it lies in the quarantine."""
    capture = Capture.objects.discarded().filter(pk=pk).exclude(file="").first()
    if capture is None:
        raise Http404("There is no such picture in the quarantine.")
    if not roles.may(request.user, roles.SEE, capture):
        raise PermissionDenied
    kind = TYPES.get(capture.file.rpartition(".")[2], "image/jpeg")
    return serve(request, capture.file, content_type=kind, etag=capture.checksum[:32], is_immutable=False)
