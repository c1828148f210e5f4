"""What is remembered of a camera, so that its next picture can be compared: small, and without any masked pixel."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from captures.imaging.pictures import Pixels
from captures.imaging.quality.contract import Evaluation, Sort
from captures.imaging.quality.picture import Picture, extremes_of, median_of

_MAGIC = b"TLP2"
BLOCK_PX = 16
PARTS = (16, 9)
_SHOWS_SOMETHING = 8  # levels within a block; a black night and a blown sky are alike every time
_ALIKE_BLOCKS = 0.9  # of those that show something: a running clock over a frozen picture changes fewer
_FEWEST_BLOCKS = 12
_WEIGHTS = np.random.default_rng(1).integers(1, 65_000, BLOCK_PX * BLOCK_PX, np.uint32)
# However long it stays, nobody wants it to be how the camera should see. A new view is another matter.
_NEVER_LEARNT = frozenset({"covered", "out of focus", "frozen", "dark"})
# A new view that stays is the view: whoever has turned the camera away by mistake has been told for two days.
_ADOPTED_AFTER_S = 2 * 86_400
_ADOPTED_COUNT = 20
_UNLEARNING = 0.99  # of a row that jumped remains with each good picture
_FOLLOWING = 0.1  # of each good picture in its reference: that follows days and seasons, not a passing car


class Light(StrEnum):
    """By what light a scene is seen; a camera looks different in each, so each has a reference of its own."""

    DAY = "day"
    DUSK = "dusk"
    NIGHT = "night"
    GREY = "grey"  # infra-red, or black and white


@dataclass(frozen=True, slots=True)
class Reference:
    """How the scene looks by one light. `view` (h, w) grey, `sharpness` by sharpness_of."""

    view: Pixels
    sharpness: npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Past:
    """Of one camera. An empty past knows nothing, and what has to be compared with it is not read then.

    `previous` (h, w, 3) BGR is the last good picture's view, `seams` the rows that jumped lately, however little
    (Picture.hints); `passing` those of the last picture of all, good or not: what stays is scene. `blocks` is what
    the last picture of all showed (blocks_of), which had come again `repeats` times in a row from `since` to `last`.
    `away` pictures in a row, from `away_since`, did not show the scene; of `warned` ones in a row the decoder warned.
    Times are seconds since 1970.
    """

    previous: Pixels | None = None
    blocks: bytes = b""
    repeats: int = 0
    since: float = 0.0
    last: float = 0.0
    seams: bytes = b""
    passing: bytes = b""
    away: int = 0
    away_since: float = 0.0
    warned: int = 0
    references: dict[Light, Reference] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Less than 40 KB."""
        views = [self.previous, *(each.view for each in self.references.values())]
        head: dict[str, Any] = {
            "figures": [self.repeats, self.since, self.last, self.away, self.away_since, self.warned],
            "blocks": self.blocks.hex(),
            "seams": [self.seams.hex(), self.passing.hex()],
            "shapes": [None if view is None else list(view.shape) for view in views],
            "references": [
                [light, each.sharpness.tobytes().hex()] for light, each in self.references.items()
            ],
        }
        text = json.dumps(head, separators=(",", ":")).encode()
        body = b"".join(view.tobytes() for view in views if view is not None)
        return _MAGIC + len(text).to_bytes(4, "big") + text + zlib.compress(body, 6)

    @classmethod
    def from_bytes(cls, data: bytes) -> Past:
        """What cannot be read is an empty past: the camera is learnt anew, no picture is lost by it."""
        try:
            return cls._read(data)
        except (ValueError, TypeError, KeyError, IndexError, zlib.error):
            return cls()

    @classmethod
    def _read(cls, data: bytes) -> Past:
        if data[:4] != _MAGIC:
            return cls()
        size = int.from_bytes(data[4:8], "big")
        head = json.loads(data[8 : 8 + size])
        body = np.frombuffer(zlib.decompress(data[8 + size :]), np.uint8)
        views: list[Pixels | None] = []
        at = 0
        for shape in head["shapes"]:
            if shape is None:
                views.append(None)
                continue
            count = int(np.prod(shape))
            views.append(body[at : at + count].reshape(shape))
            at += count
        references = {}
        for view, (light, sharpness) in zip(views[1:], head["references"], strict=True):
            if view is None or view.ndim != 2:
                raise ValueError("a reference without its view")
            figures = np.frombuffer(bytes.fromhex(sharpness), np.float16)
            references[Light(light)] = Reference(view, figures.reshape(2, *PARTS[::-1]))
        repeats, since, last, away, away_since, warned = head["figures"]
        return cls(
            previous=views[0],
            blocks=bytes.fromhex(head["blocks"]),
            repeats=int(repeats),
            since=float(since),
            last=float(last),
            seams=bytes.fromhex(head["seams"][0]),
            passing=bytes.fromhex(head["seams"][1]),
            away=int(away),
            away_since=float(away_since),
            warned=int(warned),
            references=references,
        )

    def reference_for(self, picture: Picture) -> Reference | None:
        """Of the light that the picture has; None where the camera has not been seen in it, or has another shape."""
        reference = self.references.get(light_of(picture))
        if reference is None or reference.view.shape != view_of(picture).shape:
            return None
        return reference

    def followed(self, picture: Picture, evaluation: Evaluation, at: datetime) -> Past:
        """The past after this picture, taken `at`. Only what is whole and shows the scene is compared with later."""
        now = at.timestamp()
        blocks = blocks_of(picture)
        is_again = bool(self.blocks) and are_alike(blocks, self.blocks)
        past = replace(
            self,
            blocks=blocks,
            repeats=self.repeats + 1 if is_again else 0,
            since=self.since if is_again else now,
            last=now,
            passing=picture.hints.tobytes(),
            warned=self.warned + 1 if picture.file is not None and picture.file.warning else 0,
        )
        if evaluation.sort is Sort.DAMAGE or _NEVER_LEARNT.intersection(evaluation.findings):
            return past
        if "moved" in evaluation.findings:
            return past._turned_away(picture, now)
        return past._in_view(picture)

    def _in_view(self, picture: Picture) -> Past:
        view, light = view_of(picture), light_of(picture)
        known = self.reference_for(picture)
        sharpness = sharpness_of(picture)
        if known is not None:
            blended = cv2.addWeighted(known.view, 1 - _FOLLOWING, view, _FOLLOWING, 0)
            sharpness = (1 - _FOLLOWING) * known.sharpness.astype(np.float32) + _FOLLOWING * sharpness
            view = np.asarray(blended, np.uint8)
        return replace(
            self,
            previous=picture.view,
            seams=self._learnt(picture.hints).tobytes(),
            away=0,
            away_since=0.0,
            references={**self.references, light: Reference(view, sharpness.astype(np.float16))},
        )

    def _learnt(self, hints: Pixels) -> Pixels:
        """A horizon jumps by some lights and not by others: where a row once jumped, it may again for long."""
        if len(self.seams) != len(hints):
            return hints
        before = np.frombuffer(self.seams, np.uint8) * _UNLEARNING
        return np.maximum(hints, before.astype(np.uint8))

    def _turned_away(self, picture: Picture, now: float) -> Past:
        since = self.away_since or now
        if self.away + 1 >= _ADOPTED_COUNT and now - since >= _ADOPTED_AFTER_S:
            return replace(self, references={})._in_view(picture)
        return replace(self, away=self.away + 1, away_since=since)


