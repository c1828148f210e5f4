"""A plan: what a person wants pictures of and when, as a value. It knows neither a place nor a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from captures.intervalometer.document import DateSpan, DocumentReader, PlanError
from captures.intervalometer.rules import IntervalRule, Rule
from captures.intervalometer.windows import NoWindow, Window

GRACE_MAX = timedelta(seconds=30)
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_ALL_DAY = NoWindow()
_FIELDS = {"rules", "window", "weekdays", "dates", "blackouts"}


@dataclass(frozen=True, slots=True)
class Plan:
    """The union of its rules' slots, inside its windows.

    `weekdays` are ISO numbers, none means every day; `dates` are first and last days, none means always; `blackouts`
    are the days on which nothing is owed.
    """

    rules: tuple[Rule, ...]
    window: Window = _ALL_DAY
    weekdays: tuple[int, ...] = ()
    dates: tuple[DateSpan, ...] = ()
    blackouts: tuple[DateSpan, ...] = ()

    @classmethod
    def from_document(cls, document: Any) -> Plan:
        """Raises PlanError, which says all that is wrong with it."""
        reader = DocumentReader()
        reader.fields("", document, _FIELDS, {"rules"})
        fields = document if isinstance(document, dict) else {}
        plan = cls(
            rules=reader.rules(fields["rules"]) if "rules" in fields else (),
            window=reader.window("window", fields.get("window", {"kind": "none"})) or _ALL_DAY,
            weekdays=reader.weekdays(fields.get("weekdays", [])),
            dates=reader.spans("dates", fields.get("dates", []), single_days=False),
            blackouts=reader.spans("blackouts", fields.get("blackouts", []), single_days=True),
        )
        if reader.problems:
            raise PlanError(reader.problems)
        return plan

    def to_document(self) -> dict[str, Any]:
        """The canonical document: every field, in order, nothing twice."""
        return {
            "rules": [rule.to_document() for rule in self.rules],
            "window": self.window.to_document(),
            "weekdays": list(self.weekdays),
            "dates": [[first.isoformat(), last.isoformat()] for first, last in self.dates],
            "blackouts": [
                first.isoformat() if first == last else [first.isoformat(), last.isoformat()]
                for first, last in self.blackouts
            ],
        }

    @property
    def needs_place(self) -> bool:
        """Whether the sun has a part in it."""
        return any(rule.needs_place or self.window_of(rule).needs_place for rule in self.rules)

    def window_of(self, rule: Rule) -> Window:
        return self.window if rule.window is None else rule.window

    @property
    def shortest_interval(self) -> timedelta | None:
        """None without an interval rule."""
        intervals = [rule.every_s for rule in self.rules if isinstance(rule, IntervalRule)]
        return timedelta(seconds=min(intervals)) if intervals else None

    @property
    def grace(self) -> timedelta:
        """How late a capture may start: half of the shortest interval, 30 s at the most."""
        shortest = self.shortest_interval
        return GRACE_MAX if shortest is None else min(shortest / 2, GRACE_MAX)

    @property
    def words(self) -> str:
        """“every 60 s, 08:00 to 18:00, Mon to Fri”."""
        parts = [
            " and ".join(rule.words for rule in self.rules),
            self.window.words,
            weekday_words(self.weekdays),
        ]
        parts += [span_words(*span) for span in self.dates]
        if self.blackouts:
            parts.append("except " + ", ".join(span_words(*span) for span in self.blackouts))
        return ", ".join(part for part in parts if part)

    def __str__(self) -> str:
        return self.words


def every(seconds: int, *, on_the_clock: bool = False) -> dict[str, Any]:
    """The document of the plain plan: a picture every so many seconds, day and night."""
    return Plan((IntervalRule(seconds, on_the_clock),)).to_document()


def weekday_words(weekdays: tuple[int, ...]) -> str:
    """“Mon to Fri”, “Mon to Wed, Sat”; nothing for every day."""
    runs: list[list[int]] = []
    for day in weekdays:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(_run_words([WEEKDAYS[day - 1] for day in run]) for run in runs)


def span_words(first: date, last: date) -> str:
    return first.isoformat() if first == last else f"{first.isoformat()} to {last.isoformat()}"


def _run_words(names: list[str]) -> str:
    return ", ".join(names) if len(names) < 3 else f"{names[0]} to {names[-1]}"
