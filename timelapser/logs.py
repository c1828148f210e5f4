"""What our logs say of every line, the id of its deed, and what they leave out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django_structlog.celery.signals import modify_context_before_task_publish
from structlog import contextvars

from media_jobs import correlation

HEADER = "X-Correlation-ID"


class WithoutTrace(logging.Filter):
    """Keeps the line and drops the trace: for loggers whose errors are about others, and come in rows."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = None
        # Celery puts a formatted stack into the arguments, as the last of them.
        message = record.getMessage().partition("\n")[0]
        record.msg, record.args = message, ()
        return True


class RefusalsWithoutTrace(logging.Filter):
    """A refusal is an answer, told in one line; only what is our own fault has a trace."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = None
        return True


@sync_and_async_middleware
def Correlation(  # noqa: N802 - a middleware is named like a class in the settings
    get_response: Callable[[HttpRequest], Any],
) -> Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]:
    """A request begins a deed: its id is that of all that comes of it, and is told so that a person can quote it.

    Stands behind django-structlog's own, which gives the request its id and clears the context at the end.
    """

    def begin() -> str:
        deed = str(contextvars.get_contextvars().get("request_id") or correlation.new())
        contextvars.bind_contextvars(**{correlation.NAME: deed})
        return deed

    def tell(response: HttpResponseBase, deed: str) -> HttpResponseBase:
        response.headers[HEADER] = deed
        return response

    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            deed = begin()
            return tell(await get_response(request), deed)

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        deed = begin()
        return tell(get_response(request), deed)

    return answer


@receiver(modify_context_before_task_publish)
def keep_the_deed_alone(context: dict[str, Any], **_: Any) -> None:
    """A message carries the id of the deed: whoever does the work is no longer in that request."""
    for name in set(context) - {correlation.NAME}:
        del context[name]
