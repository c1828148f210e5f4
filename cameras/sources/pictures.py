"""What encoded pictures say about themselves: kind, size, and whether their end is there. No decoding."""

import struct
from dataclasses import dataclass

from cameras.sources.errors import BrokenPicture, NotAPicture, TooLarge

JPEG_START = b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"
PNG_START = b"\x89PNG\r\n\x1a\n"

# ITU-T T.81, table B.1: frame headers are SOF0-SOF15 without DHT (C4), JPG (C8) and DAC (CC).
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
MAX_PIXELS = (
    100_000_000  # as captures.imaging.pictures, which knows no cameras; above it is a decompression bomb
)


@dataclass(frozen=True, slots=True)
class PictureFacts:
    codec: str  # mjpeg or png, as FFmpeg calls them
    width: int
    height: int


def read_picture_facts(encoded: bytes) -> PictureFacts:
    """Kind and size from the headers.

    Raises NotAPicture, TooLarge for more than MAX_PIXELS, BrokenPicture where the end is missing.
    """
    if encoded.startswith(JPEG_START):
        return _read_jpeg(encoded)
    if encoded.startswith(PNG_START):
        return _read_png(encoded)
    raise NotAPicture


def _read_jpeg(encoded: bytes) -> PictureFacts:
    facts: PictureFacts | None = None
    position = 2
    while position + 4 <= len(encoded):
        if encoded[position] != 0xFF:
            raise BrokenPicture("The JPEG is damaged in its headers.")
        marker = encoded[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        length = int.from_bytes(encoded[position + 2 : position + 4])
        if marker in _FRAME_HEADERS and position + 9 <= len(encoded):
            height, width = struct.unpack_from(">HH", encoded, position + 5)
            facts = PictureFacts("mjpeg", width, height)
        if marker == _START_OF_SCAN:
            break
        position += 2 + max(length, 2)
    if facts is None or not facts.width or not facts.height:
        raise BrokenPicture("The JPEG ends before its size is told.")
    _check_size(facts.width, facts.height)
    # Searched behind the start of the scan: thumbnails inside of the headers have an end of their own.
    if encoded.rfind(JPEG_END) < position:
        raise BrokenPicture("The JPEG is cut off: its end is missing.", encoded=encoded, codec=facts.codec)
    return facts


def _read_png(encoded: bytes) -> PictureFacts:
    if len(encoded) < 33 or encoded[12:16] != b"IHDR":
        raise BrokenPicture("The PNG ends before its size is told.")
    width, height = struct.unpack_from(">II", encoded, 16)
    if not width or not height:
        raise BrokenPicture("The PNG says no size.")
    _check_size(width, height)
    if encoded.rfind(b"IEND") < 33:
        raise BrokenPicture("The PNG is cut off: its end is missing.", encoded=encoded, codec="png")
    return PictureFacts("png", width, height)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise TooLarge(f"The picture is absurdly large: {width} x {height} pixels.")
