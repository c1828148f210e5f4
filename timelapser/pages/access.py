"""What every page asks first (who are you, may you?), and how it answers: a page, a part of one, or a word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from media_jobs import clock, events, roles
from media_jobs.exceptions import TooManyWaiting
from timelapser.pages.status import alarms

View = Callable[..., HttpResponseBase]


def page(deed: str, *methods: str) -> Callable[[View], View]:
    """A view for those who may do `deed`; answers `methods` (GET and HEAD by default) and is never cached.

    Work that there is no room for is refused in words.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not roles.may(request.user, deed):
                raise PermissionDenied
            if request.method == "GET" and not is_partial(request):
                request.latest_event = events.latest()  # type: ignore[attr-defined] # before the view looks at rows
            try:
                return view(request, *args, **kwargs)
            except TooManyWaiting as error:
                return answer(request, str(error), back_to(request, reverse("dashboard")), is_error=True)

        guarded: View = never_cache(require_http_methods(methods or ("GET", "HEAD"))(checked))
        return guarded

    return decorate


def is_partial(request: HttpRequest) -> bool:
    """Whether htmx asks, for a part of a page."""
    return request.headers.get("HX-Request") == "true"


def surroundings(request: HttpRequest) -> dict[str, Any]:
    """What every page knows."""
    now = clock.now()
    return {
        "may_operate": roles.may(request.user, roles.OPERATE),
        "may_configure": roles.may(request.user, roles.CONFIGURE),
        "now": now,
        "alarms": partial(alarms, now),  # asked by the templates that show them
    }


def show(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """A whole page. It says which event it is as new as, so that the live connection goes on from there."""
    latest = getattr(request, "latest_event", None)
    latest = events.latest() if latest is None else latest
    return render(
        request, template, surroundings(request) | {"latest_event": latest} | context, status=status
    )


def show_parts(request: HttpRequest, templates: Mapping[str, str], context: dict[str, Any]) -> HttpResponse:
    """The parts that `?part=…` names and `templates` knows, one after another, each to be swapped in by its id.

    The alarms are a part of every page.
    """
    everything = surroundings(request) | {"is_swap": True} | context
    asked = dict.fromkeys(request.GET.getlist("part"))
    known = {"banner": "_banner.html"} | dict(templates)
    drawn = [render_to_string(known[name], everything, request=request) for name in asked if name in known]
    return HttpResponse("".join(drawn))


def back_to(request: HttpRequest, otherwise: str) -> str:
    """The page that the button was on, if it says so and is one of ours."""
    wanted = request.POST.get("next", "")
    if wanted and url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}):
        return wanted
    return otherwise


def answer(request: HttpRequest, words: str, back_to: str, *, is_error: bool = False) -> HttpResponse:
    """What a deed says: a toast for htmx, which then fetches what has changed; else a redirect with a message."""
    level = messages.ERROR if is_error else messages.SUCCESS
    if not is_partial(request):
        messages.add_message(request, level, words)
        return redirect(back_to)
    toast = {"words": words, "level": "error" if is_error else "success"}
    response = render(request, "_toast_swap.html", toast)
    response["HX-Trigger"] = "changed"
    return response
