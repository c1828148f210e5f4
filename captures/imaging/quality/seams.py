"""Where two halves of a picture do not belong together: a row at which everything jumps at once."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from captures.imaging.pictures import Pixels
from captures.imaging.quality.damage import SMALLEST_SIDE_PX
from captures.imaging.quality.past import Past, seams_of
from captures.imaging.quality.picture import Picture

_GOES_ON = 0.6  # correlation of what is drawn above and below; a banner's edge has none


def step(picture: Picture, past: Past | None) -> float | None:
    """Share of the width that jumps at one row, where what is drawn goes on across it.

    Wrong bits in a JPEG shift the zero of all blocks after them: the horizontal gradients above and below the seam
    agree, only the level is another. At the edge of a table or of a banner something else begins.
    """
    del past
    if min(picture.grey.shape) < 2 * SMALLEST_SIDE_PX:
        return None
    seams = seams_of(picture)[1:].astype(np.float32) / 255
    return float((seams * (_agreement(picture.grey) > _GOES_ON)).max())


def torn(picture: Picture, past: Past | None) -> float | None:
    """Share of the width that jumps at one row, beyond what jumped near it in the last good picture."""
    if past is None or past.previous is None or min(picture.grey.shape) < SMALLEST_SIDE_PX:
        return None
    now = seams_of(picture)
    before = np.frombuffer(past.seams, np.uint8)
    if now.shape != before.shape:
        return None
    near = cv2.dilate(before[:, None], np.ones((5, 1), np.uint8))[:, 0]
    return max(0.0, float((now.astype(np.int16) - near).max()) / 255)


def _agreement(grey: Pixels) -> npt.NDArray[np.float32]:
    """Correlation of the horizontal gradients two rows above with those two rows below, (height - 1)."""
    along = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=1)
    upper = np.vstack((along[:1], along[:-2]))
    lower = np.vstack((along[2:], along[-1:]))
    product = (upper * lower).sum(axis=1)
    norm = np.sqrt((upper * upper).sum(axis=1) * (lower * lower).sum(axis=1))
    agreement: npt.NDArray[np.float32] = product / np.maximum(norm, 1e-6)
    return agreement
