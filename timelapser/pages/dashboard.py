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
from timelapser.pages.drawing import PART, WHOLE, draw
from timelapser.pages.wellbeing import open_alerts

# Longer numbers are nobody's: the database cannot hold them, nor would Python read thousands of digits.
CARD = re.compile(r"camera-([0-9]{1,18})")


@page(SEE)
def dashboard(request: HttpRequest) -> HttpResponse:
    now = clock.now()
    context = {
        "cards": draw(request, cards(now), now, template=WHOLE),
        "fleet": fleet(),
        "alerts": open_alerts,
    }
    return show(request, "dashboard.html", context)


@page(SEE)
def parts(request: HttpRequest) -> HttpResponse:
    """The cards (`camera-<id>`), the summary (`fleet`), cameras' alerts and alarms (`banner`) that are asked for."""
    now = clock.now()
    asked = set(request.GET.getlist("part"))
    ids = [int(match[1]) for match in map(CARD.fullmatch, asked) if match]
    context: dict[str, Any] = surroundings(request) | {"is_swap": True}
    drawn: list[str] = []
    if ids:
        drawn += draw(request, cards(now, camera_ids=ids), now, template=PART)
    if "fleet" in asked:
        drawn.append(render_to_string("dashboard/_fleet.html", context | {"fleet": fleet()}, request=request))
    if "alerts" in asked:
        drawn.append(
            render_to_string("dashboard/_alerts.html", context | {"alerts": open_alerts}, request=request)
        )
    if "banner" in asked:
        drawn.append(render_to_string("_banner.html", context, request=request))
    return HttpResponse("".join(drawn))
