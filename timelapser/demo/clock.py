"""The painted clock: words for people, and a strip of cells along the bottom that programs read back.

    | 1 0 1 0 | 48 bits: Unix time in milliseconds, highest first | 8 bits: CRC-8 |
      marks

60 cells across the whole width, as high as a thirtieth of the picture, white for 1 and black for 0. A cell is
wide enough to survive JPEG, H.264 and scaling down to about 200 pixels.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

MARKS = (1, 0, 1, 0)
TIME_BITS = 48
CHECK_BITS = 8
CELLS = len(MARKS) + TIME_BITS + CHECK_BITS
STRIP_SHARE = 30  # the picture is this many times as high as the strip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def paint_clock(pixels: Pixels, moment: datetime, *, name: str = "") -> None:
    """Paints into `pixels` (height, width, 3), BGR: date and time in UTC with tenths, and the strip."""
    height, width = pixels.shape[:2]
    text = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{moment.microsecond // 100_000} UTC"
    scale = height / 720
    spot = (round(24 * scale), round(48 * scale))
    for colour, thickness in (((0, 0, 0), 5), ((255, 255, 255), 2)):
        line = max(1, round(thickness * scale))
        cv2.putText(
            pixels, f"{name}  {text}".strip(), spot, cv2.FONT_HERSHEY_DUPLEX, scale, colour, line, cv2.LINE_AA
        )
    top = height - strip_height(height)
    edges = _edges(width)
    for index, bit in enumerate(_bits(moment)):
        pixels[top:, edges[index] : edges[index + 1]] = 235 if bit else 16


def read_clock(pixels: Pixels) -> datetime | None:
    """The moment painted into a picture of any size (grey or BGR), to the millisecond; None if unreadable."""
    height, width = pixels.shape[:2]
    if width < 2 * CELLS or height < STRIP_SHARE:
        return None
    strip = strip_height(height)
    rows = pixels[height - max(1, strip * 3 // 4) : max(height - strip // 4, height - strip + 1)]
    columns = rows.reshape(rows.shape[0], width, -1).mean(axis=(0, 2))
    edges = _edges(width)
    bits = []
    for left, right in pairwise(edges):
        margin = (right - left) // 4
        bits.append(int(columns[left + margin : right - margin].mean() > 128))
    return _moment(bits)


def strip_height(height: int) -> int:
    return max(1, height // STRIP_SHARE)


def _edges(width: int) -> list[int]:
    return [round(width * index / CELLS) for index in range(CELLS + 1)]


def _bits(moment: datetime) -> list[int]:
    value = (moment - EPOCH) // timedelta(milliseconds=1)
    payload = value.to_bytes(TIME_BITS // 8)
    number = int.from_bytes(payload + bytes([_crc8(payload)]))
    size = TIME_BITS + CHECK_BITS
    return [*MARKS, *(number >> (size - 1 - index) & 1 for index in range(size))]


def _moment(bits: list[int]) -> datetime | None:
    if tuple(bits[: len(MARKS)]) != MARKS:
        return None
    number = int("".join(map(str, bits[len(MARKS) :])), 2)
    payload = (number >> CHECK_BITS).to_bytes(TIME_BITS // 8)
    if _crc8(payload) != number & 0xFF:
        return None
    return EPOCH + timedelta(milliseconds=int.from_bytes(payload))


def _crc8(payload: bytes) -> int:
    """CRC-8, polynomial x^8 + x^2 + x + 1, begun with 0x5a so that an empty strip does not pass."""
    crc = 0x5A
    for byte in payload:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ 0x07 if crc & 0x80 else crc << 1
            crc &= 0xFF
    return crc
