"""Where two halves of a picture do not belong together: a row at which everything jumps at once."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from captures.imaging.pictures import Pixels
from captures.imaging.quality.condition import still_shown
from captures.imaging.quality.damage import SMALLEST_SIDE_PX
from captures.imaging.quality.past import Past
from captures.imaging.quality.picture import Picture

_SAME_SCENE = 0.15  # of what was drawn before is drawn still: a tenth of a picture above its tear
_CANDIDATES = 6  # the strongest rows
_GOES_ON = 0.6  # correlation of what is drawn above and below; a banner's edge has none
# Gradients below against those above: wrong bits move a level and keep contrasts (0.95-0.97 in real files), still water
# mirrors a town and keeps 0.62-0.64 of them, a page that was photographed 0.74.
_AS_STRONG = (0.85, 1.18)


def step(picture: Picture, past: Past | None) -> float | None:
    """Share of the width that jumps at one row, where what is drawn goes on across it.

    Wrong bits in a JPEG shift the zero of all blocks after them: the horizontal gradients above and below the seam
    agree in form and strength, only the level is another. At the edge of a table or of a banner something else begins;
    water mirrors what stands at it, more faintly.
    """
    del past
    if min(picture.grey.shape) < 2 * SMALLEST_SIDE_PX:
        return None
    seams = picture.seams
    best = 0.0
    for row in np.argsort(seams)[:-_CANDIDATES:-1]:
        if _goes_on(picture.grey, int(row)):
            best = max(best, float(seams[row]) / 255)
    return best


def torn(picture: Picture, past: Past | None) -> float | None:
    """Share of the width that jumps at one row, beyond what jumped near it before. 0 where it is another scene."""
    if past is None or past.previous is None or past.previous.shape != picture.view.shape:
        return None
    if len(past.seams) != len(picture.seams) or min(picture.grey.shape) < SMALLEST_SIDE_PX:
        return None
    before = np.maximum(np.frombuffer(past.seams, np.uint8), _of_length(past.passing, len(picture.seams)))
    near = cv2.dilate(before[:, None], np.ones((5, 1), np.uint8)).ravel()
    value = float((picture.seams.astype(np.int16) - near).max()) / 255
    return value if value > 0 and still_shown(picture, past) > _SAME_SCENE else 0.0


def _of_length(seams: bytes, length: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(seams, np.uint8) if len(seams) == length else np.zeros(length, np.uint8)


def _goes_on(grey: Pixels, row: int) -> bool:
    """By the horizontal gradients near it, above and below."""
    if not 2 <= row < len(grey) - 2:
        return False
    levels = grey[[row - 2, row + 1]].astype(np.float32)
    upper, lower = levels[:, 2:] - levels[:, :-2]
    above, below = float(np.linalg.norm(upper)), float(np.linalg.norm(lower))
    if not _AS_STRONG[0] * above < below < _AS_STRONG[1] * above:
        return False
    return float(upper @ lower) / (above * below) > _GOES_ON
