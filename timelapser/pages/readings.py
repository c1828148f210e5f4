"""What the detectors read in one picture, line by line, as the pages show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from captures.imaging.quality.contract import Detector
from captures.imaging.quality.table import DETECTORS
from captures.models import Capture, JudgedPicture

Action = JudgedPicture.Action
_BY_NAME = {detector.name: detector for detector in DETECTORS}


@dataclass(frozen=True, slots=True)
class Line:
    """One detector's reading. `detector` is None where it was asked once and no longer exists."""

    name: str
    detector: Detector | None
    value: float | None
    is_found: bool
    penalty: float
    elapsed_ms: float
    error: str

    @property
    def title(self) -> str:
        return self.detector.title if self.detector else self.name


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a stored picture was judged. `is_second`: the first that the camera gave was worse, and is gone."""

    row: JudgedPicture
    lines: list[Line]
    is_second: bool


def lines(readings: Iterable[dict[str, Any]]) -> list[Line]:
    """As they are kept in a row, what was found first."""
    found = [
        Line(
            name=reading["detector"],
            detector=_BY_NAME.get(reading["detector"]),
            value=reading.get("value"),
            is_found=bool(reading.get("is_found")),
            penalty=reading.get("penalty") or 0,
            elapsed_ms=reading.get("elapsed_ms") or 0,
            error=reading.get("error") or "",
        )
        for reading in readings
    ]
    return sorted(found, key=lambda line: (not line.is_found, -line.penalty))


def judgement_of(capture: Capture) -> Judgement | None:
    """Of the picture that was kept; None where it was not judged, or where its evaluation is forgotten by now."""
    rows = list(capture.judged_pictures.order_by("-at", "-pk"))
    row = next((row for row in rows if row.action != Action.RETRIED), None)
    return Judgement(row, lines(row.readings), is_second=len(rows) > 1) if row else None
