"""How much there is to see: dark, blown out, flat, soft, noisy. The picture is true all the same."""

from __future__ import annotations

import cv2
import numpy as np

from captures.imaging.pictures import Pixels
from captures.imaging.quality.past import Past
from captures.imaging.quality.picture import Picture, histogram_of

_NOISY = 16  # levels from the median of a pixel's neighbours
_BLOCK_PX = 4  # of the half view: the 8 x 8 blocks of JPEG and the transforms of H.264


def brightness(picture: Picture, past: Past | None) -> float | None:
    """Median level, 0-255."""
    del past
    levels = np.cumsum(histogram_of(picture.grey, picture.visible))
    return float(np.searchsorted(levels, levels[-1] / 2)) if levels[-1] else None


def contrast(picture: Picture, past: Past | None) -> float | None:
    """Standard deviation in levels."""
    del past
    if picture.hidden is not None and picture.hidden.all():
        return None
    mask = None if picture.visible is None else picture.visible.astype(np.uint8)
    return float(cv2.meanStdDev(picture.grey, mask=mask)[1][0, 0])


def blur(picture: Picture, past: Past | None) -> float | None:
    """Variance of the Laplacian (Pertuz et al. 2013, LAP4), of the half view."""
    del past
    half = _half(picture)
    return None if half is None else float(cv2.meanStdDev(cv2.Laplacian(half, cv2.CV_16S))[1][0, 0] ** 2)


def edges(picture: Picture, past: Past | None) -> float | None:
    """Share of pixels on an edge (Canny 1986, 50 and 150)."""
    del past
    half = _half(picture)
    return None if half is None else cv2.countNonZero(cv2.Canny(half, 50, 150)) / half.size


def noise(picture: Picture, past: Past | None) -> float | None:
    """Share of pixels more than 16 levels from the median of their neighbours."""
    del past
    half = _half(picture)
    if half is None:
        return None
    away = cv2.absdiff(half, cv2.medianBlur(half, 3))
    return cv2.countNonZero(cv2.subtract(away, np.full_like(away, _NOISY))) / half.size


def entropy(picture: Picture, past: Past | None) -> float | None:
    """Bits a pixel, of the histogram (Shannon 1948)."""
    del past
    if picture.half is None:
        return None
    levels = histogram_of(picture.grey, picture.visible)
    if levels.sum() == 0:
        return None
    shares = levels[levels > 0] / levels.sum()
    return float(-(shares * np.log2(shares)).sum())


def blocks(picture: Picture, past: Past | None) -> float | None:
    """Share of blocks of 8 x 8 pixels of 1080p without any difference in them."""
    del past
    half = _half(picture)
    if half is None or min(half.shape) < _BLOCK_PX:
        return None
    kernel = np.ones((_BLOCK_PX, _BLOCK_PX), np.uint8)
    spread = cv2.subtract(cv2.dilate(half, kernel, anchor=(0, 0)), cv2.erode(half, kernel, anchor=(0, 0)))
    blocks_ = spread[: 1 - _BLOCK_PX : _BLOCK_PX, : 1 - _BLOCK_PX : _BLOCK_PX]
    return float((blocks_ == 0).mean())


def _half(picture: Picture) -> Pixels | None:
    """Without what a mask covers, as far as a frame of whole rows and columns can leave it out."""
    if picture.half is None or picture.visible is None:
        return picture.half
    rows, columns = np.nonzero(picture.visible)
    if not len(rows):
        return None
    height, width = picture.half.shape
    down, along = height / picture.grey.shape[0], width / picture.grey.shape[1]
    top, bottom = round(rows.min() * down), round((rows.max() + 1) * down)
    left, right = round(columns.min() * along), round((columns.max() + 1) * along)
    return picture.half[top:bottom, left:right]
