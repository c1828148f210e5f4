"""All cameras at a glance."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from media_jobs import clock
from media_jobs.roles import SEE
from timelapser.pages.access import page, show, surroundings
from timelapser.pages.cards import cards, fleet

# Longer numbers are nobody's: the database cannot hold them, nor would Python read thousands of digits.
CARD = re.compile(r"camera-([0-9]{1,18})")


@page(SEE)
def dashboard(request: HttpRequest) -> HttpResponse:
    now = clock.now()
    context = {"cards": cards(now), "fleet": fleet()}
    return show(request, "dashboard.html", context)


@page(SEE)
def parts(request: HttpRequest) -> HttpResponse:
    """The cards (`camera-<id>`), the summary (`fleet`) and the alarms (`banner`) that are asked for."""
    now = clock.now()
    asked = set(request.GET.getlist("part"))
    ids = [int(match[1]) for match in map(CARD.fullmatch, asked) if match]
    context: dict[str, Any] = surroundings(request) | {"is_swap": True}
    drawn = []
    if ids:
        found = cards(now, camera_ids=ids)
        drawn += [
            render_to_string("dashboard/_card.html", context | {"card": card}, request=request)
            for card in found
        ]
    if "fleet" in asked:
        drawn.append(render_to_string("dashboard/_fleet.html", context | {"fleet": fleet()}, request=request))
    if "banner" in asked:
        drawn.append(render_to_string("_banner.html", context, request=request))
    return HttpResponse("".join(drawn))
