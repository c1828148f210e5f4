"""From readings to a score and a word."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from captures.imaging.quality.contract import GOOD, Detector, Evaluation, Path, Reading, Sort
from captures.imaging.quality.past import Past
from captures.imaging.quality.picture import Picture
from captures.imaging.quality.table import DETECTORS

FAST_SHARE = 0.3
# What is covered, dark or in fog is a true picture: its findings name it, and never make it fall below the default
# threshold of 70 together. Damage at its very bound costs more than half of its penalty, so that it always does.
MOST_FOR_TRUE_PICTURES = 25.0
_AT_THE_BOUND = 0.65
_GRAVITY = {Sort.DAMAGE: 0, Sort.CONDITION: 1, Sort.SCENE: 2}
# What looking at pixels can raise; a detector that does takes nothing away.
_FAILURES = (ArithmeticError, ValueError, TypeError, LookupError, MemoryError, AttributeError, cv2.error)


def evaluate(
    picture: Picture,
    *,
    heavy: bool,
    past: Past | None = None,
    ignored: frozenset[str] = frozenset(),
    detectors: Sequence[Detector] = DETECTORS,
) -> Evaluation:
    """Asks each detector once; never raises because of what a picture shows. `ignored` are names of detectors."""
    began = time.perf_counter()
    asked = [
        each
        for each in detectors
        if each.name not in ignored
        and (each.path is Path.FAST or (heavy and picture.half is not None))
        and not (each.needs_past and past is None)
    ]
    pairs = [(each, _read(each, picture, past)) for each in asked]
    fast = _points(pair for pair in pairs if pair[0].path is Path.FAST)
    close = None
    if heavy and picture.half is not None:
        # A damage that the fast path saw counts here too: looking closer never excuses it.
        close = _points(pair for pair in pairs if pair[0].path is Path.HEAVY or pair[0].sort is Sort.DAMAGE)
    found = sorted(
        (pair for pair in pairs if pair[1].is_found),
        key=lambda pair: (_GRAVITY[pair[0].sort], -pair[1].penalty),
    )
    return Evaluation(
        score=_combined(fast, close),
        fast=fast,
        heavy=close,
        verdict=found[0][0].finding if found else GOOD,
        sort=found[0][0].sort if found else None,
        findings=tuple(dict.fromkeys(detector.finding for detector, _ in found)),
        readings=tuple(reading for _, reading in pairs),
        elapsed_ms=(time.perf_counter() - began) * 1000,
    )


def _read(detector: Detector, picture: Picture, past: Past | None) -> Reading:
    began = time.perf_counter()
    try:
        value = detector.read(picture, past)
    except _FAILURES as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        return Reading(detector.name, None, elapsed_ms=_since(began), error=reason)
    if value is not None and not np.isfinite(value):
        return Reading(detector.name, None, elapsed_ms=_since(began), error=f"read {value}")
    excess = 0.0 if value is None else (value - detector.bound) * (1 if detector.above else -1)
    is_found = value is not None and excess > 0
    return Reading(
        detector.name,
        value,
        is_found=is_found,
        penalty=_penalty(detector, excess) if is_found else 0,
        elapsed_ms=_since(began),
    )


def _penalty(detector: Detector, excess: float) -> float:
    """All of it where the value is twice as far as the bound, a good part at the bound."""
    share = min(1.0, excess / max(abs(detector.bound), 1e-9))
    return detector.penalty * (_AT_THE_BOUND + (1 - _AT_THE_BOUND) * share)


def _points(pairs: Iterable[tuple[Detector, Reading]]) -> int:
    damage: list[float] = []
    others = 0.0
    for detector, reading in pairs:
        if detector.sort is Sort.DAMAGE:
            damage.append(reading.penalty)
        else:
            others += reading.penalty
    # One damage is often seen by several: the gravest counts, the others a tenth.
    worst = max(damage, default=0.0)
    lost = worst + 0.1 * (sum(damage) - worst) + min(others, MOST_FOR_TRUE_PICTURES)
    return max(0, round(100 - lost))


def _combined(fast: int, heavy: int | None) -> int:
    if heavy is None:
        return fast
    if fast == 0 or heavy == 0:
        return 0
    return round(FAST_SHARE * fast + (1 - FAST_SHARE) * heavy)


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000
