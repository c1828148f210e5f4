"""What the file says, without looking at the picture."""

from __future__ import annotations

from captures.imaging.quality.past import Past
from captures.imaging.quality.picture import Picture

_USUAL = 5  # pictures in a row: broken lines and cables damage some pictures, a way of writing marks all


def is_broken(picture: Picture, past: Past | None) -> float | None:
    """1 where it is not whole, 0 where it is; None for pixels of a stream."""
    del past
    if picture.file is None:
        return None
    return 1.0 if picture.file.error else 0.0


def has_wrong_bits(picture: Picture, past: Past | None) -> float | None:
    """1 where the decoder warns of wrong bits, 0 where it does not; None where only files could tell, or bits.

    0 where it warned of each of the last pictures too: so writes this camera.
    """
    if picture.file is None or picture.file.format != "JPEG":
        return None
    is_usual = past is not None and past.warned >= _USUAL
    return 1.0 if picture.file.warning and not is_usual else 0.0


def density(picture: Picture, past: Past | None) -> float | None:
    """Bytes for each pixel."""
    del past
    return None if picture.file is None else picture.file.bytes / (picture.width * picture.height)


def size(picture: Picture, past: Past | None) -> float | None:
    """Millions of bytes."""
    del past
    return None if picture.file is None else picture.file.bytes / 1e6
