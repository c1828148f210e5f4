"""A plan's document, read and checked: what a person may write, and what is wrong with it in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, time
from typing import Any

from captures.intervalometer import cron
from captures.intervalometer.rules import SUN_EVENTS, CronRule, IntervalRule, Rule, SunRule, TimesRule
from captures.intervalometer.windows import AltitudeWindow, ClockWindow, NoWindow, SunWindow, Window

MAX_RULES = 20
MAX_INTERVAL_S = 86_400
MAX_OFFSET_MIN = 720
MAX_TIMES = 1_440
MAX_SPANS = 366

DateSpan = tuple[date, date]

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class PlanError(ValueError):
    """The plan cannot be carried out.

    `problems` says why, in words, for each path into the document: `{"rules.0.every_s": "…"}`.
    """

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(" ".join(f"{path}: {words}" for path, words in problems.items()))
        self.problems = problems


class DocumentReader:
    """Reads the parts of one document and collects the problems of all of them; what cannot be read becomes None."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}

    def fields(self, path: str, value: Any, allowed: set[str], required: set[str]) -> dict[str, Any] | None:
        """The value as an object without unknown and missing fields."""
        if not isinstance(value, dict):
            self._refuse(path, "This must be an object.")
            return None
        before = len(self.problems)
        for name in sorted(map(str, set(value) - allowed)):
            self._refuse(_join(path, name), "There is no such field here.")
        for name in sorted(required - set(value)):
            self._refuse(_join(path, name), "This is missing.")
        return value if len(self.problems) == before else None

    def rules(self, value: Any) -> tuple[Rule, ...]:
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_RULES:
            self._refuse("rules", f"A plan has a list of 1 to {MAX_RULES} rules.")
            return ()
        rules = [self._rule(f"rules.{number}", rule) for number, rule in enumerate(value)]
        return tuple(rule for rule in rules if rule is not None)

    def window(self, path: str, value: Any) -> Window | None:
        reads: dict[str, Callable[[str, Any], Window | None]] = {
            "none": self._no_window,
            "clock": self._clock_window,
            "sun": self._sun_window,
            "altitude": self._altitude_window,
        }
        kind = self._kind(path, value, tuple(reads))
        return None if kind is None else reads[kind](path, value)

    def weekdays(self, value: Any) -> tuple[int, ...]:
        """ISO weekdays, Monday is 1; all seven of them are the same as none: every day."""
        if not isinstance(value, list) or not all(_is_integer(day) and 1 <= day <= 7 for day in value):
            self._refuse("weekdays", "This must be a list of weekdays from 1 (Monday) to 7 (Sunday).")
            return ()
        return () if len(set(value)) == 7 else tuple(sorted(set(value)))

    def spans(self, path: str, value: Any, *, single_days: bool) -> tuple[DateSpan, ...]:
        if not isinstance(value, list) or len(value) > MAX_SPANS:
            self._refuse(path, f"This must be a list of at most {MAX_SPANS} dates.")
            return ()
        spans = [self._span(f"{path}.{number}", span, single_days) for number, span in enumerate(value)]
        return tuple(sorted({span for span in spans if span is not None}))

    def _rule(self, path: str, value: Any) -> Rule | None:
        reads: dict[str, Callable[[str, Any, Window | None], Rule | None]] = {
            "interval": self._interval,
            "cron": self._cron,
            "times": self._times,
            "sun": self._sun,
        }
        kind = self._kind(path, value, tuple(reads))
        if kind is None:
            return None
        window = None
        if "window" in value:
            window = self.window(f"{path}.window", value["window"])
        return reads[kind](path, value, window)

    def _interval(self, path: str, value: Any, window: Window | None) -> Rule | None:
        if self.fields(path, value, {"kind", "every_s", "on_the_clock", "window"}, {"every_s"}) is None:
            return None
        every_s = self._integer(f"{path}.every_s", value["every_s"], 1, MAX_INTERVAL_S)
        is_on_the_clock = value.get("on_the_clock", False)
        if not isinstance(is_on_the_clock, bool):
            self._refuse(f"{path}.on_the_clock", "This must be true or false.")
            return None
        return None if every_s is None else IntervalRule(every_s, is_on_the_clock, window)

    def _cron(self, path: str, value: Any, window: Window | None) -> Rule | None:
        if self.fields(path, value, {"kind", "expression", "window"}, {"expression"}) is None:
            return None
        expression = value["expression"]
        if not isinstance(expression, str) or len(expression) > 200:
            self._refuse(f"{path}.expression", "This must be a text of at most 200 characters.")
            return None
        expression = " ".join(expression.upper().split())
        try:
            cron.parse(expression)
        except ValueError as error:
            self._refuse(f"{path}.expression", str(error))
            return None
        return CronRule(expression, window)

    def _times(self, path: str, value: Any, window: Window | None) -> Rule | None:
        if self.fields(path, value, {"kind", "times", "window"}, {"times"}) is None:
            return None
        listed = value["times"]
        if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_TIMES:
            self._refuse(f"{path}.times", f"This must be a list of 1 to {MAX_TIMES} times.")
            return None
        readings = [self._time(f"{path}.times.{number}", reading) for number, reading in enumerate(listed)]
        times = tuple(sorted({reading for reading in readings if reading is not None}))
        return TimesRule(times, window) if times else None

    def _sun(self, path: str, value: Any, window: Window | None) -> Rule | None:
        if self.fields(path, value, {"kind", "event", "offset_min", "window"}, {"event"}) is None:
            return None
        event = value["event"]
        if event not in SUN_EVENTS:
            self._refuse(f"{path}.event", f"This must be one of {', '.join(SUN_EVENTS)}.")
            return None
        offset = self._offset(path, "offset_min", value)
        return None if offset is None else SunRule(event, offset, window)

    def _no_window(self, path: str, value: Any) -> Window | None:
        return None if self.fields(path, value, {"kind"}, set()) is None else NoWindow()

    def _clock_window(self, path: str, value: Any) -> Window | None:
        if self.fields(path, value, {"kind", "start", "end"}, {"start", "end"}) is None:
            return None
        start, end = self._time(f"{path}.start", value["start"]), self._time(f"{path}.end", value["end"])
        return None if start is None or end is None else ClockWindow(start, end)

    def _sun_window(self, path: str, value: Any) -> Window | None:
        if self.fields(path, value, {"kind", "start_offset_min", "end_offset_min"}, set()) is None:
            return None
        start, end = (
            self._offset(path, "start_offset_min", value),
            self._offset(path, "end_offset_min", value),
        )
        return None if start is None or end is None else SunWindow(start, end)

    def _altitude_window(self, path: str, value: Any) -> Window | None:
        if self.fields(path, value, {"kind", "at_least_deg", "at_most_deg"}, set()) is None:
            return None
        at_least, at_most = value.get("at_least_deg"), value.get("at_most_deg")
        if at_least is None and at_most is None:
            self._refuse(path, "This needs at_least_deg or at_most_deg.")
            return None
        bounds = {"at_least_deg": at_least, "at_most_deg": at_most}
        for name, bound in bounds.items():
            if bound is not None and not (_is_number(bound) and -90 <= bound <= 90):
                self._refuse(f"{path}.{name}", "This must be a number of degrees from -90 to 90.")
                return None
        if at_least is not None and at_most is not None and at_least >= at_most:
            self._refuse(f"{path}.at_most_deg", "This must be more than at_least_deg.")
            return None
        return AltitudeWindow(*(None if bound is None else float(bound) for bound in bounds.values()))

    def _kind(self, path: str, value: Any, kinds: tuple[str, ...]) -> str | None:
        if not isinstance(value, dict):
            self._refuse(path, "This must be an object.")
            return None
        kind = value.get("kind")
        if kind not in kinds:
            self._refuse(f"{path}.kind", f"This must be one of {', '.join(kinds)}.")
            return None
        return str(kind)

    def _offset(self, path: str, name: str, value: Any) -> int | None:
        return self._integer(_join(path, name), value.get(name, 0), -MAX_OFFSET_MIN, MAX_OFFSET_MIN)

    def _integer(self, path: str, value: Any, low: int, high: int) -> int | None:
        if not _is_integer(value) or not low <= value <= high:
            self._refuse(path, f"This must be a whole number from {low} to {high}.")
            return None
        return int(value)

    def _time(self, path: str, value: Any) -> time | None:
        found = _TIME.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            self._refuse(path, "This must be a time like 08:00 or 08:00:30.")
            return None
        hour, minute, second = (int(part or 0) for part in found.groups())
        return time(hour, minute, second)

    def _span(self, path: str, value: Any, single_days: bool) -> DateSpan | None:  # noqa: FBT001 - it is private
        if single_days and isinstance(value, str):
            value = [value, value]
        if not isinstance(value, list) or len(value) != 2:
            self._refuse(path, "This must be a first and a last date.")
            return None
        first, last = self._date(path, value[0]), self._date(path, value[1])
        if first is None or last is None:
            return None
        if first > last:
            self._refuse(path, "The last date lies before the first.")
            return None
        return first, last

    def _date(self, path: str, value: Any) -> date | None:
        try:
            if isinstance(value, str) and _DATE.fullmatch(value):
                return date.fromisoformat(value)
        except ValueError:
            pass  # 30 February: the same words
        self._refuse(path, "This must be a date like 2026-03-01.")
        return None

    def _refuse(self, path: str, words: str) -> None:
        self.problems.setdefault(path, words)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
