"""The document of a geometry, read and checked: what a person may write, and what is wrong with it in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cameras.geometry.layout import RATIOS, Aspect, Crop
from cameras.geometry.problems import GeometryRefused

if TYPE_CHECKING:
    from cameras.geometry.geometry import Geometry

MAX_MASKS = 20
POINTS = (3, 50)
MIN_CROP = 0.02  # of a side; at 1080p that is 38 × 22 pixels
MOST_UNEQUAL = 5.0  # of the sides of an aspect; 32:9 screens are 3.6
TURNS = (0, 90, 180, 270)
MODES = ("crop", "letterbox")
DIGITS = 6  # a thirtieth of a pixel of the largest picture

_RATIO = re.compile(r"\d{1,5}(\.\d{1,3})?:\d{1,5}(\.\d{1,3})?")


def read(written: Any) -> dict[str, Any]:
    """The fields of a Geometry. Raises GeometryRefused with everything that is wrong."""
    reader = _Reader()
    values = reader.object("", written, ("rotate", "flip", "crop", "aspect", "masks"))
    flip = reader.object("flip", values.get("flip", {}), ("horizontal", "vertical"))
    found = {
        "rotate": reader.turn(values.get("rotate", 0)),
        "flip_horizontal": reader.flag("flip.horizontal", flip.get("horizontal", False)),
        "flip_vertical": reader.flag("flip.vertical", flip.get("vertical", False)),
        "crop": reader.crop(values.get("crop")),
        "aspect": reader.aspect(values.get("aspect")),
        "masks": reader.masks(values.get("masks", [])),
    }
    if reader.problems:
        raise GeometryRefused(reader.problems)
    return found


def write(geometry: Geometry) -> dict[str, Any]:
    crop, aspect = geometry.crop, geometry.aspect
    sides = {"horizontal": geometry.flip_horizontal, "vertical": geometry.flip_vertical}
    said = {
        "rotate": geometry.rotate,
        "flip": sides if any(sides.values()) else None,
        "crop": crop and {"x": crop.x, "y": crop.y, "width": crop.width, "height": crop.height},
        "aspect": aspect and {"ratio": aspect.ratio, "mode": aspect.mode},
        "masks": [[list(point) for point in mask] for mask in geometry.masks],
    }
    return {name: value for name, value in said.items() if value}


class _Reader:
    """Reads the parts and collects the problems of all of them; what cannot be read becomes harmless."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}

    def object(self, path: str, value: Any, known: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._refuse(path or "geometry", "This must be an object.")
            return {}
        for name in sorted(str(name) for name in value.keys() - set(known)):
            self._refuse(
                f"{path}.{name}".lstrip("."), f"There is no such field here; known: {', '.join(known)}."
            )
        return value

    def turn(self, value: Any) -> int:
        if isinstance(value, bool) or value not in TURNS:
            self._refuse("rotate", "One of 0, 90, 180 and 270 degrees clockwise.")
            return 0
        return int(value)

    def flag(self, path: str, value: Any) -> bool:
        if not isinstance(value, bool):
            self._refuse(path, "Yes or no.")
            return False
        return value

    def crop(self, value: Any) -> Crop | None:
        """None also for the whole picture."""
        if value is None:
            return None
        values = self.object("crop", value, ("x", "y", "width", "height"))
        x, width = self._span(values, "x", "width", "to the right of")
        y, height = self._span(values, "y", "height", "below")
        crop = Crop(x, y, width, height)
        return None if crop == Crop(0, 0, 1, 1) else crop

    def aspect(self, value: Any) -> Aspect | None:
        if value is None:
            return None
        values = self.object("aspect", value, ("ratio", "mode"))
        ratio, mode = values.get("ratio"), values.get("mode", "crop")
        if mode not in MODES:
            self._refuse("aspect.mode", f"One of: {', '.join(MODES)}.")
        if not isinstance(ratio, str) or not _RATIO.fullmatch(ratio):
            self._refuse("aspect.ratio", f"One of {', '.join(RATIOS)}, or two numbers like 3:2.")
            return None
        width, height = map(float, ratio.split(":"))
        if not width or not height or not 1 / MOST_UNEQUAL <= width / height <= MOST_UNEQUAL:
            self._refuse("aspect.ratio", f"No side may be more than {MOST_UNEQUAL:g} times the other.")
            return None
        return Aspect(ratio, mode)

    def masks(self, value: Any) -> tuple[tuple[tuple[float, float], ...], ...]:
        if not isinstance(value, list) or len(value) > MAX_MASKS:
            self._refuse("masks", f"A list of {MAX_MASKS} masks at most.")
            return ()
        return tuple(self._mask(f"masks.{number}", mask) for number, mask in enumerate(value))

    def _mask(self, path: str, value: Any) -> tuple[tuple[float, float], ...]:
        least, most = POINTS
        if not isinstance(value, list) or not least <= len(value) <= most:
            self._refuse(path, f"A mask has {least} to {most} points.")
            return ()
        return tuple(self._point(f"{path}.{number}", point) for number, point in enumerate(value))

    def _point(self, path: str, value: Any) -> tuple[float, float]:
        if not isinstance(value, list | tuple) or len(value) != 2:
            self._refuse(path, "A point is a pair of numbers: x and y.")
            return 0.0, 0.0
        x, y = (self._share(path, coordinate) for coordinate in value)
        return (0.0, 0.0) if x is None or y is None else (x, y)

    def _span(self, values: dict[str, Any], start: str, length: str, where: str) -> tuple[float, float]:
        first, share = (self._share(f"crop.{name}", values.get(name)) for name in (start, length))
        if first is None or share is None:
            return 0, 1
        if share < MIN_CROP:
            self._refuse(f"crop.{length}", f"At least {MIN_CROP:.0%} of the picture must stay.")
        elif first + share > 1 + 10**-DIGITS:
            self._refuse(f"crop.{length}", f"The crop ends {where} the picture.")
        return first, round(min(share, 1 - first), DIGITS)

    def _share(self, path: str, value: Any) -> float | None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value <= 1:  # also what is not a number at all: NaN
            self._refuse(path, "A number from 0 to 1: a share of the camera's picture.")
            return None
        return round(float(value), DIGITS)

    def _refuse(self, path: str, words: str) -> None:
        self.problems.setdefault(path, words)
