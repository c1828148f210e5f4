"""Pixels that the camera never saw: what decoders paint where data was lost."""

from __future__ import annotations

import cv2
import numpy as np

from captures.imaging.pictures import Pixels
from captures.imaging.quality.past import Past
from captures.imaging.quality.picture import Picture, Raster, extremes_of, histogram_of

SMALLEST_SIDE_PX = 16  # below it no structure can be told from another
_SMEARED_RUN = 0.2  # of the height: shorter straight edges are everywhere
_NOTHING_ELSE = 0.4  # of what is drawn near by are such lines
_AMONG_OTHERS = 0.2
_MACROBLOCK_PX = 16  # H.264, and JPEG with colour at half the resolution
_STANDS_OUT = 8  # levels
_FEW = 3  # sides that stand out by chance, in small pictures many of all
# A decoder without a reference starts from half of the range: 128 in full, (128 - 16) * 255 / 219 = 130 in limited.
_GREYS = range(127, 133)
_NEUTRAL = 3  # levels between the channels that JPEG makes of one grey


def smear(picture: Picture, past: Past | None) -> float | None:
    """Share of the picture under straight vertical lines that go on for a fifth of its height without even noise.

    A decoder that repeats the row above leaves the lines between columns (second differences, kept by their mean down
    a run) and no differences between rows. Walls have straight lines too, but few, and the sensor's noise runs along
    them; soft pictures have first differences, no second ones. Lines count in full where hardly anything else is drawn,
    a fifth where there is: lights mirrored in water, a fence.
    """
    del past
    height, width = picture.grey.shape
    if min(height, width) < SMALLEST_SIDE_PX:
        return None
    run = (1, max(8, round(height * _SMEARED_RUN)))
    lines = np.abs(cv2.boxFilter(cv2.Sobel(picture.grey, cv2.CV_16S, 2, 0, ksize=1), cv2.CV_32F, run))
    down = np.zeros_like(picture.grey)
    cv2.absdiff(picture.grey[1:], picture.grey[:-1], dst=down[1:])
    along = cv2.boxFilter(down, cv2.CV_32F, run)
    straight = (lines > 0.5) & (along < 0.25 * lines)
    structured = (lines > 0.5) | (along > 0.5)
    if picture.hidden is not None:
        straight &= ~picture.hidden
        structured &= ~picture.hidden
    tiles = (min(32, width), min(18, height))
    straight_, structured_ = (
        cv2.resize(each.view(np.uint8) * np.uint8(255), tiles, interpolation=cv2.INTER_AREA).astype(
            np.float32
        )
        / 255
        for each in (straight, structured)
    )
    near = cv2.blur(straight_, (8, 4)) / np.maximum(cv2.blur(structured_, (8, 4)), 0.02)
    alone = float(straight_[near > _NOTHING_ELSE].sum())
    visible = straight_.size if picture.visible is None else straight_.size * float(picture.visible.mean())
    return (alone + _AMONG_OTHERS * float(straight_.sum())) / visible if visible else None


def patches(picture: Picture, past: Past | None) -> float | None:
    """Share of the sides of macroblocks that stand out as a whole, beyond the lines half a block away.

    Wrong or missing bits put blocks of 16 x 16 pixels where they do not belong. What is seen has its edges anywhere.
    None for pictures reduced so far that such a block is fewer than four pixels.
    """
    del past
    side = _MACROBLOCK_PX // max(1, round(picture.width / picture.grey.shape[1]))
    if side < 4 or min(picture.grey.shape) < 2 * _MACROBLOCK_PX:
        return None
    upright, turned = _standing_out(picture, side), _standing_out(picture, side, is_turned=True)
    sides = upright[2] + turned[2]
    return max(0, upright[0] + turned[0] - upright[1] - turned[1] - _FEW) / sides


