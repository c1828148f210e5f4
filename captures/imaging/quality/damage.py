"""Pixels that the camera never saw: what decoders paint where data was lost."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from captures.imaging.quality.past import Past
from captures.imaging.quality.picture import Picture


def smear(picture: Picture, past: Past | None) -> float | None:
    """Longest run of rows that continue the row above, as a share of the height."""
    del past
    grey = picture.grey.astype(np.float32)
    if min(grey.shape) < 8:
        return None
    down = np.abs(np.diff(grey, axis=0)).mean(axis=1)
    along = np.abs(np.diff(grey, axis=1)).mean(axis=1)[1:]
    repeats: npt.NDArray[np.bool_] = (down < 0.25 * along + 0.02) & (along > 0.6)
    return longest_run(repeats) / len(grey)


def missing(picture: Picture, past: Past | None) -> float | None:
    """Longest run of flat mid-grey rows, as a share of the height."""
    del past
    rows = picture.quarter.reshape(picture.quarter.shape[0], -1).astype(np.float32)
    flat = (rows.std(axis=1) < 3) & (np.abs(rows.mean(axis=1) - 128) < 3)
    return longest_run(flat) / len(flat)


def longest_run(rows: npt.NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], rows.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))
