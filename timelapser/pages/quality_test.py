"""A picture of somebody's own, judged as a camera's would be; it lives as long as the answer."""

from __future__ import annotations

import base64
from dataclasses import asdict
from math import ceil
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from rest_framework.request import Request
from rest_framework.views import APIView

from cameras.effective import globally
from captures import trial
from captures.imaging.errors import BrokenPicture
from captures.imaging.quality.table import DETECTORS
from captures.quality_api import FORM_BYTES, TrialThrottle
from media_jobs.exceptions import TooManyWaiting
from media_jobs.roles import OPERATE
from timelapser.pages.access import page, show
from timelapser.pages.readings import lines

TOO_LARGE = 413  # RFC 9110
NOT_UNDERSTOOD = 422
TOO_MANY = 429
TOO_LARGE_WORDS = "This file is too large. A picture has at most 50 MB here."


@csrf_exempt  # the middleware reads the whole form for its token: the view looks at the length first, and asks then
@page(OPERATE, "GET", "HEAD", "POST")
def test(request: HttpRequest) -> HttpResponseBase:
    """The form, and what was found in the picture that came with it; nothing is written anywhere."""
    if request.method != "POST":
        return _shown(request, {}, 200)
    if int(request.META.get("CONTENT_LENGTH") or 0) > trial.MOST_BYTES + FORM_BYTES:
        return _shown(request, {"problem": TOO_LARGE_WORDS}, TOO_LARGE)
    return _tried(request)


@csrf_protect
def _tried(request: HttpRequest) -> HttpResponseBase:
    throttle = TrialThrottle()  # the API's: one count for both doors, and all that it reads is who asks
    if not throttle.allow_request(cast("Request", request), cast("APIView", None)):
        return _refused(request, "These were many pictures. Try again in a minute.", throttle.wait() or 1)
    try:
        found, problem, status = _judged(request)
    except TooManyWaiting as busy:
        return _refused(request, str(busy), busy.wait)
    return _shown(request, found | {"problem": problem}, status)


def _refused(request: HttpRequest, problem: str, wait_s: float) -> HttpResponse:
    response = _shown(request, {"problem": problem}, TOO_MANY)
    response["Retry-After"] = str(ceil(wait_s))
    return response


def _shown(request: HttpRequest, found: dict[str, Any], status: int) -> HttpResponse:
    context = {"detectors": DETECTORS, "most_bytes": trial.MOST_BYTES}
    return show(request, "quality/test.html", context | found, status=status)


def _judged(request: HttpRequest) -> tuple[dict[str, Any], str, int]:
    """What the page shows of the picture, what is wrong with it, and the status of the answer."""
    upload = request.FILES.get("picture")
    if upload is None:
        return {}, "Choose a picture first.", NOT_UNDERSTOOD
    if (upload.size or 0) > trial.MOST_BYTES:
        return {}, TOO_LARGE_WORDS, TOO_LARGE
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