def _standing_out(picture: Picture, side: int, *, is_turned: bool = False) -> tuple[int, int, int]:
    """Sides of blocks that stand out, lines half a block away that do, and how many sides there are."""
    grey = np.ascontiguousarray(picture.grey.T) if is_turned else picture.grey
    jumps = cv2.absdiff(grey[:, 1:], grey[:, :-1])
    if picture.hidden is not None:
        hidden = picture.hidden.T if is_turned else picture.hidden
        jumps[hidden[:, 1:] | hidden[:, :-1]] = 0
    # The mean along each block's side, for every line.
    rows = len(jumps) // side
    means = cv2.resize(
        jumps[: rows * side].astype(np.float32), (jumps.shape[1], rows), interpolation=cv2.INTER_AREA
    )
    beside = np.zeros_like(means)
    beside[:, 1:-1] = np.maximum(means[:, :-2], means[:, 2:])
    stands = (means > _STANDS_OUT) & (means > 3 * beside + 2)
    stands[:, (0, 1, -1)] = False
    on, off = stands[:, side - 1 :: side], stands[:, side - 1 + side // 2 :: side]
    return int(on.sum()), int(off.sum()), on.size


def missing(picture: Picture, past: Past | None) -> float | None:
    """Rows from the bottom up that are nothing but one mid-grey or an empty green, as a share of the height.

    None where that is all there is: such a picture is uniform, nothing of it is missing.
    """
    del past
    counted = 0
    for row in range(len(picture.quarter) - 1, -1, -1):
        pixels = picture.quarter[row : row + 1]
        if picture.visible is not None:
            pixels = pixels[:, picture.visible[row]]
        if pixels.size and not _is_blank(pixels):
            return counted / len(picture.quarter)
        counted += pixels.size > 0
    return None


def ghosting(picture: Picture, past: Past | None) -> float | None:
    """Share of exactly that grey from which a decoder starts without its key frame, beyond what lies around it.

    Asphalt and fog are grey too, but never of one level: their neighbouring levels are as full, and are taken away.
    """
    del past
    count = picture.grey.size if picture.visible is None else int(picture.visible.sum())
    if count == 0:
        return None
    low, high = extremes_of(picture.quarter)
    neutral = cv2.subtract(high, low) <= _NEUTRAL
    if picture.visible is not None:
        neutral &= picture.visible
    levels = histogram_of(picture.grey, neutral) / count
    best = 0.0
    for level in _GREYS:
        spike = levels[level - 1 : level + 2].sum()
        around = levels[level - 14 : level - 4].sum() + levels[level + 5 : level + 15].sum()
        best = max(best, float(spike - 1.5 * around))
    return best


def green(picture: Picture, past: Past | None) -> float | None:
    """Share of the picture that is the green of empty planes."""
    del past
    return _share(_empty_green(picture.quarter), picture)


def green_cast(picture: Picture, past: Past | None) -> float | None:
    """Levels by which the mean green exceeds both other means: colour planes lost, brightness whole."""
    del past
    if picture.hidden is not None and picture.hidden.all():
        return None
    mask = None if picture.visible is None else picture.visible.astype(np.uint8)
    blue, green_, red, _ = cv2.mean(picture.quarter, mask)
    return green_ - max(blue, red)


def uniform(picture: Picture, past: Past | None) -> float | None:
    """Levels between the darkest and the brightest 0.5 %, a clock left out: no lens sees one colour, without noise."""
    del past
    levels = np.cumsum(histogram_of(picture.grey, picture.visible))
    if levels[-1] == 0:
        return None
    low, high = np.searchsorted(levels, levels[-1] * np.array((0.005, 0.995)))
    return float(high - low)


def _is_blank(row: Pixels) -> bool:
    """Of (1, w, 3): all but one of two hundred pixels."""
    low, high = extremes_of(row)
    grey = (low >= _GREYS[0] - 1) & (high <= _GREYS[-1] + 1) & (cv2.subtract(high, low) <= _NEUTRAL)
    return bool(max(grey.mean(), _empty_green(row).mean()) >= 0.995)


def _empty_green(pixels: Pixels) -> Raster:
    """Y = U = V = 0 is (0, 135, 0) by BT.601 and (0, 77, 0) by BT.709."""
    found: Raster = cv2.inRange(pixels, (0, 61, 0), (27, 169, 27)) > 0
    return found


def _share(found: Raster, picture: Picture) -> float | None:
    if picture.visible is None:
        return float(found.mean())
    return float(found[picture.visible].mean()) if picture.visible.any() else None
