"""How far the drawing of a scene has moved between two small views, whatever the light.

What is compared is the direction of edges with its sign left out: at night a window is brighter than its wall and by
day darker, its edges run the same way. Edges count by what they are, hardly by how strong they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from captures.imaging.pictures import Pixels

Floats = npt.NDArray[np.float32]

_EDGE = (
    3.0  # levels per pixel at which an edge counts half: noise counts little, a strong edge no more than one
)
_NEAR_PX = 3  # around a peak belongs to it
_TILES = (6, 4)
_TILE_EDGES = 0.02  # mean strength in [0, 1] above which a tile has anything to compare
_STAYED = 0.48  # correlation of what has stayed in its place, at the least
_SLIPPED_PX = 2  # sideways, at the least
_STANDS_OUT = 4.0  # standard deviations by which the place to which a part slipped is better than others
_FEWEST_EDGES = 3.0  # sum of squared strengths
_TILE_AGREES = 0.2  # correlation of two tiles that show the same; unrelated ones come to about 0


@dataclass(frozen=True, slots=True)
class Shift:
    """`right`, `down` in pixels of the view. Heights in standard deviations of all shifts: `peak` of the best one,
    `rival` of the next best that is neither near it nor in place, `in_place` of none.

    `agreeing`: the share of tiles that show something which agree with it, better than in place.
    """

    right: int
    down: int
    peak: float
    rival: float
    in_place: float
    agreeing: float


def edges_of(view: Pixels) -> Floats:
    """(h, w, 2): direction of the edge at each pixel, as the doubled angle, its strength in [0, 1)."""
    levels = cv2.GaussianBlur(view, (0, 0), 0.8).astype(np.float32)
    across, along = (cv2.Sobel(levels, cv2.CV_32F, *way, ksize=3, scale=1 / 8) for way in ((1, 0), (0, 1)))
    strength = np.maximum(cv2.magnitude(across, along), 1e-3)
    weight = np.where(strength < 1, 0, 1 / (strength + _EDGE) ** 2).astype(np.float32)
    edges = cv2.merge(((across * across - along * along) * weight, 2 * across * along * weight))
    for border in (edges[:1], edges[-1:], edges[:, :1], edges[:, -1:]):
        border[:] = 0
    return np.asarray(edges, np.float32)


def shift_of(now: Floats, before: Floats) -> Shift | None:
    """By correlating all shifts up to a third of the view. None where one of the views shows no edges."""
    height, width = now.shape[:2]
    if min(height, width) < 4 * _NEAR_PX or not (now.any() and before.any()):
        return None
    heights = _correlated(now, before)
    middle = _reach(height, width)
    down, right = (int(at) for at in np.unravel_index(int(heights.argmax()), heights.shape))
    others = np.ones(heights.shape, bool)
    for row, column in ((down, right), middle):
        others[_around(row, _NEAR_PX), _around(column, _NEAR_PX)] = False
    mean, deviation = float(heights[others].mean()), max(float(heights[others].std()), 1e-6)
    unmoved = float(heights[_around(middle[0], 1), _around(middle[1], 1)].max())
    away = (right - middle[1], down - middle[0])
    return Shift(
        *away,
        peak=(float(heights[down, right]) - mean) / deviation,
        rival=(float(heights[others].max()) - mean) / deviation,
        in_place=(unmoved - mean) / deviation,
        agreeing=_agreeing(now, before, *away),
    )


def slipped(now: Floats, before: Floats, row: int) -> float:
    """By how much better the part on one side of that row fits where it has slipped sideways than in its place.

    In [0, 1], as a correlation; 0 where the other part has not stayed where it was.
    """
    height = len(now)
    if now.shape != before.shape or not 0 < row < height:
        return 0.0
    parts = (slice(row), slice(row, height))
    return max(
        _slipped_part(now[gone], before[gone]) if in_place(now[stayed], before[stayed]) > _STAYED else 0.0
        for stayed, gone in (parts, parts[::-1])
    )


def in_place(now: Floats, before: Floats) -> float:
    """Correlation of the edges where they are, in [-1, 1]; 0 where none are."""
    return float(np.sum(now * before)) / _energy(now, before)


def gone(now: Floats, before: Floats) -> float:
    """Share of the tiles that showed something in which nothing of it is in its place, in [0, 1]."""
    agrees, shown = _by_tiles(now, before)
    return float((agrees < _TILE_AGREES)[shown].mean()) if shown.any() else 0.0


def _slipped_part(now: Floats, before: Floats) -> float:
    if float((before * before).sum()) < _FEWEST_EDGES:
        return 0.0
    height, width = now.shape[:2]
    padded = np.zeros((2, height, cv2.getOptimalDFTSize(2 * width), 2), np.float32)
    padded[:, :, :width] = now, before
    spectra = [cv2.dft(each, flags=cv2.DFT_ROWS | cv2.DFT_COMPLEX_OUTPUT) for each in padded]
    product = cv2.mulSpectrums(spectra[0], spectra[1], cv2.DFT_ROWS, conjB=True)
    together = np.asarray(product).sum(axis=0, keepdims=True)
    places = np.asarray(cv2.dft(together, flags=cv2.DFT_INVERSE | cv2.DFT_SCALE | cv2.DFT_ROWS))[0, :, 0]
    places = places / _energy(now, before)
    best = int(places.argmax())
    by = min(best, len(places) - best)
    stands_out = float(places[best] - places.mean()) > _STANDS_OUT * float(places.std())
    return max(0.0, float(places[best] - places[0])) if by > _SLIPPED_PX and stands_out else 0.0


def _energy(now: Floats, before: Floats) -> float:
    both = float(np.sum(now * now)) * float(np.sum(before * before))
    return max(math.sqrt(both), 1e-3)


def _around(at: int, by: int) -> slice:
    return slice(max(0, at - by), at + by + 1)


def _correlated(now: Floats, before: Floats) -> Floats:
    """How well `before` fits where it is moved by each shift, none in the middle."""
    height, width = now.shape[:2]
    down, right = _reach(height, width)
    size = cv2.getOptimalDFTSize(height + down), cv2.getOptimalDFTSize(width + right)
    spectra = []
    for edges in (now, before):
        padded = np.zeros((*size, 2), np.float32)
        padded[:height, :width] = edges
        spectra.append(cv2.dft(padded, flags=cv2.DFT_COMPLEX_OUTPUT))
    product = cv2.mulSpectrums(spectra[0], spectra[1], 0, conjB=True)
    found = cv2.dft(product, flags=cv2.DFT_INVERSE | cv2.DFT_SCALE)[..., 0]
    return np.roll(np.asarray(found, np.float32), (down, right), (0, 1))[: 2 * down + 1, : 2 * right + 1]


def _reach(height: int, width: int) -> tuple[int, int]:
    """Beyond a third of it too little of the view is left to agree."""
    return height // 3, width // 3


def _agreeing(now: Floats, before: Floats, right: int, down: int) -> float:
    """Clouds, water, a crane move in their part of the picture; a camera moves all of it."""
    height, width = now.shape[:2]
    here = now[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
    there = before[max(0, -down) : height + min(0, -down), max(0, -right) : width + min(0, -right)]
    stays = now[max(0, -down) : height + min(0, -down), max(0, -right) : width + min(0, -right)]
    moved, shown = _by_tiles(here, there)
    kept, _ = _by_tiles(stays, there)
    if not shown.any():
        return 0.0
    return float(((moved > _TILE_AGREES) & (moved > kept))[shown].mean())


def _by_tiles(first: Floats, second: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Correlation of each tile, and which of the second show anything."""
    energies = [_tiles((each * each).sum(axis=2)) for each in (first, second)]
    together = _tiles((first * second).sum(axis=2))
    correlation = together / np.maximum(np.sqrt(energies[0] * energies[1]), _TILE_EDGES**2)
    return correlation.astype(np.float32), energies[1] > _TILE_EDGES**1.5


def _tiles(values: Floats) -> Floats:
    columns, rows = (max(1, min(many, side)) for many, side in zip(_TILES, values.shape[::-1], strict=True))
    return np.asarray(cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
