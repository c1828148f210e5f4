"""What a plan asks for: the four kinds of rule, as values. A rule's own window stands in for that of the plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from typing import Any

from captures.intervalometer.windows import Window, clock_words, offset_words

SUN_EVENTS = ("dawn", "sunrise", "noon", "sunset", "dusk")


@dataclass(frozen=True, slots=True)
class IntervalRule:
    """Every so many seconds, on a grid in UTC."""

    every_s: int
    is_on_the_clock: bool = False
    window: Window | None = None
    needs_place = False

    @property
    def words(self) -> str:
        clock = " on the clock" if self.is_on_the_clock else ""
        return f"every {duration_words(self.every_s)}{clock}{_own_window(self.window)}"

    def to_document(self) -> dict[str, Any]:
        document = {"kind": "interval", "every_s": self.every_s, "on_the_clock": self.is_on_the_clock}
        return document | _window_document(self.window)


@dataclass(frozen=True, slots=True)
class CronRule:
    """Where a cron expression matches the local clock."""

    expression: str
    window: Window | None = None
    needs_place = False

    @property
    def words(self) -> str:
        return f"cron {self.expression}{_own_window(self.window)}"

    def to_document(self) -> dict[str, Any]:
        return {"kind": "cron", "expression": self.expression} | _window_document(self.window)


@dataclass(frozen=True, slots=True)
class TimesRule:
    """At these readings of the local clock, each once a day; in order, none twice."""

    times: tuple[time, ...]
    window: Window | None = None
    needs_place = False

    @property
    def words(self) -> str:
        *first, last = map(clock_words, self.times)
        listed = f"{', '.join(first)} and {last}" if first else last
        return f"at {listed}{_own_window(self.window)}"

    def to_document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "kind": "times",
            "times": [clock_words(reading) for reading in self.times],
        }
        return document | _window_document(self.window)


@dataclass(frozen=True, slots=True)
class SunRule:
    """Once a day at an event of the sun, moved by minutes (later is positive)."""

    event: str
    offset_min: int = 0
    window: Window | None = None
    needs_place = True

    @property
    def words(self) -> str:
        event = "solar noon" if self.event == "noon" else self.event
        at = "" if self.offset_min else "at "
        return f"{at}{offset_words(event, self.offset_min)}{_own_window(self.window)}"

    def to_document(self) -> dict[str, Any]:
        document = {"kind": "sun", "event": self.event, "offset_min": self.offset_min}
        return document | _window_document(self.window)


Rule = IntervalRule | CronRule | TimesRule | SunRule


def duration_words(seconds: int) -> str:
    """“60 s”, “5 min”, “2 h”: the largest unit that says it in whole numbers, minutes from two on."""
    if seconds % 3600 == 0:
        return f"{seconds // 3600} h"
    if seconds % 60 == 0 and seconds >= 120:
        return f"{seconds // 60} min"
    return f"{seconds} s"


def _own_window(window: Window | None) -> str:
    if window is None:
        return ""
    return f" ({window.words or 'all day'})"


def _window_document(window: Window | None) -> dict[str, Any]:
    return {} if window is None else {"window": window.to_document()}
