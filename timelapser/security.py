"""The headers that keep a page from running what it did not bring itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

# The admin's theme uses Alpine, which evaluates expressions and sets style attributes; our own pages need neither.
PAGES = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self'; connect-src 'self' ws: wss:; "
    "script-src 'self'; style-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
ADMIN = PAGES.replace("script-src 'self'", "script-src 'self' 'unsafe-eval' 'unsafe-inline'").replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'"
)
LOOSE_PATHS = ("/admin/", "/api/v1/docs/")


@sync_and_async_middleware
def ContentSecurityPolicy(  # noqa: N802 - a middleware is named like a class in the settings
    get_response: Callable[[HttpRequest], Any],
) -> Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]:
    """Adds the policy to every answer: strict for our own pages, looser for the admin and the API's page."""
    from asgiref.sync import iscoroutinefunction

    def add(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        policy = ADMIN if request.path.startswith(LOOSE_PATHS) else PAGES
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        return response

    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            return add(request, await get_response(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponse = get_response(request)
        return add(request, response)

    return answer
