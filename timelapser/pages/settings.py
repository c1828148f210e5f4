"""The pages of settings: for all cameras, for one, for one timelapse; each value with where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from cameras import configured, observations, sky
from cameras.effective import said_globally
from cameras.models import Camera, GlobalSettings, SettingChange
from cameras.settings import Level, Line, Settings, SettingsRefused, options, outline
from captures.imaging.quality.table import DETECTORS
from captures.models import Timelapse
from media_jobs import clock, roles
from media_jobs.models import MediaJob
from media_jobs.roles import CONFIGURE, OPERATE, SEE
from timelapser.pages.access import answer, is_partial, page, show
from timelapser.pages.settings_form import Form, words_of

SHOWN_CHANGES = 30


@dataclass(frozen=True, slots=True)
class Place:
    """One level's page: whose settings, where they stand, and who may change them."""

    level: Level
    target: Any
    url: str
    deed: str
    camera: Camera | None = None
    timelapse: Timelapse | None = None

    def lines(self) -> list[Line]:
        if self.timelapse:
            return outline(said_globally(), self.timelapse.camera.said, self.target.said)
        return outline(said_globally(), self.target.said) if self.camera else outline(self.target.said)


@dataclass(frozen=True, slots=True)
class Told:
    """One change as the page tells it."""

    change: SettingChange
    label: str
    old: str
    new: str


@page(SEE, "GET", "HEAD", "POST")
def of_all(request: HttpRequest) -> HttpResponse:
    row = configured.global_row()
    return _answer(request, Place(Level.GLOBAL, row, reverse("settings"), CONFIGURE))


@page(SEE, "GET", "HEAD", "POST")
def of_camera(request: HttpRequest, pk: int) -> HttpResponse:
    camera = get_object_or_404(Camera, pk=pk)
    url = reverse("camera-settings", args=[pk])
    return _answer(request, Place(Level.CAMERA, camera, url, CONFIGURE, camera=camera))


@page(SEE, "GET", "HEAD", "POST")
def of_timelapse(request: HttpRequest, pk: int) -> HttpResponse:
    timelapse = get_object_or_404(Timelapse.objects.select_related("camera"), pk=pk)
    url = reverse("timelapse-settings", args=[pk])
    place = Place(Level.TIMELAPSE, timelapse, url, OPERATE, camera=timelapse.camera, timelapse=timelapse)
    return _answer(request, place)


@page(CONFIGURE, "GET", "HEAD", "POST")
def weather_key(request: HttpRequest) -> HttpResponse:
    """POST asks whether the provider takes the key that is saved; the part asks again by itself until that is known."""
    if request.method == "POST":
        observations.request_check(by=request.user.get_username())
        if not is_partial(request):
            return answer(
                request, "The key is being checked; its state says what came of it.", _key_on_page()
            )
    return render(request, "settings/_key.html", _key())


def _key_on_page() -> str:
    return f"{reverse('settings')}#setting-openweather_key"


def _key() -> dict[str, Any]:
    """How the key stands, and whether somebody is at it."""
    checks = MediaJob.objects.filter(task=observations.CHECK_KEY).order_by("-requested_at")
    return {"standing": sky.standing(), "check": checks.first()}


def _answer(request: HttpRequest, place: Place) -> HttpResponse:
    if request.method != "POST":
        return _show(request, place, Form(place.lines()))
    if not roles.may(request.user, place.deed, place.target):
        raise PermissionDenied
    form = Form(place.lines(), request.POST)
    try:
        changed = configured.change(
            place.level,
            place.target,
            form.wanted,
            by=request.user.get_username(),
            now=clock.now(),
            seen=form.seen,
        )
    except SettingsRefused as error:
        # What others have said meanwhile is shown; what this person wants stays typed.
        rows = type(place.target)._default_manager.filter(pk=place.target.pk)
        place.target.said = rows.values_list("said", flat=True).first() or {}
        form = Form(place.lines(), request.POST)
        form.refuse(error.problems)
        return _show(request, place, form, status=422)
    words = f"{_count(len(changed))} from the next picture on." if changed else "Nothing was changed."
    return answer(request, words, place.url)


def _count(changed: int) -> str:
    return "One setting is changed, in force" if changed == 1 else f"{changed} settings are changed, in force"


def _show(request: HttpRequest, place: Place, form: Form, *, status: int = 200) -> HttpResponse:
    context = {
        "place": place,
        "form": form,
        "may_change": roles.may(request.user, place.deed, place.target),
        "history": _history(place.target.topic),
        "detectors": DETECTORS,
        "ignored": form.fields["quality_ignored"].line.value,
    }
    if place.level == Level.GLOBAL:
        context |= _key()
    return show(request, "settings/settings.html", context, status=status)


def _history(topic: str) -> list[Told]:
    known = options(Settings)
    silent = "default" if topic == GlobalSettings().topic else "inherited"
    told = []
    for change in SettingChange.objects.filter(topic=topic)[:SHOWN_CHANGES]:
        option = known.get(change.name)
        if option is None:
            old, new = (str("" if value is None else value) for value in (change.old, change.new))
            told.append(Told(change, change.name, old, new))
        elif option.is_secret:
            told.append(Told(change, option.label, "", str(change.new)))
        else:
            old, new = (
                silent if value is None else words_of(option, value) for value in (change.old, change.new)
            )
            told.append(Told(change, option.label, old, new))
    return told
