"""One decode for everything: the views of a picture that detectors look at, and what its file says."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from captures.imaging.errors import BrokenPicture
from captures.imaging.pictures import Pixels, read_header
from captures.imaging.quality.decode import END_OF_JPEG, decoded

Raster = npt.NDArray[np.bool_]  # (height, width), True is hidden

# Smear, blocks and missing parts are told best at about a quarter of 1080p: averaging takes the noise away
# (measured: AUC 0.994 at 1/4, 0.904 at full size), and a larger sensor costs no more.
QUARTER_SIDE_PX = 640
HALF_SIDE_PX = 1280
VIEW_PX = 5400
_JUMP, _HINT = 12, 3  # levels, of three times a row's jump above the sum around it
_START_OF_SCAN = 0xDA
_PNG_SIGNATURE_BYTES = 8


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the file itself says. `error` is why it is not whole, empty where nothing is missing.

    `warning` is what the decoder says about wrong bits in it, empty where it says nothing.
    """

    bytes: int
    format: str
    error: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as detectors see it, upright. `width` and `height` are those of the whole picture in pixels.

    `quarter` (h, w, 3) BGR and `grey` (h, w) are reduced to a long side of at most 640 pixels, never enlarged; `half`
    (h, w) grey, at most 1280, only where it is looked at closely; `view` (h, w, 3) BGR is small enough to be remembered
    (at most VIEW_PX pixels). `seams` (h,) says of each row of `quarter` which share of its width jumps against the row
    above as no row near it does, in 1/255; `hints` (h,) the same of jumps that are barely there. `pixels` (height,
    width, 3) BGR only where asked for. `hidden` has the size of `grey`, True where a mask covers; None where nothing
    is covered. `file` is None for pixels of a stream.
    """

    width: int
    height: int
    quarter: Pixels
    grey: Pixels
    view: Pixels
    seams: Pixels
    hints: Pixels
    half: Pixels | None = None
    pixels: Pixels | None = None
    hidden: Raster | None = None
    file: FileFacts | None = None

    @property
    def visible(self) -> Raster | None:
        """What no mask covers; None where that is all of it."""
        return None if self.hidden is None else ~self.hidden

    @classmethod
    def of_bytes(cls, data: bytes, *, full: bool, heavy: bool) -> Picture:
        """Decodes JPEG, PNG or WebP once: all of it where `full`, else as far as the views need.

        A file that ends too early but shows something is a picture whose `file.error` says so: it is to be judged.
        Raises BrokenPicture where nothing decodes.
        """
        header = read_header(data)
        side = max(header.width, header.height)
        most = HALF_SIDE_PX if heavy else QUARTER_SIDE_PX
        reduction = 1 if full else next((n for n in (1, 2, 4) if side <= n * most), 8)
        error = _what_is_missing(data, header.format)
        pixels, warning = decoded(data, header, reduction)
        if pixels is None and header.format == "JPEG":
            # OpenCV refuses what ends too early, and shows what is there once it is closed.
            pixels, warning = decoded(data + END_OF_JPEG, header, reduction)
            error = error or "not whole: it ends too early"
        if pixels is None:
            raise BrokenPicture(error or f"not a readable {header.format}: nothing in it decodes")
        facts = FileFacts(len(data), header.format, error, warning)
        return cls._of(pixels, header.width, header.height, full=full, heavy=heavy, file=facts)

    @classmethod
    def of_pixels(
        cls,
        pixels: Pixels,
        *,
        heavy: bool,
        file: FileFacts | None = None,
        hidden: Raster | None = None,
    ) -> Picture:
        """The views of BGR or grey pixels, as of a stream or with its masks burned in; `hidden` may have any size."""
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or 0 in pixels.shape:
            raise BrokenPicture(f"not the pixels of a picture: {pixels.dtype} {pixels.shape}")
        colour = pixels if pixels.ndim == 3 else _pixels(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR))
        height, width = pixels.shape[:2]
        return cls._of(colour, width, height, full=True, heavy=heavy, file=file, hidden=hidden)

    @classmethod
    def _of(
        cls,
        pixels: Pixels,
        width: int,
        height: int,
        *,
        full: bool,
        heavy: bool,
        file: FileFacts | None,
        hidden: Raster | None = None,
    ) -> Picture:
        quarter = _at_most(pixels, QUARTER_SIDE_PX)
        half = _at_most(pixels, HALF_SIDE_PX) if heavy else None
        raster = _raster(hidden, quarter.shape[0], quarter.shape[1])
        seams, hints = _seams(quarter, raster)
        return cls(
            width=width,
            height=height,
            quarter=quarter,
            grey=_grey(quarter),
            view=_view(quarter),
            seams=seams,
            hints=hints,
            half=None if half is None else _grey(half),
            pixels=pixels if full else None,
            hidden=raster,
            file=file,
        )


def extremes_of(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """The least and the greatest of the three channels, (h, w) each; ten times faster than NumPy's."""
    blue, green, red = cv2.split(pixels)
    return _pixels(cv2.min(blue, cv2.min(green, red))), _pixels(cv2.max(blue, cv2.max(green, red)))


