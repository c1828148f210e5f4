"""The picture that a test shows: small, and a JPEG of our own making."""

from __future__ import annotations

import cv2
import numpy as np
from cv2.typing import MatLike

from cameras.sources import BrokenPicture, Still

WIDTH_PX = 800
QUALITY = 85


def make_preview(still: Still) -> bytes:
    """A JPEG of our own making: what a camera sent is never served as it came. Raises BrokenPicture."""
    pixels: MatLike | None = still.pixels
    if pixels is None:
        pixels = cv2.imdecode(np.frombuffer(still.encoded or b"", np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise BrokenPicture
    if still.width > WIDTH_PX:
        height = max(1, round(still.height * WIDTH_PX / still.width))
        pixels = cv2.resize(pixels, (WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])
