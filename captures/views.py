"""Pictures, in the size that was asked for or the next one that is there."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from captures.models import Capture
from media_jobs import roles
from media_jobs.serving import serve

SIZES = ("thumbnail", "small", "full")


@require_safe
def picture(request: HttpRequest, pk: int, size: str) -> HttpResponseBase:
    """The picture of a capture. A size that is not made yet falls back to the next larger one, and is not kept."""
    capture = Capture.objects.stored().filter(pk=pk).select_related("timelapse").first()
    if size not in SIZES or capture is None:
        raise Http404("There is no such picture.")
    if not roles.may(request.user, roles.SEE, capture):
        raise PermissionDenied
    files = {"thumbnail": capture.thumbnail, "small": capture.small, "full": capture.file}
    found = next(name for name in SIZES[SIZES.index(size) :] if files[name])
    return serve(
        request,
        files[found],
        content_type="image/png" if files[found].endswith(".png") else "image/jpeg",
        etag=f"{capture.checksum[:32]}-{found}",
        is_immutable=found == size,
        download_as=_file_name(capture, files[found]) if request.GET.get("download") else "",
    )


def _file_name(capture: Capture, name: str) -> str:
    local = capture.slot.astimezone(capture.timelapse.zone)
    return f"{capture.timelapse.name} {local:%Y-%m-%d %H.%M.%S}.{name.rpartition('.')[2]}"
