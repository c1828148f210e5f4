"""The first whole picture of an endless multipart answer (motion JPEG over HTTP)."""

import re
from collections.abc import Iterator

import httpx

from cameras.sources.contract import Source, Still
from cameras.sources.deadline import Deadline
from cameras.sources.errors import BrokenPicture, NotAVideo, ReadTimedOut, SourceError, TooLarge
from cameras.sources.http import open_answer
from cameras.sources.pictures import JPEG_START, PNG_START, PictureFacts, read_picture_facts

_BOUNDARY = re.compile(r'boundary\s*=\s*"?([^";,]+)', re.IGNORECASE)
_LENGTH = re.compile(rb"^content-length\s*:\s*(\d{1,9})\s*$", re.IGNORECASE | re.MULTILINE)
MAX_PART_HEADER_BYTES = 16_384


class MjpegSource(Source):
    def read(self) -> Still:
        deadline = Deadline(self.settings.deadline_s)
        with open_answer(self.settings, deadline) as answer:
            parts = Parts(_read_boundary(answer.headers.get("content-type", "")), self.settings.max_bytes)
            try:
                for part in _read_parts(answer, parts):
                    facts = _facts_or_none(part)
                    if facts is not None:
                        size = facts.width, facts.height
                        return Still(part, None, *size, facts.codec, deadline.elapsed_s())
            except ReadTimedOut:
                if not parts.count:
                    raise
        if parts.count:
            raise BrokenPicture("The stream's parts are not whole JPEG or PNG pictures.")
        raise BrokenPicture("The stream ended before a whole picture had come.")


def _read_parts(answer: httpx.Response, parts: "Parts") -> Iterator[bytes]:
    for chunk in answer.iter_raw():
        yield from parts.feed(chunk)


def _facts_or_none(part: bytes) -> PictureFacts | None:
    """None for a damaged picture: a stream may be joined in the middle of a part, the next one is whole."""
    try:
        return read_picture_facts(part)
    except SourceError:
        return None


def _read_boundary(content_type: str) -> bytes:
    if not content_type.lower().startswith("multipart/"):
        raise NotAVideo("The address gives no motion JPEG. If it gives single pictures, choose that kind.")
    found = _BOUNDARY.search(content_type)
    # Some cameras write the leading dashes into the header as well, some only there.
    return found[1].strip().lstrip("-").encode("latin-1", "replace") if found else b""


class Parts:
    """Cuts a multipart stream (RFC 2046) into bodies by length where told, else by boundary."""

    def __init__(self, boundary: bytes, max_bytes: int) -> None:
        self._mark = b"--" + boundary
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._searched = 0
        self.count = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        self._buffer += chunk
        parts = []
        while (part := self._take()) is not None:
            parts.append(part)
        self.count += len(parts)
        if len(self._buffer) > self._max_bytes + MAX_PART_HEADER_BYTES:
            raise TooLarge
        return parts

    def _take(self) -> bytes | None:
        start = self._buffer.find(self._mark)
        if start < 0:
            return None
        head_end, gap = _find_head_end(self._buffer, start)
        if head_end < 0:
            return None
        body = head_end + gap
        length = _LENGTH.search(self._buffer[start:head_end].replace(b"\r", b""))
        if length is not None and int(length[1]) > 0:
            end = body + int(length[1])
            if int(length[1]) > self._max_bytes:
                raise TooLarge
            if len(self._buffer) < end:
                return None
        else:
            end = self._buffer.find(b"\n" + self._mark, max(body, self._searched))
            if end < 0:
                self._searched = max(body, len(self._buffer) - len(self._mark) - 1)
                return None
        part = bytes(self._buffer[body:end])
        del self._buffer[:end]
        self._searched = 0
        return part


def _find_head_end(buffer: bytearray, start: int) -> tuple[int, int]:
    """Where the head of a part ends, and the length of its empty line."""
    strict, loose = buffer.find(b"\r\n\r\n", start), buffer.find(b"\n\n", start)
    if strict >= 0 and (loose < 0 or strict < loose):
        return strict, 4
    picture = min(
        (p for p in (buffer.find(JPEG_START, start), buffer.find(PNG_START, start)) if p >= 0), default=-1
    )
    return (loose, 2) if loose >= 0 and (picture < 0 or loose < picture) else (-1, 0)
