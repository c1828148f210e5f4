"""The addresses of a picture in its sizes, and what each shows at present.

A derived file's name ends in a part of its content's hash, so that what is made anew has a name of its own: the address
with this version never shows anything else, and may be kept for ever.
"""

from __future__ import annotations

import hashlib
import re
from zlib import crc32

from django.urls import reverse

from captures.models import Capture

THUMBNAIL, SMALL, FULL = "thumbnail", "small", "full"
# What is shown instead of a size that is not there, in this order. No line ends in a broken image.
INSTEAD: dict[str, tuple[str, ...]] = {
    THUMBNAIL: (THUMBNAIL, SMALL, FULL),
    SMALL: (SMALL, THUMBNAIL, FULL),
    FULL: (FULL, SMALL, THUMBNAIL),
}
DIGEST_LENGTH = 12
_DIGEST = re.compile(rf"-([0-9a-f]{{{DIGEST_LENGTH}}})\.jpg$")


def file_of(capture: Capture, size: str) -> str:
    """The stored name of a size; empty where there is none."""
    return {THUMBNAIL: capture.thumbnail, SMALL: capture.small, FULL: capture.file}[size]


def digest_of(data: bytes) -> str:
    """What the name of a derived file says of its content."""
    return hashlib.sha256(data).hexdigest()[:DIGEST_LENGTH]


def digest_in(name: str) -> str:
    """The digest in the name of a derived file; empty in those of former releases."""
    match = _DIGEST.search(name)
    return match[1] if match else ""


def version(capture: Capture, size: str) -> str:
    """Names the content of a size; empty where there is none."""
    if size == FULL:
        return capture.checksum[:DIGEST_LENGTH] if capture.file else ""
    name = file_of(capture, size)
    return name and (digest_in(name) or f"{crc32(name.encode()):08x}")


def address(capture: Capture, size: str) -> str:
    """The path of a picture, with its version where that size is there."""
    path = reverse("capture-picture", args=[capture.pk, size])
    known = version(capture, size)
    return f"{path}?v={known}" if known else path
