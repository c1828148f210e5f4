"""A stored picture becomes one raw frame of the film's size."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from captures.imaging.errors import BrokenPicture
from captures.imaging.pictures import Pixels, read_header
from captures.imaging.thumbnails import decode_at_least

# Where the bytes of a picture come from: a file, or something to call, which raises OSError if it has none.
FrameSource = Path | Callable[[], bytes]


def read_frame(source: FrameSource, width: int, height: int) -> Pixels | None:
    """Upright BGR pixels of exactly (height, width, 3), C-contiguous; None if missing or broken.

    Broken is what does not decode at all. Of a picture that ends too early what is there is shown: it was judged when
    it was taken in, and clean films leave out what was flagged. Damage is not looked for in every film again.
    """
    try:
        data = source.read_bytes() if isinstance(source, Path) else source()
        facts = read_header(data)
        inner = fit_inside(facts.width, facts.height, width, height)
        pixels = decode_at_least(data, *inner)
    except (OSError, BrokenPicture):
        return None
    return letterbox(pixels, width, height)


def fit_inside(width: int, height: int, box_width: int, box_height: int) -> tuple[int, int]:
    """The largest size of the same aspect inside the box, also larger than the picture."""
    ratio = min(box_width / width, box_height / height)
    return max(1, round(width * ratio)), max(1, round(height * ratio))


def letterbox(pixels: Pixels, width: int, height: int) -> Pixels:
    """Scaled to fit, centred on black: (height, width, 3). What fits already is passed on untouched."""
    if pixels.shape == (height, width, 3):
        return np.ascontiguousarray(pixels)
    inner = fit_inside(pixels.shape[1], pixels.shape[0], width, height)
    interpolation = cv2.INTER_AREA if inner[0] < pixels.shape[1] else cv2.INTER_CUBIC
    scaled = cv2.resize(pixels, inner, interpolation=interpolation)
    if inner == (width, height):
        return scaled.astype(np.uint8, copy=False)
    frame = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    frame[top : top + inner[1], left : left + inner[0]] = scaled
    return frame
