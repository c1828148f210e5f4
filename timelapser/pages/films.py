"""Films and the work on them: ask for one, render it again, cancel."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from captures.models import Timelapse
from media_jobs import clock, lifecycle
from media_jobs.events import EventType
from media_jobs.models import MediaJob
from media_jobs.roles import OPERATE
from timelapser.pages.access import answer, page, show
from timelapser.pages.forms import RenderForm
from timelapser.pages.timelapse import TimelapsePage, context_of
from videos import rendering
from videos.exceptions import VideoError
from videos.models import Video


@page(OPERATE, "POST")
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    """A new film of a timelapse, by the render form."""
    timelapse = get_object_or_404(Timelapse.objects.select_related("camera", "latest_capture"), pk=pk)
    form = RenderForm(request.POST, timelapse=timelapse)
    if form.is_valid():
        try:
            with transaction.atomic():
                video = form.save()
                rendering.tell(EventType.VIDEO_CREATED, video, by=request.user.get_username())
                rendering.request(video, by=request.user.get_username())
        except VideoError as error:
            form.add_error(None, str(error))
        else:
            return answer(request, f"“{video.name}” is being made.", _page_of(timelapse.pk))
    seen = TimelapsePage(timelapse, clock.now())
    return show(request, "timelapse.html", context_of(seen) | {"form": form}, status=422)


@page(OPERATE, "POST")
def render_again(request: HttpRequest, pk: int) -> HttpResponse:
    video = get_object_or_404(Video.objects.select_related("timelapse"), pk=pk)
    try:
        _, is_new = rendering.request(video, by=request.user.get_username())
    except VideoError as error:
        return answer(request, str(error), _page_of(video.timelapse_id), is_error=True)
    words = f"“{video.name}” is being made." if is_new else f"“{video.name}” is being made already."
    return answer(request, words, _page_of(video.timelapse_id))


@page(OPERATE, "POST")
def cancel_job(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Stops the work on a film."""
    job = get_object_or_404(MediaJob, pk=pk, task=rendering.RENDER)
    video = Video.objects.select_related("timelapse").filter(pk=job.args.get("video")).first()
    back_to = _page_of(video.timelapse_id) if video else reverse("dashboard")
    if not job.is_active:
        return answer(request, "It had ended already.", back_to)
    if video is None:
        lifecycle.cancel(job)
    else:
        rendering.cancel(video, by=request.user.get_username())
    return answer(request, "It is being cancelled.", back_to)


def _page_of(timelapse_id: int) -> str:
    return reverse("timelapse", args=[timelapse_id])
