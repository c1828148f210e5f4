"""The drawing: masks are burned in, and the picture is cut, turned and fitted."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cameras.geometry.geometry import Mask
    from cameras.geometry.layout import Layout

_SUBPIXEL_BITS = 4  # cv2.fillPoly's fixed point
# fillPoly and its outline lie within half a pixel of the polygon: one pixel around is every pixel that it touches, the
# second is the "and a little more" that a person means by hiding something.
_GROWN_PX = 2
_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


def burn(pixels: NDArray[np.uint8], masks: tuple[Mask, ...]) -> NDArray[np.uint8]:
    if not pixels.flags.writeable:
        pixels = pixels.copy()
    for rows, columns, stamp in _stamps(masks, *pixels.shape[:2]):
        region = pixels[rows, columns]
        # 50 times as quick as NumPy's own masks; the assignment is for layouts that OpenCV does not write in place.
        pixels[rows, columns] = cv2.copyTo(np.zeros_like(region), stamp, region)
    return pixels


def hidden(masks: tuple[Mask, ...], height: int, width: int) -> NDArray[np.bool_]:
    raster = np.zeros((height, width), np.bool_)
    for rows, columns, stamp in _stamps(masks, height, width):
        raster[rows, columns] |= stamp > 0
    return raster


def arrange(pixels: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint8]:
    left, top, right, bottom = layout.box
    pixels = pixels[top:bottom, left:right]
    if layout.rotate:
        pixels = cv2.rotate(pixels, _TURNS[layout.rotate]).astype(np.uint8, copy=False)
    horizontal, vertical = layout.is_flipped
    pixels = pixels[:: -1 if vertical else 1, :: -1 if horizontal else 1]
    left, top, right, bottom = layout.trim
    pixels = pixels[top:bottom, left:right]
    if any(layout.bars):
        left, top, right, bottom = layout.bars
        pixels = cv2.copyMakeBorder(
            pixels, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(0, 0, 0)
        ).astype(np.uint8, copy=False)
    return np.ascontiguousarray(pixels)


_Stamp = tuple[slice, slice, NDArray[np.uint8]]


@lru_cache(maxsize=16)
def _stamps(masks: tuple[Mask, ...], height: int, width: int) -> tuple[_Stamp, ...]:
    """For each mask the rows and columns around it, and in them 255 where it hides."""
    return tuple(_made(masks, height, width))


def _made(masks: tuple[Mask, ...], height: int, width: int) -> Iterator[_Stamp]:
    for mask in masks:
        # The middle of the first pixel is 0 for OpenCV, and half a pixel from the edge for us.
        points = np.array(mask, np.float64) * (width, height) - 0.5
        left, top = np.floor(points.min(axis=0)).astype(int) - _GROWN_PX
        right, bottom = np.ceil(points.max(axis=0)).astype(int) + _GROWN_PX + 1
        canvas = _enclosed(points - (left, top), right - left, bottom - top)
        inside = canvas[max(0, -top) : height - top, max(0, -left) : width - left]
        inside.flags.writeable = False
        yield slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right)), inside


def _enclosed(points: NDArray[np.float64], width: int, height: int) -> NDArray[np.uint8]:
    """Everything that the line around the polygon encloses, also where it crosses itself; grown."""
    canvas = np.zeros((height, width), np.uint8)
    fixed = np.round(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(canvas, [fixed], (255,), shift=_SUBPIXEL_BITS)
    outlines, _ = cv2.findContours(canvas, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, outlines, -1, (255,), cv2.FILLED)
    around = np.ones((2 * _GROWN_PX + 1, 2 * _GROWN_PX + 1), np.uint8)
    return cv2.dilate(canvas, around).astype(np.uint8, copy=False)
