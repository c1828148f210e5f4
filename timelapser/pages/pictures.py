"""The strip of a timelapse's pictures, and one picture large."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.dateparse import parse_datetime

from cameras.sky import in_short
from captures.effective import of_timelapse
from captures.models import Capture, Timelapse
from media_jobs.roles import SEE
from timelapser.pages.access import is_partial, page, show, surroundings
from timelapser.pages.readings import judgement_of

STRIP = 24


def newest(
    timelapse: Timelapse, *, before: datetime | None = None, flagged: bool = False
) -> tuple[list[Capture], bool]:
    """A page of the strip, newest first, and whether there are older ones; of all, or of the flagged alone."""
    rows = _shown(timelapse, flagged=flagged)
    if before is not None:
        rows = rows.filter(slot__lt=before)
    found = list(rows[: STRIP + 1])
    return found[:STRIP], len(found) > STRIP


def is_flagged_only(query: Mapping[str, str]) -> bool:
    """Whether an address asks for flagged pictures alone."""
    return query.get("show") == "flagged"


def _shown(timelapse: Timelapse, *, flagged: bool) -> QuerySet[Capture]:
    rows = timelapse.captures.stored().order_by("-slot")
    return rows.filter(is_flagged=True) if flagged else rows


@page(SEE)
def strip(request: HttpRequest, pk: int) -> HttpResponse:
    """Older pictures (`before`) with the button for more, or those that are newer (`after`): list items for htmx.

    Without htmx `before` gives a whole page of them.
    """
    timelapse = get_object_or_404(Timelapse.objects.select_related("camera"), pk=pk)
    before, after = _moment(request, "before"), _moment(request, "after")
    flagged = is_flagged_only(request.GET)
    if after is not None:
        captures, has_more = list(_shown(timelapse, flagged=flagged).filter(slot__gt=after)[:STRIP]), False
    else:
        captures, has_more = newest(timelapse, before=before, flagged=flagged)
    # With neither it is the first look of a strip that was empty: what came since, and no button.
    context = {
        "timelapse": timelapse,
        "captures": captures,
        "is_flagged_only": flagged,
        "has_more": has_more and (before is not None or not is_partial(request)),
    }
    if is_partial(request):
        return render(request, "timelapse/_strip_items.html", context)
    return show(request, "timelapse/strip.html", context)


@page(SEE)
def picture(request: HttpRequest, pk: int) -> HttpResponse:
    """One picture with its facts: a page, or what the viewer shows."""
    capture = get_object_or_404(Capture.objects.stored().select_related("timelapse__camera"), pk=pk)
    row = Capture.objects.stored().filter(timelapse=capture.timelapse_id)
    context = {
        "capture": capture,
        "timelapse": capture.timelapse,
        "judgement": judgement_of(capture),
        "weather": in_short(capture.weather, of_timelapse(capture.timelapse).settings.temperature_unit),
        "earlier": row.filter(slot__lt=capture.slot).order_by("-slot").values_list("pk", flat=True).first(),
        "later": row.filter(slot__gt=capture.slot).order_by("slot").values_list("pk", flat=True).first(),
    }
    if is_partial(request):
        return render(request, "timelapse/_picture.html", surroundings(request) | context)
    return show(request, "timelapse/picture.html", context)


def _moment(request: HttpRequest, name: str) -> datetime | None:
    text = request.GET.get(name, "")
    if not text:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Http404("That is no moment.")
    return moment
