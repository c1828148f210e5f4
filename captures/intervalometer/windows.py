"""When a plan takes pictures at all: the four kinds of window, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from typing import Any


@dataclass(frozen=True, slots=True)
class NoWindow:
    """Open all day."""

    needs_place = False

    @property
    def words(self) -> str:
        return ""

    def to_document(self) -> dict[str, Any]:
        return {"kind": "none"}


@dataclass(frozen=True, slots=True)
class ClockWindow:
    """Open from `start` to `end` by the local clock, both inclusive.

    Where `start` is later than `end` it closes on the next day, where they are equal it is open all day.
    """

    start: time
    end: time
    needs_place = False

    @property
    def is_all_day(self) -> bool:
        return self.start == self.end

    @property
    def words(self) -> str:
        return "" if self.is_all_day else f"{clock_words(self.start)} to {clock_words(self.end)}"

    def to_document(self) -> dict[str, Any]:
        return {"kind": "clock", "start": clock_words(self.start), "end": clock_words(self.end)}


@dataclass(frozen=True, slots=True)
class SunWindow:
    """Open from sunrise to sunset, each moved by minutes (later is positive), both inclusive."""

    start_offset_min: int
    end_offset_min: int
    needs_place = True

    @property
    def words(self) -> str:
        start = offset_words("sunrise", self.start_offset_min)
        return f"{start} to {offset_words('sunset', self.end_offset_min)}"

    def to_document(self) -> dict[str, Any]:
        return {
            "kind": "sun",
            "start_offset_min": self.start_offset_min,
            "end_offset_min": self.end_offset_min,
        }


@dataclass(frozen=True, slots=True)
class AltitudeWindow:
    """Open while the centre of the sun stands between the two geometric altitudes, in degrees; None is no bound."""

    at_least_deg: float | None
    at_most_deg: float | None
    needs_place = True

    @property
    def words(self) -> str:
        if self.at_most_deg is None:
            return f"while the sun is above {self.at_least_deg:g}°"
        if self.at_least_deg is None:
            return f"while the sun is below {self.at_most_deg:g}°"
        return f"while the sun is between {self.at_least_deg:g}° and {self.at_most_deg:g}°"

    def to_document(self) -> dict[str, Any]:
        bounds = {"at_least_deg": self.at_least_deg, "at_most_deg": self.at_most_deg}
        return {"kind": "altitude"} | {name: value for name, value in bounds.items() if value is not None}


Window = NoWindow | ClockWindow | SunWindow | AltitudeWindow


def clock_words(reading: time) -> str:
    """“08:00”, with seconds only where there are any."""
    return reading.isoformat("seconds" if reading.second else "minutes")


def offset_words(event: str, offset_min: int) -> str:
    """“15 min before sunrise”."""
    if not offset_min:
        return event
    return f"{abs(offset_min)} min {'after' if offset_min > 0 else 'before'} {event}"
