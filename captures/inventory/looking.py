"""Is each file of a capture there, whole, and what its row and the settings say?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.files.storage import default_storage

from captures.derivatives import Wanted
from captures.imaging.developing import inspect_picture
from captures.imaging.errors import BrokenPicture
from captures.imaging.pictures import read_header
from captures.inventory.report import Finding, Shelf, Trouble
from captures.models import Capture
from captures.pictures import digest_in

HEAD_BYTES = 65_536  # the size of a picture stands in its first bytes, unless a camera puts more before it
YOUNG = timedelta(minutes=10)  # longer than anything is on its way between file and row


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a file; None and 0 where nothing is. `digest` is SHA-256 or its beginning, hexadecimal."""

    size: tuple[int, int] | None = None
    bytes: int | None = None
    digest: str = ""


def look(
    capture: Capture, wanted: Wanted, newest_id: int | None, *, is_deep: bool, now: datetime
) -> list[Finding]:
    """All that is wrong with a stored or discarded capture's files.

    Not deep: existence, length, header. Deep: every byte is read and compared with its checksum as well.
    """
    found = list(_look_once(capture, wanted, newest_id, is_deep=is_deep, now=now))
    if not found:
        return []
    fresh = Capture.objects.filter(pk=capture.pk).first()
    if fresh is None:
        return []
    if files_of(fresh) == files_of(capture):
        return found
    # It was changed while it was looked at.
    for field in Capture._meta.concrete_fields:
        setattr(capture, field.attname, getattr(fresh, field.attname))
    return list(_look_once(capture, wanted, newest_id, is_deep=is_deep, now=now))


def is_missing(name: str) -> bool:
    """Whether there certainly is no such file; False where the disk cannot tell."""
    try:
        default_storage.open(name, "rb").close()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


def files_of(capture: Capture) -> tuple[str, ...]:
    """What a row says of its files; equal where nothing was changed."""
    names = (capture.file, capture.thumbnail, capture.small, capture.original)
    return (capture.state, capture.checksum, *names)


def trouble_of(name: str, expected: Expected, *, is_deep: bool) -> tuple[Trouble | None, int]:
    """What is wrong with one stored file, and its bytes."""
    try:
        with default_storage.open(name, "rb") as file:
            head: bytes = file.read(HEAD_BYTES)
            size = file.seek(0, 2)
            file.seek(0)
            must_read = is_deep or expected.bytes == 0
            data: bytes = file.read() if must_read or not _has_header(head) else head
    except FileNotFoundError:
        return Trouble.MISSING, 0
    except OSError:
        return Trouble.UNREADABLE, 0
    if not size:
        return Trouble.EMPTY, 0
    try:
        facts = read_header(data)
        is_same = must_read and bool(expected.digest) and _digest(data).startswith(expected.digest)
        if must_read and not is_same:
            inspect_picture(data)
    except BrokenPicture:
        return Trouble.UNDECODABLE, size
    if expected.size is not None and (facts.width, facts.height) != expected.size:
        return Trouble.WRONG_SIZE, size
    if expected.bytes is not None and size != expected.bytes:
        return Trouble.WRONG_BYTES, size
    if must_read and expected.digest and not is_same:
        return Trouble.WRONG_CHECKSUM, size
    return None, size


def _has_header(head: bytes) -> bool:
    try:
        read_header(head)
    except BrokenPicture:
        return False
    return True


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _look_once(
    capture: Capture, wanted: Wanted, newest_id: int | None, *, is_deep: bool, now: datetime
) -> Iterator[Finding]:
    is_stored = capture.state == Capture.State.STORED
    expected = Expected((capture.width, capture.height), capture.bytes, capture.checksum)
    shelf = Shelf.FRAME if is_stored else Shelf.DISCARDED
    if capture.file:
        yield from _checked(capture, shelf, capture.file, expected, is_deep=is_deep)
    if capture.original:
        yield from _checked(capture, Shelf.ORIGINAL, capture.original, Expected(), is_deep=is_deep)
    if not is_stored:
        return
    is_young = capture.taken_at is not None and capture.taken_at > now - YOUNG  # its job may still be waiting
    for shelf, name, size, box in (
        (Shelf.THUMBNAIL, capture.thumbnail, capture.thumbnail_bytes, wanted.thumbnail),
        (
            Shelf.SMALL,
            capture.small,
            capture.small_bytes,
            wanted.small if wanted.wants_small(capture, newest_id) else None,
        ),
    ):
        if box is None:
            if name:
                yield _finding(capture, shelf, Trouble.UNWANTED, name, size)
        elif not name:
            if not is_young:
                yield _finding(capture, shelf, Trouble.ABSENT)
        else:
            fits = box.fit(capture.width, capture.height)
            yield from _checked(capture, shelf, name, Expected(fits, size, digest_in(name)), is_deep=is_deep)


def _checked(
    capture: Capture, shelf: Shelf, name: str, expected: Expected, *, is_deep: bool
) -> Iterator[Finding]:
    trouble, size = trouble_of(name, expected, is_deep=is_deep)
    if trouble is not None:
        yield _finding(capture, shelf, trouble, name, size)


def _finding(capture: Capture, shelf: Shelf, trouble: Trouble, name: str = "", size: int = 0) -> Finding:
    return Finding(shelf, trouble, name, capture.timelapse_id, capture.pk, size)
