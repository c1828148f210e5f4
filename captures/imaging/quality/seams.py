"""Where two halves of a picture do not belong together: a row at which everything jumps at once."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from captures.imaging.pictures import Pixels
from captures.imaging.quality.condition import still_shown
from captures.imaging.quality.damage import SMALLEST_SIDE_PX
from captures.imaging.quality.past import Past, grey_of, view_of
from captures.imaging.quality.picture import Picture
from captures.imaging.quality.shift import edges_of, slipped

_STAYS = 0.5  # of what was drawn in the whole part before is drawn there still; a camera that was turned keeps less
_MARGIN = 0.12  # of the height: what passes along one edge of the picture is a belt, a road, the sky
_ROWS = 3  # that jump most are looked at closely


def torn(picture: Picture, past: Past | None) -> float | None:
    """Share of the width that jumps at one row, beyond what jumped near it before; 0 where no part is as before.

    Or, where any of it jumps, how clearly the part on one side of it has slipped sideways and the other has stayed.
    """
    if past is None or past.previous is None or past.previous.shape != picture.view.shape:
        return None
    if len(past.seams) != len(picture.seams) or min(picture.grey.shape) < SMALLEST_SIDE_PX:
        return None
    before = np.maximum(np.frombuffer(past.seams, np.uint8), _of_length(past.passing, len(picture.seams)))
    near = cv2.dilate(before[:, None], np.ones((5, 1), np.uint8)).ravel()
    jumps = picture.seams.astype(np.int16) - near
    rows = [int(row) for row in np.argsort(jumps)[-_ROWS:] if jumps[row] > 0]
    if not rows:
        return 0.0
    value = float(jumps[rows[-1]]) / 255
    if max(still_shown(picture, past, rows[-1] / len(jumps))) < _STAYS:
        value = 0.0
    return max(value, _slipped(picture, past.previous, [row / len(jumps) for row in rows]))


def _slipped(picture: Picture, previous: Pixels, heights: list[float]) -> float:
    now, before = edges_of(view_of(picture)), edges_of(grey_of(previous))
    return max(
        (slipped(now, before, round(each * len(now))) for each in heights if _MARGIN < each < 1 - _MARGIN),
        default=0.0,
    )


def _of_length(seams: bytes, length: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(seams, np.uint8) if len(seams) == length else np.zeros(length, np.uint8)
