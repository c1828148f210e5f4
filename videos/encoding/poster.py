"""One frame stands for the film."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from captures.imaging.pictures import encode_jpeg
from videos.encoding.errors import NoFrames
from videos.encoding.frames import FrameSource, read_frame
from videos.encoding.look import Look

MAX_WIDTH_PX = 1280
QUALITY = 85


@dataclass(frozen=True, slots=True)
class Poster:
    """JPEG bytes with the film's geometry; sizes in pixels."""

    data: bytes
    width: int
    height: int


def make_poster(candidates: Sequence[FrameSource], look: Look, *, max_width: int = MAX_WIDTH_PX) -> Poster:
    """Of the first candidate that can be read; the others stand in for broken ones. Raises NoFrames."""
    for source in candidates:
        pixels = read_frame(source, look.width, look.height)
        if pixels is None:
            continue
        width = min(max_width, look.width)
        height = max(1, round(look.height * width / look.width))
        if width != look.width:
            shrunk = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
            pixels = shrunk.astype(np.uint8, copy=False)
        return Poster(encode_jpeg(pixels, QUALITY), width, height)
    raise NoFrames("(for the poster)")
