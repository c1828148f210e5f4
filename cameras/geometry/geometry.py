"""The geometry of a camera as a value: what is hidden, cut, turned and fitted, in this order.

    camera's picture, upright (EXIF applied)
      -> masks        filled with black, before anything looks at the picture or keeps it
      -> crop         in the frame of the camera's picture, like the masks
      -> rotate       clockwise
      -> flip         of what has been turned
      -> aspect       of what has been turned: cut, or black bars

Masks and crop are shares of the camera's picture, so they stay where they are when the stream changes its size, and
when the picture is turned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cameras.geometry import document
from cameras.geometry.layout import Aspect, Crop, Layout, lay_out

if TYPE_CHECKING:  # 15 MB in every process that only knows that there are cameras
    import numpy as np
    from numpy.typing import NDArray

Point = tuple[float, float]
Mask = tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Geometry:
    """What happens to each picture of a camera. `masks` are polygons of (x, y), shares in [0, 1] of its picture."""

    masks: tuple[Mask, ...] = ()
    crop: Crop | None = None
    rotate: Literal[0, 90, 180, 270] = 0
    flip_horizontal: bool = False
    flip_vertical: bool = False
    aspect: Aspect | None = None

    @classmethod
    def from_document(cls, written: Any) -> Geometry:
        """Reads what `Camera.geometry` holds or a person has sent. Raises GeometryRefused."""
        return cls(**document.read(written))

    def to_document(self) -> dict[str, Any]:
        """The document that says the same and nothing more: empty where the picture stays as it comes."""
        return document.write(self)

    @property
    def is_plain(self) -> bool:
        """Whether nothing is ever changed. See also `keeps`."""
        return self == Geometry()

    @property
    def has_masks(self) -> bool:
        return bool(self.masks)

    def keeps(self, width: int, height: int) -> bool:
        """Whether a picture of this size stays as it came, because it has the wanted aspect already."""
        return not self.masks and self.layout(width, height).is_idle

    def burn(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture, (height, width, 3) or (height, width), upright as the camera sent it, with its masks black.

        Written into the same array where that can be written, so that nobody goes on holding what was under them.
        """
        from cameras.geometry import pixels as drawing

        return drawing.burn(pixels, self.masks) if self.masks else pixels

    def hidden(self, height: int, width: int) -> NDArray[np.bool_] | None:
        """(height, width): True where a mask hides, at any size of the camera's picture; None without masks.

        Every pixel that a mask touches, and two around it.
        """
        from cameras.geometry import pixels as drawing

        return drawing.hidden(self.masks, height, width) if self.masks else None

    def frame(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture cropped, turned, flipped and fitted: C-contiguous, of `size_of` its size. Burns no masks."""
        from cameras.geometry import pixels as drawing

        return drawing.arrange(pixels, self.layout(pixels.shape[1], pixels.shape[0]))

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of what `frame` makes of a picture of `width` × `height`."""
        return self.layout(width, height).size

    def layout(self, width: int, height: int) -> Layout:
        return lay_out(self, width, height)

    def with_masks_of(self, other: Geometry) -> Geometry:
        """The same with the masks of both: what hides more."""
        from dataclasses import replace

        return replace(self, masks=tuple(dict.fromkeys(self.masks + other.masks)))

    @property
    def only_masks(self) -> Geometry:
        return Geometry(masks=self.masks)
