"""The page on which the configuration is written into a file, and read from one."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from cameras.exceptions import SealBroken
from media_jobs import clock
from media_jobs.roles import CONFIGURE
from timelapser.configuration import (
    LARGEST_BYTES,
    FileRefused,
    Report,
    export_document,
    import_document,
    read_text,
    write_text,
)
from timelapser.configuration_api import note_export
from timelapser.pages.access import is_partial, page, show


@page(CONFIGURE)
def configuration(request: HttpRequest) -> HttpResponse:
    return show(request, "settings/configuration.html", {})


@page(CONFIGURE, "POST")
def take(request: HttpRequest) -> HttpResponse:
    """The file, to be kept."""
    passphrase = request.POST.get("passphrase", "")
    try:
        text = write_text(export_document(passphrase))
    except (FileRefused, SealBroken) as error:
        return show(request, "settings/configuration.html", {"export_error": str(error)}, status=422)
    note_export(request.user.get_username(), is_sealed=bool(passphrase))
    name = f"timelapser-{clock.now():%Y-%m-%d}.json"
    return HttpResponse(
        text,
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@page(CONFIGURE, "POST")
def bring(request: HttpRequest) -> HttpResponse:
    """A file is tried, or read in."""
    context: dict[str, Any]
    try:
        context = {"report": _read(request)}
    except FileRefused as error:
        context = {"import_error": str(error)}
    if is_partial(request):
        return render(request, "settings/_report.html", context)
    return show(
        request, "settings/configuration.html", context, status=422 if "import_error" in context else 200
    )


def _read(request: HttpRequest) -> Report:
    """Raises FileRefused."""
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile) or not file.size:
        raise FileRefused("Choose a file first.")
    return import_document(
        read_text(file.read(LARGEST_BYTES + 1)),
        by=request.user.get_username(),
        now=clock.now(),
        passphrase=request.POST.get("passphrase", ""),
        is_trial="import" not in request.POST,
        skips_refused="skips_refused" in request.POST,
    )
