"""Pictures with a number painted into them that survives JPEG, scaling and lossy video."""

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

BITS = 12


def paint(number: int, width: int = 192, height: int = 108) -> np.ndarray:
    """BGR pixels: a slow gradient, a moving disc, and the number in big cells along the bottom."""
    column = np.linspace(40, 200, width, dtype=np.uint8)
    pixels = np.repeat(
        np.stack([column, column[::-1], np.full_like(column, 90)], axis=1)[None], height, axis=0
    )
    cv2.circle(pixels, (number * 5 % width, height // 3), height // 8, (230, 230, 230), -1)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        pixels[height * 3 // 4 :, left:right] = 235 if number >> bit & 1 else 20
    return pixels


def painted_jpeg(number: int, width: int = 192, height: int = 108) -> bytes:
    return cv2.imencode(".jpg", paint(number, width, height), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def source(number: int, width: int = 192, height: int = 108) -> Callable[[], bytes]:
    return lambda: painted_jpeg(number, width, height)


def read_number(pixels: np.ndarray) -> int:
    """The number painted into a picture of any size."""
    height, width = pixels.shape[:2]
    row = height * 7 // 8
    centres = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    return sum(1 << bit for bit, centre in enumerate(centres) if pixels[row, centre].mean() > 128)


def read_film(path: Path) -> tuple[list[int], list]:
    """The numbers of the frames as shown, and their instants in seconds (exact)."""
    numbers, instants = [], []
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            numbers.append(read_number(frame.to_ndarray(format="bgr24")))
            instants.append(frame.pts * frame.time_base)
    return numbers, instants


def names_in(folder: Path) -> list[str]:
    """Everything in a folder, hidden part files too."""
    return sorted(path.name for path in folder.iterdir())
