"""The one contract of all detectors: what is looked at, what one reads, and what all of them come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from captures.imaging.quality.past import Past
    from captures.imaging.quality.picture import Picture


class Path(StrEnum):
    """When a detector is asked: on every picture, or where a camera is looked at closely."""

    FAST = "fast"
    HEAVY = "heavy"


class Sort(StrEnum):
    """What a finding says about the picture, and so what is done about it.

    DAMAGE: these are not the pixels that the camera saw; a second picture may be whole. CONDITION: the camera does not
    see what it should (covered, out of focus, moved, frozen); a second picture would not be better, somebody must go
    and look. SCENE: there is little to see (dark, fog); the picture is true.
    """

    DAMAGE = "damage"
    CONDITION = "condition"
    SCENE = "scene"


GOOD = "good"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one detector read in one picture. `value` in the detector's `unit`; `penalty` points are taken away.

    `is_found`: the value lies beyond the detector's bound. `error` says why it could not read; it then takes nothing.
    """

    detector: str
    value: float | None
    is_found: bool = False
    penalty: float = 0
    elapsed_ms: float = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Detector:
    """One question about a picture. `read` is a pure function; it may raise what pixels can raise.

    `read(picture, past)` gives the value, or None where there is nothing to compare with. It is found where the value
    is `above` (or else below) `bound`, and takes up to `penalty` points of 100. `finding` is the word for it ("smear");
    `cost_ms` is the measured share at 1080p, decode not included.
    """

    name: str
    title: str
    help: str
    path: Path
    sort: Sort
    finding: str
    unit: str
    bound: float
    above: bool
    penalty: float
    cost_ms: float
    needs_past: bool
    read: Callable[[Picture, Past | None], float | None]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What all detectors came to. Scores are whole points in [0, 100], 100 is perfect; `heavy` is None where not asked.

    `score` is `fast`, or 0.3 fast + 0.7 heavy; 0 where either is 0. `verdict` is the gravest finding's word, or GOOD;
    `sort` its sort, None where good. `findings` are all words, the gravest first.
    """

    score: int
    fast: int
    heavy: int | None
    verdict: str
    sort: Sort | None
    findings: tuple[str, ...]
    readings: tuple[Reading, ...]
    elapsed_ms: float
