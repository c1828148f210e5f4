"""A picture of somebody's own is judged as a camera's first picture would be; nothing of it is kept."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import cv2

from cameras.settings import Settings
from captures.imaging.errors import BrokenPicture
from captures.imaging.pictures import Pixels, encode_jpeg, read_header
from captures.imaging.quality.contract import Evaluation, Sort
from captures.imaging.quality.picture import Picture
from captures.imaging.quality.score import evaluate
from media_jobs.exceptions import TooManyWaiting

MOST_BYTES = 50 * 1024 * 1024
# Decoded in the web's own process, where a worker's limit would be too much: 8K has 33 million. PNGs and progressive
# JPEGs are decoded whole, at three bytes or more for each.
MOST_PIXELS = 40_000_000
BUSY_S = 2.0
PREVIEW_QUALITY = 80

_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class Trial:
    """What was found, and what a camera with these settings would do. Width and height in pixels, upright."""

    width: int
    height: int
    size_bytes: int
    decode_ms: float
    evaluation: Evaluation
    action: str
    words: str
    view: Pixels

    def preview(self) -> bytes:
        """A JPEG of the picture as the detectors saw it, its long side at most 640 pixels."""
        return encode_jpeg(self.view, PREVIEW_QUALITY)


def judge(data: bytes, settings: Settings) -> Trial:
    """All detectors, the close ones too; those that need a camera's past are not asked.

    Raises BrokenPicture, also for more than MOST_PIXELS, and TooManyWaiting while this process judges another one.
    """
    header = read_header(data)
    if header.width * header.height > MOST_PIXELS:
        raise BrokenPicture(f"{header.width} x {header.height} are too many pixels for a trial")
    if not _one_at_a_time.acquire(blocking=False):
        raise TooManyWaiting("Another picture is on trial just now. Try again in a moment.", wait=BUSY_S)
    try:
        return _judged(data, settings)
    finally:
        _one_at_a_time.release()


def _judged(data: bytes, settings: Settings) -> Trial:
    began = time.perf_counter()
    try:
        picture = Picture.of_bytes(data, full=False, heavy=True)
    except cv2.error as error:
        raise BrokenPicture("it cannot be decoded") from error
    decode_ms = (time.perf_counter() - began) * 1000
    found = evaluate(picture, heavy=True, ignored=frozenset(settings.quality_ignored))
    action, words = _recommended(found, settings)
    return Trial(picture.width, picture.height, len(data), decode_ms, found, action, words, picture.quarter)


def _recommended(found: Evaluation, settings: Settings) -> tuple[str, str]:
    """save, retry, flag or discard, and the sentence for people."""
    if found.score >= settings.quality_threshold:
        if found.sort is None:
            return "save", "It is kept."
        return "save", "It is kept: the finding is named, the picture is true."
    twice = "discard" if settings.quality_discard and found.sort is Sort.DAMAGE else "flag"
    fate = "put into quarantine" if twice == "discard" else "kept with a flag"
    if settings.quality_retry:
        return "retry", f"The camera is asked once more; if that is no better, the better one is {fate}."
    return twice, f"It is {fate}."
