"""A picture of somebody's own, judged as a camera's would be; it lives as long as the answer."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

from django.http import HttpRequest, HttpResponse

from cameras.effective import globally
from captures import trial
from captures.imaging.errors import BrokenPicture
from captures.imaging.quality.table import DETECTORS
from media_jobs.roles import OPERATE
from timelapser.pages.access import page, show
from timelapser.pages.readings import lines

TOO_LARGE = 413  # RFC 9110
NOT_UNDERSTOOD = 422


@page(OPERATE, "GET", "HEAD", "POST")
def test(request: HttpRequest) -> HttpResponse:
    """The form, and what was found in the picture that came with it; nothing is written anywhere."""
    context: dict[str, Any] = {"detectors": DETECTORS, "most_bytes": trial.MOST_BYTES}
    if request.method != "POST":
        return show(request, "quality/test.html", context)
    found, problem, status = _judged(request)
    return show(request, "quality/test.html", context | found | {"problem": problem}, status=status)


def _judged(request: HttpRequest) -> tuple[dict[str, Any], str, int]:
    """What the page shows of the picture, what is wrong with it, and the status of the answer."""
    upload = request.FILES.get("picture")
    if upload is None:
        return {}, "Choose a picture first.", NOT_UNDERSTOOD
    if (upload.size or 0) > trial.MOST_BYTES:
        return {}, "This file is too large. A picture has at most 50 MB here.", TOO_LARGE
    try:
        found = trial.judge(upload.read(), globally())
    except BrokenPicture as error:
        return {}, f"This cannot be judged: {error.reason}.", NOT_UNDERSTOOD
    height, width = found.view.shape[:2]
    shown = {
        "name": upload.name,
        "found": found,
        "preview": f"data:image/jpeg;base64,{base64.b64encode(found.preview()).decode()}",
        "preview_width": width,
        "preview_height": height,
        "lines": lines(asdict(reading) for reading in found.evaluation.readings),
    }
    return shown, "", 200
