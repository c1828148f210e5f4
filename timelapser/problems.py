"""Errors of the API as problem details (RFC 9457): which exception answers with which status, in one table."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import structlog
from django.core import exceptions as django_errors
from django.core.signals import got_request_exception
from django.db import IntegrityError
from django.db.models import ProtectedError, RestrictedError
from django.http import Http404
from rest_framework import exceptions as api_errors
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import set_rollback

from cameras.exceptions import CameraError
from cameras.sources import AddressRefused, SourceError
from captures.exceptions import CameraBusy, CampaignError, PlanRefused
from media_jobs.exceptions import JobError, StorageError, TooManyWaiting
from videos.exceptions import VideoError

MEDIA_TYPE = "application/problem+json"

# The first line that fits counts, so the narrow types stand above the wide ones. None: the error's own words.
TABLE: tuple[tuple[type[Exception], HTTPStatus, str | None], ...] = (
    (api_errors.NotAuthenticated, HTTPStatus.UNAUTHORIZED, None),
    (api_errors.AuthenticationFailed, HTTPStatus.UNAUTHORIZED, None),
    (Http404, HTTPStatus.NOT_FOUND, "There is nothing here."),
    (django_errors.ObjectDoesNotExist, HTTPStatus.NOT_FOUND, "There is nothing here."),
    (django_errors.PermissionDenied, HTTPStatus.FORBIDDEN, "You may not do this."),
    (django_errors.BadRequest, HTTPStatus.BAD_REQUEST, "The request cannot be read."),
    (django_errors.RequestDataTooBig, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large."),
    (django_errors.SuspiciousOperation, HTTPStatus.BAD_REQUEST, "The request cannot be read."),
    (OverflowError, HTTPStatus.BAD_REQUEST, "A number is too large."),
    (AddressRefused, HTTPStatus.BAD_REQUEST, None),
    (SourceError, HTTPStatus.BAD_GATEWAY, None),
    (CampaignError, HTTPStatus.CONFLICT, None),
    (VideoError, HTTPStatus.CONFLICT, None),
    (CameraError, HTTPStatus.CONFLICT, None),
    (StorageError, HTTPStatus.SERVICE_UNAVAILABLE, None),
    (TooManyWaiting, HTTPStatus.TOO_MANY_REQUESTS, None),
    (JobError, HTTPStatus.CONFLICT, None),
    (ProtectedError, HTTPStatus.CONFLICT, "It is still in use, so it cannot be deleted."),
    (RestrictedError, HTTPStatus.CONFLICT, "It is still in use, so it cannot be deleted."),
    (IntegrityError, HTTPStatus.CONFLICT, "Somebody else has just changed this; load it again."),
)
UNEXPECTED = "Something unexpected happened. The log has more under the correlation id."


def problem_details(error: Exception, context: dict[str, Any]) -> Response:
    """The answer to `error`, whatever it was; what nobody expected is logged with its trace and told without."""
    set_rollback()
    status, detail = _judge(error)
    request = context.get("request")
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        # Logged by the middleware that hears this signal, once, with the request's id.
        got_request_exception.send(sender=None, request=getattr(request, "_request", request))
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": _code(error, status),
        "correlation_id": str(structlog.contextvars.get_contextvars().get("request_id") or ""),
    }
    if isinstance(error, api_errors.ValidationError):
        body["errors"] = flatten(error.detail)
    if isinstance(error, PlanRefused):
        body["errors"] = flatten({"plan": {path: [words] for path, words in error.problems.items()}})
    if isinstance(error, CameraBusy):
        body["active_timelapse"] = error.active.pk
    if request is not None:
        # Whatever the view would have drawn (a page, YAML): a problem is JSON.
        request.accepted_renderer, request.accepted_media_type = JSONRenderer(), MEDIA_TYPE
    return Response(
        _encodable(body), status=status.value, headers=_headers(error, status), content_type=MEDIA_TYPE
    )


def flatten(detail: Any, field: str = "") -> dict[str, list[str]]:
    """Errors by field; those of nested fields as `outer.inner`, those of no field as `non_field_errors`."""
    if isinstance(detail, dict):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            found |= flatten(inner, f"{field}.{name}" if field else str(name))
        return found
    if isinstance(detail, list) and any(isinstance(inner, dict) for inner in detail):
        return flatten(dict(enumerate(detail)), field)
    words = detail if isinstance(detail, list) else [detail]
    return {field or "non_field_errors": [str(word) for word in words]}


def _judge(error: Exception) -> tuple[HTTPStatus, str]:
    for type_, status, words in TABLE:
        if isinstance(error, type_):
            return status, words or _words(error)
    if isinstance(error, api_errors.APIException):
        return HTTPStatus(error.status_code), _words(error)
    return HTTPStatus.INTERNAL_SERVER_ERROR, UNEXPECTED


def _words(error: Exception) -> str:
    if isinstance(error, api_errors.ValidationError):
        return "Some of the values are not valid; see errors."
    if isinstance(error, api_errors.APIException):
        return str(error.detail)
    return str(error)


def _code(error: Exception, status: HTTPStatus) -> str:
    """A word that programs can rely on."""
    if isinstance(error, api_errors.ValidationError):
        return "invalid"
    if isinstance(error, api_errors.APIException):
        return str(error.get_codes())
    if isinstance(error, SourceError | JobError):
        return error.code
    if isinstance(error, CampaignError | VideoError | CameraError):
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()
    return status.phrase.lower().replace(" ", "_")


def _headers(error: Exception, status: HTTPStatus) -> dict[str, str]:
    wait = getattr(error, "wait", None)
    headers = {"Retry-After": f"{wait:.0f}"} if wait else {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Token"
    return headers


def _encodable(value: Any) -> Any:
    """Without halves of surrogate pairs: a message may repeat what was sent, and that need not be text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_encodable(name): _encodable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_encodable(inner) for inner in value]
    return value
