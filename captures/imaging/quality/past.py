"""What is remembered of a camera, so that its next picture can be compared: small, and without any masked pixel."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import cv2
import numpy as np

from captures.imaging.pictures import Pixels
from captures.imaging.quality.contract import Evaluation, Sort
from captures.imaging.quality.picture import Picture

_MAGIC = b"TLP1"
VIEW_PX = 7680  # five views of it stay below 40 KB even where nothing compresses
_ADOPTED_AFTER_S = (
    2 * 86_400
)  # a new view that stays is the view: nobody leaves a camera turned away by mistake
_ADOPTED_COUNT = 20
_FOLLOWING = 0.2  # of each new good picture in a reference's figures: it follows the season, not the hour


class Light(StrEnum):
    """By what light a scene is seen; a camera looks different in each, so each has a reference of its own."""

    DAY = "day"
    DUSK = "dusk"
    NIGHT = "night"
    GREY = "grey"  # infra-red, or black and white


@dataclass(frozen=True, slots=True)
class Reference:
    """How the scene looks by one light. `view` (h, w) grey, at most VIEW_PX pixels; the figures are detectors' own."""

    view: Pixels
    sharpness: float
    detail: float
    seen: int
    away: int = 0
    away_since: float = 0


@dataclass(frozen=True, slots=True)
class Past:
    """Of one camera. `previous` is the last good picture's view, `repeats` how often in a row the last picture came.

    Times are seconds since 1970. An empty past knows nothing, and detectors that need one do not answer then.
    """

    previous: Pixels | None = None
    fingerprint: str = ""
    repeats: int = 0
    since: float = 0
    last: float = 0
    references: dict[Light, Reference] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Less than 40 KB."""
        views = [self.previous, *(each.view for each in self.references.values())]
        head: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "repeats": self.repeats,
            "since": self.since,
            "last": self.last,
            "shapes": [None if view is None else list(view.shape) for view in views],
            "references": [
                [light, each.sharpness, each.detail, each.seen, each.away, each.away_since]
                for light, each in self.references.items()
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
            height, width = shape
            views.append(body[at : at + height * width].reshape(height, width))
            at += height * width
        references = {}
        for view, (light, *figures) in zip(views[1:], head["references"], strict=True):
            if view is None:
                raise ValueError("a reference without its view")
            references[Light(light)] = Reference(view, *figures)
        return cls(
            previous=views[0],
            fingerprint=str(head["fingerprint"]),
            repeats=int(head["repeats"]),
            since=float(head["since"]),
            last=float(head["last"]),
            references=references,
        )

    def reference_for(self, picture: Picture) -> Reference | None:
        """Of the light that the picture has; None where the camera has not been seen in it, or has another shape."""
        reference = self.references.get(light_of(picture))
        if reference is None or reference.view.shape != view_of(picture).shape:
            return None
        return reference

    def followed(self, picture: Picture, evaluation: Evaluation, at: datetime) -> Past:
        """The past after this picture, taken `at`. Only what is whole and sees its scene changes the references."""
        now = at.timestamp()
        fingerprint = fingerprint_of(picture)
        is_again = fingerprint == self.fingerprint
        past = replace(
            self,
            fingerprint=fingerprint,
            repeats=self.repeats + 1 if is_again else 0,
            since=self.since if is_again else now,
            last=now,
        )
        if evaluation.sort is Sort.DAMAGE:
            return past
        return replace(past, previous=view_of(picture))


def view_of(picture: Picture) -> Pixels:
    """(h, w) grey of at most VIEW_PX pixels, never larger than the picture."""
    height, width = picture.grey.shape
    ratio = min(1.0, (VIEW_PX / (height * width)) ** 0.5)
    size = (max(1, int(width * ratio)), max(1, int(height * ratio)))
    return np.asarray(cv2.resize(picture.grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def light_of(picture: Picture) -> Light:
    level = float(np.median(picture.grey))
    spread = picture.quarter.max(axis=2).astype(np.int16) - picture.quarter.min(axis=2)
    if float(spread.mean()) < 4 and level >= 20:
        return Light.GREY
    if level < 40:
        return Light.NIGHT
    return Light.DUSK if level < 90 else Light.DAY


def fingerprint_of(picture: Picture) -> str:
    return hashlib.blake2b(picture.quarter.tobytes(), digest_size=16).hexdigest()
