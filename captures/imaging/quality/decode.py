"""One decode of a file, reduced by the decoder itself, with what the decoder has to say about the coded bits."""

from __future__ import annotations

import re

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from captures.imaging.pictures import PictureFacts, Pixels

END_OF_JPEG = b"\xff\xd9"  # ITU-T T.81, B.1.1.3
_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_TURNS = {  # EXIF 2.3, 4.6.4 A: mirrored first, then turned
    2: (1, None),
    3: (None, cv2.ROTATE_180),
    4: (0, None),
    5: (0, cv2.ROTATE_90_CLOCKWISE),
    6: (None, cv2.ROTATE_90_CLOCKWISE),
    7: (1, cv2.ROTATE_90_CLOCKWISE),
    8: (None, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker 0x(\w\w)")
# What follows coded bits: the end, a restart, the tables or the head of the next scan. Elsewhere nothing was coded.
_MARKERS_BEHIND_BITS = {"d9", "c4", "da", *(f"d{number}" for number in range(8))}


def decoded(data: bytes, facts: PictureFacts, reduction: int) -> tuple[Pixels | None, str]:
    """BGR pixels, upright, at 1/`reduction` (1, 2, 4, 8) of their size, and the decoder's warning about wrong bits.

    None where nothing decodes. libjpeg-turbo decodes on after a warning, and OpenCV, which has the same decoder
    (equal pixels at equal speed), does not hand its warnings out: simplejpeg does.
    """
    if facts.format == "JPEG":
        pixels, warning = _decoded_jpeg(data, facts, reduction)
        if pixels is not None:
            return _upright(pixels, facts.orientation), warning
    # Other formats; four colours, and whatever else only OpenCV knows how to read.
    return _decoded_by_opencv(data, reduction), ""


def _decoded_jpeg(data: bytes, facts: PictureFacts, reduction: int) -> tuple[Pixels | None, str]:
    height, width = (-(-side // reduction) for side in (facts.height, facts.width))
    if facts.orientation in range(5, 9):
        height, width = width, height
    warning = ""
    for is_strict in (True, False):
        try:
            pixels = simplejpeg.decode_jpeg(
                data,
                "BGR",
                fastdct=False,
                fastupsample=False,
                min_height=height,
                min_width=width,
                min_factor=reduction,
                strict=is_strict,
            )
        except ValueError as error:
            warning = str(error)
            continue
        return np.asarray(pixels, np.uint8), warning if _is_about_bits(warning, data) else ""
    return None, ""


def _is_about_bits(warning: str, data: bytes) -> bool:
    """Bits that are wrong, missing or too many; not a camera's padding before the end, nor odd headers."""
    if not warning.startswith("Corrupt JPEG data") and "Premature end" not in warning:
        return False
    left_over = _LEFT_OVER.search(warning)
    if left_over is None:
        return True
    count, marker = int(left_over[1]), left_over[2]
    end = data.rfind(END_OF_JPEG)
    is_padding = marker == "d9" and len(set(data[max(0, end - count) : end])) <= 1
    return marker in _MARKERS_BEHIND_BITS and not is_padding


def _decoded_by_opencv(data: bytes, reduction: int) -> Pixels | None:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _REDUCED[reduction])
    except cv2.error:
        return None
    return None if pixels is None else _pixels(pixels)


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    mirrored, turned = _TURNS.get(orientation, (None, None))
    if mirrored is not None:
        pixels = _pixels(cv2.flip(pixels, mirrored))
    return pixels if turned is None else _pixels(cv2.rotate(pixels, turned))


def _pixels(pixels: npt.NDArray | cv2.typing.MatLike) -> Pixels:
    return np.asarray(pixels, np.uint8)
