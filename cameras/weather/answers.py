"""Reading what a stranger sends: typed, finite and possible values, or NonsenseAnswer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cameras.weather.errors import NonsenseAnswer

# The coldest and the hottest air that was ever measured, -89.2 and 56.7 (WMO archive of extremes), with room for
# models that err.
COLDEST_C = -95.0
HOTTEST_C = 65.0


def part(document: object, name: str) -> Mapping[str, Any]:
    """The object `name` of `document`. Raises NonsenseAnswer."""
    found = document.get(name) if isinstance(document, Mapping) else None
    if not isinstance(found, Mapping):
        raise NonsenseAnswer(f"The answer has no “{name}”.")
    return found


def number(values: Mapping[str, Any], name: str, lowest: float, highest: float) -> float:
    """A finite number within bounds, inclusive. Raises NonsenseAnswer."""
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NonsenseAnswer(f"“{name}” is no number.")
    if not lowest <= value <= highest:  # not so for NaN either
        raise NonsenseAnswer(f"“{name}” is no value that there can be.")
    return float(value)


def temperature_c(values: Mapping[str, Any], name: str) -> float:
    return round(number(values, name, COLDEST_C, HOTTEST_C), 1)


def code(values: Mapping[str, Any], name: str) -> int:
    value = number(values, name, 0, 9999)
    if value != int(value):
        raise NonsenseAnswer(f"“{name}” is no code.")
    return int(value)


def moment(values: Mapping[str, Any], name: str) -> datetime:
    """Seconds of Unix time, as an instant in UTC. Raises NonsenseAnswer before 2000 and after 2100."""
    return datetime.fromtimestamp(number(values, name, 946_684_800, 4_102_444_800), UTC)


def fact(values: object, name: str, highest: float) -> float | None:
    """What is good to know and not needed: a number in [0, highest], else None."""
    value = values.get(name) if isinstance(values, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return (
        float(value) if 0 <= value <= highest else None
    )  # not so for NaN; an integer may be beyond any float


def known(**facts: float | None) -> dict[str, float]:
    return {name: value for name, value in facts.items() if value is not None}