def view_of(picture: Picture) -> Pixels:
    """(h, w) grey of the view: four of them and one in colour stay below 40 KB even where nothing compresses."""
    return grey_of(picture.view)


def grey_of(view: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(view, cv2.COLOR_BGR2GRAY), np.uint8)


def light_of(picture: Picture) -> Light:
    level = median_of(view_of(picture))
    low, high = extremes_of(picture.view)
    if level >= 20 and float(cv2.mean(cv2.subtract(high, low))[0]) < 4:
        return Light.GREY
    if level < 40:
        return Light.NIGHT
    return Light.DUSK if level < 90 else Light.DAY


def sharpness_of(picture: Picture) -> npt.NDArray[np.float32]:
    """(2, 9, 16): in each of 16 x 9 parts the fine and the coarse differences, root mean square, in levels.

    Squares, so that edges count and noise does not. Their ratio is the sharpness: fog and dusk take from both.
    """
    parts = []
    # The coarse ones from the view, where seven pixels are thirty of the quarter, at a twentieth of the cost.
    for grey, size in ((picture.grey, 3), (view_of(picture), 7)):
        away = cv2.absdiff(grey, cv2.blur(grey, (size, size)))
        squares = cv2.multiply(away, away, dtype=cv2.CV_16U)
        parts.append(cv2.resize(squares, PARTS, interpolation=cv2.INTER_AREA))
    return np.sqrt(np.stack(parts).astype(np.float32))


def blocks_of(picture: Picture) -> bytes:
    """A 16-bit number for each block of 16 x 16 pixels of the quarter that shows something, 0 for the others."""
    rows, columns = (side // BLOCK_PX for side in picture.grey.shape)
    if rows * columns == 0:
        return b""
    whole = picture.grey[: rows * BLOCK_PX, : columns * BLOCK_PX]
    blocks = whole.reshape(rows, BLOCK_PX, columns, BLOCK_PX).swapaxes(1, 2).reshape(rows * columns, -1)
    numbers = blocks.astype(np.uint32) @ _WEIGHTS % 65_521 + 1
    numbers[blocks.max(axis=1) - blocks.min(axis=1) < _SHOWS_SOMETHING] = 0
    return bytes(numbers.astype(np.uint16).tobytes())


def are_alike(first: bytes, second: bytes) -> bool:
    """The same picture, a running clock in it left out; never where there is too little to see."""
    now, before = np.frombuffer(first, np.uint16), np.frombuffer(second, np.uint16)
    if now.shape != before.shape:
        return False
    telling = (now > 0) | (before > 0)
    if int(telling.sum()) < _FEWEST_BLOCKS:
        return False
    return bool((now == before)[telling].mean() >= _ALIKE_BLOCKS)
