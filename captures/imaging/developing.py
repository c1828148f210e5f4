"""From what a camera gave to what is kept: decoded once, its masks burned in, and encoded once at most."""

from __future__ import annotations

from dataclasses import dataclass, field

from cameras.geometry import Geometry
from cameras.sources import Still
from captures.imaging.errors import BrokenPicture
from captures.imaging.pictures import PictureFacts, encode_jpeg, read_header
from captures.imaging.quality.picture import Picture


@dataclass(frozen=True, slots=True)
class Negative:
    """What a camera gave, decoded, as it sees it: nothing is left below its masks.

    `own` are the camera's bytes, `suffix` those of their format; None of a stream, and where there are masks.
    """

    picture: Picture = field(repr=False)
    own: bytes | None = field(repr=False)
    suffix: str = "jpg"


@dataclass(frozen=True, slots=True)
class Print:
    """A picture as it is stored: `data` in the format that `suffix` names, `width` × `height` pixels."""

    data: bytes = field(repr=False)
    suffix: str
    width: int
    height: int


def expose(still: Still, geometry: Geometry, *, heavy: bool) -> Negative:
    """Decodes once, as far as it is needed, and burns the masks in. Raises BrokenPicture where nothing decodes."""
    if still.encoded is None:
        if still.pixels is None:
            raise BrokenPicture("The camera gave neither bytes nor pixels.")
        pixels = geometry.burn(still.pixels)
        hidden = geometry.hidden(*pixels.shape[:2])
        return Negative(Picture.of_pixels(pixels, heavy=heavy, hidden=hidden), None)
    header = read_header(still.encoded)
    suffix = header.format.lower().replace("jpeg", "jpg")
    if geometry.keeps(header.width, header.height):
        return Negative(Picture.of_bytes(still.encoded, full=False, heavy=heavy), still.encoded, suffix)
    picture = Picture.of_bytes(still.encoded, full=True, heavy=heavy)
    if not geometry.has_masks:
        return Negative(picture, still.encoded, suffix)
    assert picture.pixels is not None  # noqa: S101 - it was asked for in full
    pixels = geometry.burn(picture.pixels)
    hidden = geometry.hidden(*pixels.shape[:2])
    return Negative(Picture.of_pixels(pixels, heavy=heavy, file=picture.file, hidden=hidden), None)


def inspect_picture(data: bytes) -> PictureFacts:
    """What is whole: it decodes, and its file says that nothing is missing. Raises BrokenPicture with the reason.

    The same that is asked of a picture that nobody judges before it is stored. Whether what is in it can be used is the
    judgement's question. What follows the end of a picture does not matter: many cameras append something.
    """
    file = Picture.of_bytes(data, full=False, heavy=False).file
    if file is not None and file.error:
        raise BrokenPicture(file.error)
    return read_header(data)


def develop(negative: Negative, geometry: Geometry, *, quality: int) -> Print:
    """The camera's own bytes where nothing must be changed, else the one encoding, as a JPEG of `quality` (1-100)."""
    picture = negative.picture
    if negative.own is not None and geometry.keeps(picture.width, picture.height):
        return Print(negative.own, negative.suffix, picture.width, picture.height)
    assert picture.pixels is not None  # noqa: S101 - `expose` has decoded it in full
    pixels = geometry.frame(picture.pixels)
    height, width = pixels.shape[:2]
    return Print(encode_jpeg(pixels, quality), "jpg", width, height)
