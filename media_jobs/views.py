"""The preview of a camera's test."""

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
def preview(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """The picture that the test with this job id took."""
    if not roles.may(request.user, roles.SEE):
        raise PermissionDenied
    job = MediaJob.objects.filter(pk=pk).first()
    name = job.result.get("preview", "") if job else ""
    if not name:
        raise Http404("This test has no preview.")
    return serve(request, name, content_type="image/jpeg", etag=str(pk))
