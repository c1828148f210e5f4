"""Starting a timelapse and changing one, with a preview of what the clock will do before anything is saved."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from cameras.models import Camera
from captures import campaign, forecast
from captures.exceptions import CameraBusy, CampaignError
from captures.intervalometer import Coming
from captures.models import Timelapse
from media_jobs import clock, roles
from media_jobs.roles import OPERATE
from timelapser.pages.access import answer, page, show, surroundings
from timelapser.pages.rule_forms import with_one_more
from timelapser.pages.schedule_form import EditForm, NameForm, StartForm

SHOWN_SLOTS = 10
HISTORY = {Timelapse.State.COMPLETED.value, Timelapse.State.ARCHIVED.value}


@page(OPERATE, "GET", "HEAD", "POST")
def start(request: HttpRequest, pk: int) -> HttpResponse:
    """Starts a new timelapse; a busy camera is a 409 that offers to complete the one in the way."""
    camera = get_object_or_404(Camera, pk=pk)
    form = _start_form(request, camera)
    if request.method != "POST" or _is_question(request):
        return _show(request, form, {"camera": camera})
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
            words = f"“{timelapse.name}” has started."
            return answer(request, words, reverse("timelapse", args=[timelapse.pk]))
    return _show(request, form, {"camera": camera, "busy": busy}, status=409 if busy else 422)


@page(OPERATE, "GET", "HEAD", "POST")
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Changes a timelapse; a new schedule is in force from the next slot on."""
    timelapse = get_object_or_404(Timelapse.objects.select_related("camera"), pk=pk)
    if timelapse.state in HISTORY:
        return _rename(request, timelapse)
    name = timelapse.name
    form = _edit_form(request, timelapse)
    context = {"camera": timelapse.camera, "timelapse": timelapse, "title": name}
    if request.method != "POST" or _is_question(request):
        return _show(request, form, context)
    if form.is_valid():
        try:
            form.save(by=request.user.get_username())
        except CampaignError as error:
            form.add_error(None, str(error))
        else:
            return answer(request, f"“{timelapse.name}” is saved.", reverse("timelapse", args=[pk]))
    return _show(request, form, context, status=422)


@page(OPERATE, "POST")
def preview_start(request: HttpRequest, pk: int) -> HttpResponse:
    """What the start form's schedule would give; nothing is saved."""
    return _preview(request, _start_form(request, get_object_or_404(Camera, pk=pk)))


@page(OPERATE, "POST")
def preview_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """What the edit form's schedule would give; nothing is saved."""
    timelapse = get_object_or_404(Timelapse.objects.select_related("camera"), pk=pk)
    return _preview(request, _edit_form(request, timelapse))


def foreseen(timelapse: Timelapse) -> dict[str, Any]:
    """What is coming of a timelapse, saved or not: for the preview."""
    coming = forecast.forecast(timelapse, limit=SHOWN_SLOTS)
    has_seconds = any(isinstance(line, Coming) and line.at.second for line in coming)
    return {
        "timelapse": timelapse,
        "coming": coming,
        "clock_format": "H:i:s" if has_seconds else "H:i",  # one for all lines
        "expected": forecast.expectation(timelapse),
    }


def _preview(request: HttpRequest, form: StartForm | EditForm) -> HttpResponse:
    return render(request, "schedule/_preview.html", surroundings(request) | _look_ahead(form))


def _look_ahead(form: StartForm | EditForm) -> dict[str, Any]:
    if form.is_bound and not form.is_valid():
        return {"problems": form.problems}
    return foreseen(form.timelapse())


def _start_form(request: HttpRequest, camera: Camera) -> StartForm:
    return StartForm(_data(request), camera=camera, now=clock.now(), may_place=_may_place(request))


def _edit_form(request: HttpRequest, timelapse: Timelapse) -> EditForm:
    return EditForm(_data(request), timelapse=timelapse, now=clock.now(), may_place=_may_place(request))


def _data(request: HttpRequest) -> Any:
    """What was sent; without JavaScript “Another rule” asks for the same form with a row more."""
    if request.method != "POST":
        return None
    return with_one_more(request.POST) if "add_rule" in request.POST else request.POST


def _is_question(request: HttpRequest) -> bool:
    """Whether the form is only to be shown again: with another rule, or with its preview."""
    return bool({"add_rule", "preview"} & set(request.POST))


def _may_place(request: HttpRequest) -> bool:
    return roles.may(request.user, roles.CONFIGURE)


def _rename(request: HttpRequest, timelapse: Timelapse) -> HttpResponse:
    name = timelapse.name
    form = NameForm(request.POST or None, instance=timelapse)
    if request.method == "POST" and form.is_valid():
        campaign.change(
            Timelapse.objects.get(pk=timelapse.pk),
            by=request.user.get_username(),
            name=form.cleaned_data["name"],
        )
        words = f"“{form.cleaned_data['name']}” is saved."
        return answer(request, words, reverse("timelapse", args=[timelapse.pk]))
    context = {"form": form, "timelapse": timelapse, "camera": timelapse.camera, "title": name}
    return show(request, "schedule/name.html", context, status=422 if form.errors else 200)


def _show(
    request: HttpRequest, form: StartForm | EditForm, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    context |= {"form": form, "preview": _look_ahead(form)}
    if _is_question(request):
        form.forget_errors()
    return show(request, "schedule/form.html", context, status=status)