def histogram_of(grey: Pixels, visible: Raster | None = None) -> npt.NDArray[np.float32]:
    """Pixels of each level, (256,); only those where `visible`."""
    mask = None if visible is None else visible.view(np.uint8)
    return cv2.calcHist([grey], [0], mask, [256], [0, 256]).ravel().astype(np.float32)


def median_of(grey: Pixels) -> float:
    levels = np.cumsum(histogram_of(grey))
    return float(np.searchsorted(levels, levels[-1] / 2))


def _at_most(pixels: Pixels, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    longest = max(height, width)
    if longest <= side:
        return pixels
    # By the same powers of two as the reduced decode, so that one camera's views always have one size.
    ratio = next((n for n in (2, 4, 8) if longest <= n * side), -(-longest // side))
    size = (max(1, width // ratio), max(1, height // ratio))
    return _pixels(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _view(quarter: Pixels) -> Pixels:
    height, width = quarter.shape[:2]
    ratio = math.ceil((height * width / VIEW_PX) ** 0.5)
    size = (max(1, width // ratio), max(1, height // ratio))
    return _pixels(cv2.resize(quarter, size, interpolation=cv2.INTER_AREA))


def _seams(quarter: Pixels, hidden: Raster | None) -> tuple[Pixels, Pixels]:
    seams, hints = np.zeros((2, len(quarter)), np.uint8)
    if len(quarter) < 2:
        return seams, hints
    jumps = _greatest(cv2.absdiff(quarter[1:], quarter[:-1]))
    if hidden is not None:
        jumps[hidden[1:] | hidden[:-1]] = 0
    # How far three times a jump exceeds the sum of nine rows, its own included; and that is more than noise.
    usual = cv2.boxFilter(jumps, cv2.CV_16U, (1, 9), normalize=False)
    excess = cv2.subtract(jumps.astype(np.uint16) * np.uint16(3), usual)
    for found, least in ((seams, _JUMP), (hints, _HINT)):
        is_found = (np.asarray(excess) > least).view(np.uint8) * np.uint8(255)
        found[1:] = cv2.reduce(is_found, 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F).ravel()
    return seams, hints


def _greatest(pixels: npt.NDArray | cv2.typing.MatLike) -> Pixels:
    blue, green, red = cv2.split(pixels)
    return _pixels(cv2.max(blue, cv2.max(green, red)))


def _grey(pixels: Pixels) -> Pixels:
    return _pixels(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))


def _raster(hidden: Raster | None, height: int, width: int) -> Raster | None:
    """At the views' size; a pixel that is covered in part is covered."""
    if hidden is None or not hidden.any():
        return None
    covered = cv2.resize(hidden.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    raster: Raster = covered > 0
    return raster


def _what_is_missing(data: bytes, form: str) -> str:
    if form == "JPEG":
        scan = _first_scan(data)
        if scan is None or data.find(END_OF_JPEG, scan) < 0:
            return "not whole: its end marker is missing"
    elif form == "PNG":
        return _png_damage(data)
    elif len(data) < 8 + int.from_bytes(data[4:8], "little"):  # RIFF: the size without its first 8 bytes
        return "not whole: shorter than it says"
    return ""


def _first_scan(data: bytes) -> int | None:
    """Where the coded picture begins: an end marker before it belongs to an embedded thumbnail."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker == _START_OF_SCAN:
            return at
        else:
            at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return None


def _png_damage(data: bytes) -> str:
    at = _PNG_SIGNATURE_BYTES
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        if zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            return "not whole: a checksum in it is wrong"
        if data[at + 4 : at + 8] == b"IEND":
            return ""
        at = end
    return "not whole: it ends too early"


def _pixels(pixels: npt.NDArray | cv2.typing.MatLike) -> Pixels:
    return np.asarray(pixels, np.uint8)
