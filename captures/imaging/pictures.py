"""Is it a picture, and how large?"""

import io
import struct
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from captures.imaging.errors import BrokenPicture

Pixels = npt.NDArray[np.uint8]  # (height, width, 3), BGR, or (height, width) for grey

MAX_PIXELS = 100_000_000  # three times 8K; above it is a decompression bomb, 400 MB when decoded
MAX_SIDE_PX = 32_767  # OpenCV's remapping and the film encoders go no further
JPEG_QUALITY = 90
_ORIENTATION = 0x0112  # EXIF 2.3, 4.6.4 A
_TURNED = (5, 6, 7, 8)  # orientations that swap width and height

# The classes and not Image.open: it warns about large pictures, and only after having looked through all
# formats.
_READERS: dict[bytes, tuple[str, type[ImageFile.ImageFile]]] = {
    b"\xff\xd8\xff": ("JPEG", JpegImagePlugin.JpegImageFile),
    b"\x89PNG\r\n\x1a\n": ("PNG", PngImagePlugin.PngImageFile),
    b"RIFF": ("WEBP", WebPImagePlugin.WebPImageFile),
}
# What Pillow raises for bytes that are not what they say; SyntaxError is its word for "not this format".
_UNREADABLE = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, MemoryError,
    struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """Width and height in pixels as it is to be looked at (EXIF orientation applied); JPEG, PNG or WEBP.

    `orientation` is EXIF's, 1-8: how the coded pixels have to be turned for it.
    """

    width: int
    height: int
    format: str
    orientation: int = 1


def read_header(data: bytes) -> PictureFacts:
    """Format and size from the first bytes; decodes nothing (about 0.1 ms). Raises BrokenPicture."""
    return _facts(*_opened(data))


def encode_jpeg(pixels: Pixels, quality: int = JPEG_QUALITY) -> bytes:
    """JPEG bytes of BGR or grey pixels. Raises ValueError for anything else."""
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ValueError(f"pixels must be uint8 BGR or grey, not {pixels.dtype} {pixels.shape}")
    is_encoded, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not is_encoded:
        raise ValueError(f"these pixels cannot be a JPEG: {pixels.shape}")
    return encoded.tobytes()


def _opened(data: bytes) -> tuple[str, ImageFile.ImageFile]:
    if not data:
        raise BrokenPicture("no bytes")
    for signature, (kind, reader) in _READERS.items():
        if data.startswith(signature):
            try:
                return kind, reader(io.BytesIO(data))
            except _UNREADABLE as error:
                raise BrokenPicture(f"not a readable {kind}: {error}") from error
    raise BrokenPicture("not a JPEG, PNG or WebP picture")


def _facts(kind: str, image: ImageFile.ImageFile) -> PictureFacts:
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PX:
        raise BrokenPicture(f"absurdly large: {width} x {height}")
    orientation = _orientation(image.info.get("exif", b""))
    if orientation in _TURNED:
        width, height = height, width
    return PictureFacts(width, height, kind, orientation)


def _orientation(exif: bytes) -> int:
    """1-8 from the first directory of an EXIF block (TIFF 6.0, section 2); broken EXIF counts as upright.

    Not Pillow's reader, which reads all of it and warns about what many cameras write.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, offset)
        for number in range(count):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, offset + 2 + 12 * number)
            if tag == _ORIENTATION:
                return int(value)
    except struct.error:
        pass
    return 1
