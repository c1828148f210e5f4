"""What operators do with a timelapse: start, pause, resume, complete, archive, capture now, and what goes with it."""

from __future__ import annotations

from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from captures import backfill, campaign, orders
from captures.exceptions import CampaignError
from captures.models import Timelapse
from media_jobs.roles import OPERATE
from timelapser.pages.access import answer, back_to, page

MOVES: dict[str, tuple[Callable[..., None], str]] = {
    "start": (campaign.start, "“{}” has started."),
    "pause": (campaign.pause, "“{}” is paused."),
    "resume": (campaign.resume, "“{}” goes on."),
    "complete": (campaign.complete, "“{}” is completed."),
    "archive": (campaign.archive, "“{}” is archived."),
    "reschedule": (campaign.reschedule, "The schedule of “{}” was calculated anew."),
}


@page(OPERATE, "POST")
def move(request: HttpRequest, pk: int, move: str) -> HttpResponse:
    if move not in MOVES:
        raise Http404
    timelapse = get_object_or_404(Timelapse, pk=pk)
    act, words = MOVES[move]
    try:
        act(timelapse, by=request.user.get_username())
    except CampaignError as error:
        return answer(request, str(error), back(request, timelapse), is_error=True)
    return answer(request, words.format(timelapse.name), back(request, timelapse))


@page(OPERATE, "POST")
def capture_now(request: HttpRequest, pk: int) -> HttpResponse:
    timelapse = get_object_or_404(Timelapse, pk=pk)
    try:
        orders.request_capture(timelapse, by=request.user.get_username())
    except CampaignError as error:
        return answer(request, str(error), back(request, timelapse), is_error=True)
    return answer(request, "A picture is being taken.", back(request, timelapse))


@page(OPERATE, "POST")
def cancel_work(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancels what is owed, waiting and being made; what the clock owes later is not touched."""
    timelapse = get_object_or_404(Timelapse, pk=pk)
    count = campaign.cancel_work(timelapse, by=request.user.get_username())
    words = f"{count} piece{'' if count == 1 else 's'} of work cancelled." if count else "There was no work."
    return answer(request, words, back(request, timelapse))


@page(OPERATE, "POST")
def make_thumbnails(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks for the thumbnails that are missing; they are made when there is nothing better to do."""
    timelapse = get_object_or_404(Timelapse, pk=pk)
    _, is_new = backfill.request_thumbnails(timelapse, by=request.user.get_username())
    words = "The missing thumbnails are being made." if is_new else "They are being made already."
    return answer(request, words, back(request, timelapse))


def back(request: HttpRequest, timelapse: Timelapse) -> str:
    return back_to(request, reverse("timelapse", args=[timelapse.pk]))
