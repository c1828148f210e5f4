"""What the API reads: JSON of a bounded size and depth, with finite numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import IO, Any, cast

from django.conf import settings
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser


class BodyTooLarge(APIException):
    """The body of the request is too large."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = __doc__
    default_code = "body_too_large"


class BoundedJSON(JSONParser):
    """JSON up to DATA_UPLOAD_MAX_MEMORY_SIZE, which Django itself applies to forms only.

    Raises ParseError also for numbers without end (1e999 would be infinite) and for nesting beyond Python's stack.
    """

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
        bounded = cast("IO[Any]", _Bounded(stream, limit))
        try:
            parsed: Any = super().parse(bounded, media_type, parser_context)
            _refuse_infinite(parsed)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
        return cast("dict[str, Any]", parsed)


class _Bounded:
    """A stream that ends with BodyTooLarge after `limit` bytes."""

    def __init__(self, stream: IO[Any], limit: int) -> None:
        self._stream = stream
        self._left = limit

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(self._left + 1 if size < 0 else min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise BodyTooLarge
        return data


def _refuse_infinite(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ParseError("A number is too large.")
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return
    for part in value:
        _refuse_infinite(part)
