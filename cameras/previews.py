"""The pictures that a test shows: small, and JPEGs of our own making."""

from __future__ import annotations

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from cameras.sources import BrokenPicture, Still

WIDTH_PX = 800
QUALITY = 85


def decode(still: Still) -> NDArray[np.uint8]:
    """(height, width, 3), BGR, upright. Raises BrokenPicture."""
    pixels: MatLike | None = still.pixels
    if pixels is None:
        pixels = cv2.imdecode(np.frombuffer(still.encoded or b"", np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise BrokenPicture
    return pixels.astype(np.uint8, copy=False)


def make_preview(pixels: NDArray[np.uint8], width: int = WIDTH_PX) -> bytes:
    """A JPEG of our own making, at most `width` wide: what a camera sent is never served as it came."""
    shown: MatLike = pixels
    if shown.shape[1] > width:
        height = max(1, round(shown.shape[0] * width / shown.shape[1]))
        shown = cv2.resize(shown, (width, height), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])
