"""Where two halves of a picture do not belong together: a row at which everything jumps at once."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from captures.imaging.quality.condition import still_shown
from captures.imaging.quality.damage import SMALLEST_SIDE_PX
from captures.imaging.quality.past import Past
from captures.imaging.quality.picture import Picture

_STAYS = 0.5  # of what was drawn in the whole part before is drawn there still; a camera that was turned keeps less


def torn(picture: Picture, past: Past | None) -> float | None:
    """Share of the width that jumps at one row, beyond what jumped near it before; 0 where no part is as before."""
    if past is None or past.previous is None or past.previous.shape != picture.view.shape:
        return None
    if len(past.seams) != len(picture.seams) or min(picture.grey.shape) < SMALLEST_SIDE_PX:
        return None
    before = np.maximum(np.frombuffer(past.seams, np.uint8), _of_length(past.passing, len(picture.seams)))
    near = cv2.dilate(before[:, None], np.ones((5, 1), np.uint8)).ravel()
    jumps = picture.seams.astype(np.int16) - near
    row = int(jumps.argmax())
    value = float(jumps[row]) / 255
    if value <= 0 or max(still_shown(picture, past, row / len(jumps))) < _STAYS:
        return 0.0
    return value


def _of_length(seams: bytes, length: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(seams, np.uint8) if len(seams) == length else np.zeros(length, np.uint8)
