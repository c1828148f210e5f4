"""From shares to whole pixels, for a picture of a certain size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cameras.geometry.geometry import Geometry

RATIOS = ("16:9", "4:3", "1:1", "21:9", "9:16")
# Nobody sees it, and the picture would be encoded anew for it (reference systems, section 7).
TOLERANCE = 0.01
MIN_SIDE_PX = 16  # one block of a JPEG with halved colours
MAX_SIDE_PX = 32_767  # as captures.imaging takes them


@dataclass(frozen=True, slots=True)
class Crop:
    """What stays, as shares of the camera's picture: (x, y) is the upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Aspect:
    """`ratio` as "width:height" of the picture that is stored; what is too much is cut, or black bars are added."""

    ratio: str
    mode: Literal["crop", "letterbox"]

    @property
    def value(self) -> float:
        width, height = self.ratio.split(":")
        return float(width) / float(height)


@dataclass(frozen=True, slots=True)
class Layout:
    """In pixels. `box` is cut from the source as (left, top, right, bottom), right and bottom exclusive; then it is
    turned clockwise by `rotate` and flipped; then `cut` is taken from each side (left and right, top and bottom), and
    bars are added, as (left, right) and (top, bottom).
    """

    box: tuple[int, int, int, int]
    rotate: int
    is_flipped: tuple[bool, bool]
    turned: tuple[int, int]
    trim: tuple[int, int, int, int]
    bars: tuple[int, int, int, int]
    source: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        left, top, right, bottom = self.trim
        before, above, after, below = self.bars
        return right - left + before + after, bottom - top + above + below

    @property
    def is_idle(self) -> bool:
        return (
            self.box == (0, 0, *self.source)
            and not self.rotate
            and not any(self.is_flipped)
            and self.trim == (0, 0, *self.turned)
            and not any(self.bars)
        )


def lay_out(geometry: Geometry, width: int, height: int) -> Layout:
    left, top, right, bottom = box = _box(geometry.crop, width, height)
    turned = (bottom - top, right - left) if geometry.rotate in (90, 270) else (right - left, bottom - top)
    trim, bars = _fitted(geometry.aspect, *turned)
    return Layout(
        box=box,
        rotate=geometry.rotate,
        is_flipped=(geometry.flip_horizontal, geometry.flip_vertical),
        turned=turned,
        trim=trim,
        bars=bars,
        source=(width, height),
    )


def _box(crop: Crop | None, width: int, height: int) -> tuple[int, int, int, int]:
    if crop is None:
        return 0, 0, width, height
    left, right = _span(crop.x, crop.width, width)
    top, bottom = _span(crop.y, crop.height, height)
    return left, top, right, bottom


def _span(start: float, length: float, side: int) -> tuple[int, int]:
    """The nearest whole pixels; at least MIN_SIDE_PX of them where the picture has so many."""
    first, last = round(start * side), min(side, round((start + length) * side))
    least = min(side, MIN_SIDE_PX)
    if last - first < least:
        first = max(0, min(first, side - least))
        last = first + least
    return first, last


def _fitted(
    aspect: Aspect | None, width: int, height: int
) -> tuple[tuple[int, int, int, int], tuple[int, int, int, int]]:
    """What stays of a picture as (left, top, right, bottom), and the bars around it in the same order."""
    whole, none = (0, 0, width, height), (0, 0, 0, 0)
    if aspect is None or abs(width / height - aspect.value) <= TOLERANCE:
        return whole, none
    is_too_wide = width / height > aspect.value
    if aspect.mode == "crop":
        wanted = max(1, round(height * aspect.value)) if is_too_wide else width
        lines = height if is_too_wide else max(1, round(width / aspect.value))
        left, top = (width - wanted) // 2, (height - lines) // 2
        return (left, top, left + wanted, top + lines), none
    wanted = width if is_too_wide else min(MAX_SIDE_PX, round(height * aspect.value))
    lines = min(MAX_SIDE_PX, round(width / aspect.value)) if is_too_wide else height
    left, top = (wanted - width) // 2, (lines - height) // 2
    return whole, (left, top, wanted - width - left, lines - height - top)
