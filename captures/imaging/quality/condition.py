"""The camera does not see what it should: covered, out of focus, turned away, or it shows the same picture again.

All of it is told by comparing with what the camera saw before, by the same light where that matters. What is drawn is
compared, not how bright it is: fog takes contrast away and leaves the drawing, a hand takes the drawing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

from captures.imaging.pictures import Pixels
from captures.imaging.quality.past import (
    Past,
    Reference,
    are_alike,
    blocks_of,
    grey_of,
    sharpness_of,
    view_of,
)
from captures.imaging.quality.picture import Picture, median_of
from captures.imaging.quality.shift import edges_of, gone, in_place, shift_of

Floats = npt.NDArray[np.float32]

# A snapshot page that is asked each second may show the same picture for some seconds; longer, and it stands still.
_STANDSTILL_S = 4.0
_TEXTURE = 3.0  # levels of local deviation above which something is drawn
_RELATED = 0.4  # local correlation above which it is the same drawing
_UNRELATED = 0.68  # of what was drawn: of two scenes without anything in common a quarter is alike by chance
_WINDOW = (11, 11)  # of the view of about 98 x 55 pixels
_OBSTRUCTED = 0.75  # of what was drawn is not there: measured on closed shutters 0.78-0.84
_NO_BRIGHTER = 1.1  # times as bright
_GONE = 0.2  # of the coarse differences: it is covered, dark or in fog, not out of focus
_EDGES = 1.0  # levels of fine differences above which a part has edges
_FEWEST_PARTS = 6  # of 16 x 9
_IN_PLACE = 0.75  # correlation of edges: plainly where they were; a horizon alone comes to 0.5
_IN_PLACE_PX = 1  # of the view
_AGREED = 0.5  # of the tiles; measured: cameras that were moved 0.5-1, others, clouds and cranes below 0.45
_NOWHERE = 3.0  # standard deviations below which nothing is left in its place
_SAME_LIGHT, _OFFSET = 1.4, 8  # times as bright; levels, below which noise is brighter than what is seen
TOO_DARK = 16  # median level: night or a bag, nobody can tell


def frozen(picture: Picture, past: Past | None) -> float | None:
    """How often in a row the very same picture came again. 0 where it is another one."""
    if past is None or not past.blocks:
        return None
    if not are_alike(blocks_of(picture), past.blocks):
        return 0.0
    return float(past.repeats + 1) if past.last - past.since >= _STANDSTILL_S else 1.0


def covered(picture: Picture, past: Past | None) -> float | None:
    """Share of what was drawn before that has gone, with nothing in its place: a hand, a bag. Or _obstructed.

    By whatever light it was seen: what covers takes the light, too. What only brightens is fog, or snow on the lens:
    that is "little contrast". In the dark nobody can tell.
    """
    if past is None:
        return None
    level = median_of(picture.grey)
    if level >= TOO_DARK and (obstructed := _obstructed(picture, past)) > 0:
        return obstructed
    befores = [each for each in _befores(picture, past, past.references.values()) if median_of(each) > level]
    compared = _compared(picture, befores)
    if compared is None:
        return None
    if level < TOO_DARK:
        return 0.0
    return min(
        float((~related & (strength < 0.5 * was))[was > _TEXTURE].mean())
        for related, strength, was in compared
    )


def _obstructed(picture: Picture, past: Past) -> float:
    """Share of its parts that show something else than ever, no brighter, in a camera that still stands: a shutter.

    0 where something of the scene is seen, where it has only moved, and by a light in which it was never seen: then it
    may be the first night.
    """
    reference = past.reference_for(picture)
    if reference is None or median_of(view_of(picture)) > _NO_BRIGHTER * median_of(reference.view):
        return 0.0
    befores = _befores(picture, past, past.references.values())
    compared = _compared(picture, befores) or []
    if any(float((~related)[was > _TEXTURE].mean()) < _OBSTRUCTED for related, _, was in compared):
        return 0.0
    edges, shares = edges_of(view_of(picture)), []
    for before in map(edges_of, befores):
        shift = shift_of(edges, before)
        if shift is None or shift.agreeing >= _AGREED or shift.in_place < _NOWHERE:
            return 0.0
        shares.append(gone(edges, before))
    return min(shares, default=0.0)


def defocused(picture: Picture, past: Past | None) -> float | None:
    """Sharpness against that of the same scene by the same light, in the middle one of its parts; 1 is as ever.

    Parts and their middle: a clock that the camera writes stays sharp, noise is everywhere.Against the coarse
    differences, so that fog and dusk are not taken for it.
    """
    reference = None if past is None else past.reference_for(picture)
    if reference is None:
        return None
    (fine, coarse), (was_fine, was_coarse) = sharpness_of(picture), reference.sharpness.astype(np.float32)
    # The least of the parts shows nothing but noise, which no lens takes away.
    fine, was_fine = (
        np.sqrt(np.maximum(each**2 - np.percentile(each, 10) ** 2, 0)) for each in (fine, was_fine)
    )
    telling = (was_fine > _EDGES) & (was_coarse > _TEXTURE)
    if telling.sum() < _FEWEST_PARTS:
        return None
    if float(np.median(coarse[telling] / was_coarse[telling])) < _GONE:
        return None
    # Only these are divided: a part below a mask has no differences at all.
    before = was_fine[telling] / was_coarse[telling]
    return float(np.median((fine / np.maximum(coarse, 0.5))[telling] / before))


def moved(picture: Picture, past: Past | None) -> float | None:
    """How far the scene has moved, as a share of the width; 1 where it is another scene altogether.

    Only what most parts of the picture agree on is believed, and nothing where the edges are in their place, by
    whatever light. That nothing is where it was counts only against what was seen by the same light.
    """
    if past is None:
        return None
    reference = past.reference_for(picture)
    befores = _befores(picture, past, () if reference is None else (reference,))
    compared = _compared(picture, befores)
    if compared is None:
        return None
    edges, shifts = edges_of(view_of(picture)), []
    for before in map(edges_of, _befores(picture, past, past.references.values())):
        shift = None if in_place(edges, before) > _IN_PLACE else shift_of(edges, before)
        if shift is None or max(abs(shift.right), abs(shift.down)) <= _IN_PLACE_PX:
            return 0.0
        shifts.append(shift)
    width = int(picture.view.shape[1])
    found = [math.hypot(each.right, each.down) / width for each in shifts if each.agreeing >= _AGREED]
    if found:
        return min(found)
    lost = [
        (float((~related)[was > _TEXTURE].mean()), float((strength > 0.5 * was)[was > _TEXTURE].mean()))
        for related, strength, was in compared
    ]
    is_elsewhere = all(share > _UNRELATED and drawn > 0.5 for share, drawn in lost)
    is_nowhere = all(each.in_place < _NOWHERE for each in shifts)
    return 1.0 if reference is not None and is_elsewhere and is_nowhere else 0.0


def still_shown(picture: Picture, past: Past, height: float) -> tuple[float, float]:
    """Shares of what was drawn above that height (0 top, 1 bottom), and below it, which are there still.

    0 where nothing was, and where the light is another one.
    """
    befores = _befores(picture, past, ())
    compared = _compared(picture, befores)
    if compared is None:
        return 0.0, 0.0
    (related, _, was), view = compared[0], view_of(picture)
    row = round(height * len(was))
    above, below = (
        float(related[part][was[part] > _TEXTURE].mean())
        if (was[part] > _TEXTURE).any() and _is_as_bright(view[part], befores[0][part])
        else 0.0
        for part in (slice(row), slice(row, None))
    )
    return above, below


def _is_as_bright(now: Pixels, before: Pixels) -> bool:
    levels = float(np.median(now)) + _OFFSET, float(np.median(before)) + _OFFSET
    return max(levels) < _SAME_LIGHT * min(levels)


def _befores(picture: Picture, past: Past, references: Iterable[Reference]) -> list[Pixels]:
    """Views to compare with: the last good picture, and the references."""
    views = [each.view for each in references]
    if past.previous is not None:
        views.append(grey_of(past.previous))
    return [view for view in views if view.shape == picture.view.shape[:2]]


def _compared(
    picture: Picture, befores: list[Pixels]
) -> list[tuple[npt.NDArray[np.bool_], Floats, Floats]] | None:
    """For each view of before that shows something: what is related, how strongly it is drawn now, and was."""
    now = _drawn(view_of(picture))
    strength = _deviation(now)
    found = []
    for before in map(_drawn, befores):
        was = _deviation(before)
        if float((was > _TEXTURE).mean()) < 0.05:
            continue
        correlation = cv2.blur(now * before, _WINDOW) / np.maximum(strength * was, 1e-3)
        found.append((correlation > _RELATED, strength, was))
    return found or None


def _drawn(view: Pixels) -> Floats:
    levels = view.astype(np.float32)
    drawn: Floats = levels - cv2.blur(levels, (9, 9))
    return drawn


def _deviation(drawn: Floats) -> Floats:
    deviation: Floats = np.sqrt(np.maximum(cv2.blur(drawn * drawn, _WINDOW), 0))
    return deviation
