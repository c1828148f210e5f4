"""The pictures that a camera's test shows."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from media_jobs import roles
from media_jobs.models import MediaJob
from media_jobs.serving import serve


@require_safe
def preview(request: HttpRequest, pk: UUID, which: str = "preview") -> HttpResponseBase:
    """The picture that the test with this job id took; nobody keeps a copy, as a mask may forbid it later."""
    if not roles.may(request.user, roles.SEE):
        raise PermissionDenied
    job = MediaJob.objects.filter(pk=pk).first()
    name = job.result.get(which, "") if job else ""
    if not name:
        raise Http404("This test has no preview.")
    response = serve(request, name, content_type="image/jpeg", etag=f"{pk}-{which}")
    response["Cache-Control"] = "private, no-store"
    return response
