"""Pictures, in the size that was asked for or what is there instead."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from captures.models import Capture
from captures.pictures import INSTEAD, file_of, version
from media_jobs import files, roles
from media_jobs.serving import serve

TYPES = {"png": "image/png", "webp": "image/webp"}
# A frame with a stroke through it, in a grey that is seen on light and on dark.
GONE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 600" width="800" height="600">'
    '<rect width="800" height="600" fill="#8883"/><g fill="none" stroke="#888" stroke-width="12" stroke-linecap="round"'
    ' stroke-linejoin="round"><rect x="250" y="190" width="300" height="200" rx="16"/><path d="m270 370 80-80 60 60'
    ' 40-40 80 60M230 430 570 150"/></g><text x="400" y="490" fill="#888" font-family="sans-serif" font-size="34"'
    ' text-anchor="middle">The picture is gone</text></svg>'
)


@require_safe
def picture(request: HttpRequest, pk: int, size: str) -> HttpResponseBase:
    """The picture of a capture; what it falls back to is not kept by anybody.

    For a picture whose files are gone it is a drawing, with the status 404: browsers show it, programs are told.
    """
    capture = Capture.objects.stored().filter(pk=pk).select_related("timelapse").first()
    if size not in INSTEAD or capture is None:
        raise Http404("There is no such picture.")
    if not roles.may(request.user, roles.SEE, capture):
        raise PermissionDenied
    is_download = bool(request.GET.get("download"))
    for shown in (size,) if is_download else INSTEAD[size]:
        name = file_of(capture, shown)
        if not name or not files.size(name):
            continue
        known = version(capture, shown)
        return serve(
            request,
            name,
            content_type=TYPES.get(name.rpartition(".")[2], "image/jpeg"),
            etag=f"{known}-{shown}",
            is_immutable=shown == size and request.GET.get("v") == known,
            download_as=_file_name(capture, name) if is_download else "",
        )
    if is_download:
        raise Http404("The file is gone.")
    return _gone()


def _gone() -> HttpResponse:
    return HttpResponse(
        GONE, status=404, content_type="image/svg+xml", headers={"Cache-Control": "private, no-store"}
    )


def _file_name(capture: Capture, name: str) -> str:
    local = capture.slot.astimezone(capture.timelapse.zone)
    return f"{capture.timelapse.name} {local:%Y-%m-%d %H.%M.%S}.{name.rpartition('.')[2]}"
