"""Stored files over HTTP: to those who may see them, with ETag, ranges and caching."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import IO

from asgiref.sync import sync_to_async
from django.core.files.storage import default_storage
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header, parse_etags

CHUNK_BYTES = 256 * 1024
# Longer numbers than any file has are no range: Python refuses to read those of thousands of digits.
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def serve(
    request: HttpRequest,
    name: str,
    *,
    content_type: str,
    etag: str,
    download_as: str = "",
    is_immutable: bool = True,
) -> HttpResponseBase:
    """The stored file `name`, whole or the one range that is asked for (RFC 9110 §14). Raises Http404.

    `etag` names the content, without quotes. `is_immutable`: the address never shows anything else.
    """
    quoted = f'"{etag}"'
    known = {tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))}
    if known & {quoted, "*"}:
        return _with_headers(HttpResponse(status=304), quoted, is_immutable=is_immutable)
    try:
        size = default_storage.size(name) if name else None
    except OSError:
        size = None
    if size is None:
        raise Http404("The file is gone.")
    wanted = request.headers.get("Range", "") if request.method == "GET" else ""
    if request.headers.get("If-Range", quoted) != quoted:
        wanted = ""
    found = _range_of(wanted, size)
    if found is None:
        refusal = HttpResponse(status=416)
        refusal["Content-Range"] = f"bytes */{size}"
        return refusal
    start, end, is_part = found
    response = _stream(request, name, start, end)
    response.status_code = 206 if is_part else 200
    if is_part:
        response["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    response["Content-Type"] = content_type
    response["Content-Length"] = str(end - start)
    response["Accept-Ranges"] = "bytes"
    if download_as:
        response["Content-Disposition"] = str(content_disposition_header(True, download_as))
    return _with_headers(response, quoted, is_immutable=is_immutable)


def _range_of(wanted: str, size: int) -> tuple[int, int, bool] | None:
    """Start, end (exclusive) and whether it is a part; None for what cannot be satisfied.

    Several ranges, and what is no range, are answered with the whole, as the RFC allows.
    """
    match = _RANGE.fullmatch(wanted.strip())
    if match is None or match.groups() == ("", ""):
        return 0, size, False
    first, last = match.groups()
    if not first:
        length = int(last)
        return (max(0, size - length), size, True) if length and size else None
    start = int(first)
    end = min(int(last), size - 1) + 1 if last else size
    if last and int(last) < start:
        return 0, size, False
    return (start, end, True) if start < size else None


def _stream(request: HttpRequest, name: str, start: int, end: int) -> StreamingHttpResponse | HttpResponse:
    if request.method == "HEAD":
        return HttpResponse()
    try:
        file = default_storage.open(name, "rb")
    except OSError as error:
        raise Http404("The file is gone.") from error
    file.seek(start)
    # Under ASGI a plain iterator would be read whole into memory first.
    part = _AsyncPart if isinstance(request, ASGIRequest) else _Part
    return StreamingHttpResponse(part(file, end - start))


class _Part:
    """A stretch of an open file in chunks. Django closes it, also where nobody has read it."""

    def __init__(self, file: IO[bytes], left: int) -> None:
        self._file = file
        self._left = left

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read():
            yield chunk

    def close(self) -> None:
        self._file.close()

    def read(self) -> bytes:
        chunk = self._file.read(min(CHUNK_BYTES, self._left)) if self._left > 0 else b""
        self._left -= len(chunk)
        return chunk


class _AsyncPart:
    """The same for a server that must not be held up."""

    def __init__(self, file: IO[bytes], left: int) -> None:
        self._part = _Part(file, left)
        self.close = self._part.close

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = sync_to_async(self._part.read, thread_sensitive=False)
        while chunk := await read():
            yield chunk


def _with_headers(response: HttpResponseBase, etag: str, *, is_immutable: bool) -> HttpResponseBase:
    response["ETag"] = etag
    response["Cache-Control"] = (
        "private, max-age=31536000, immutable" if is_immutable else "private, max-age=0, must-revalidate"
    )
    return response
