"""Films and their posters; the revision is in the address, so each address always shows the same."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from media_jobs import roles
from media_jobs.serving import serve
from videos.models import Video
from videos.revisions import revision_file


@require_safe
def film(request: HttpRequest, pk: int, revision: int) -> HttpResponseBase:
    """One revision of a film; the newest, the one before it and those of the last minute exist."""
    video = _video(request, pk, revision)
    name = revision_file(video, revision, "mp4")
    return serve(
        request,
        name,
        content_type="video/mp4",
        etag=f"video-{pk}-{revision}",
        download_as=f"{video.name}.mp4" if request.GET.get("download") else "",
    )


@require_safe
def poster(request: HttpRequest, pk: int, revision: int) -> HttpResponseBase:
    """The picture that stands for the film."""
    video = _video(request, pk, revision)
    name = revision_file(video, revision, "jpg")
    return serve(request, name, content_type="image/jpeg", etag=f"poster-{pk}-{revision}")


def _video(request: HttpRequest, pk: int, revision: int) -> Video:
    video = Video.objects.filter(pk=pk).select_related("timelapse").first()
    if video is None or not 0 < revision <= video.revision:
        raise Http404("There is no such film.")
    if not roles.may(request.user, roles.SEE, video):
        raise PermissionDenied
    return video
