"""What the file says, without looking at the picture."""

from __future__ import annotations

from captures.imaging.quality.past import Past
from captures.imaging.quality.picture import Picture


def is_broken(picture: Picture, past: Past | None) -> float | None:
    """1 where it is not whole, 0 where it is; None for pixels of a stream."""
    del past
    if picture.file is None:
        return None
    return 1.0 if picture.file.error else 0.0


def density(picture: Picture, past: Past | None) -> float | None:
    """Bytes for each pixel."""
    del past
    return None if picture.file is None else picture.file.bytes / (picture.width * picture.height)


def size(picture: Picture, past: Past | None) -> float | None:
    """Millions of bytes."""
    del past
    return None if picture.file is None else picture.file.bytes / 1e6
