"""One thing that can be set: its type, bounds, unit, and at which levels it may be said."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, get_type_hints

KEY = "option"


class Level(StrEnum):
    """Where a value comes from; each overrides those before it."""

    DEFAULT = "default"
    GLOBAL = "global"
    CAMERA = "camera"
    TIMELAPSE = "timelapse"


EVERYWHERE = (Level.GLOBAL, Level.CAMERA, Level.TIMELAPSE)
OF_CAMERAS = (Level.GLOBAL, Level.CAMERA)
GLOBALLY = (Level.GLOBAL,)


class SettingRefused(ValueError):
    """A value that an option does not take. `name` is the option's, `reason` a sentence for its field."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class SettingsRefused(ValueError):
    """Values that cannot be set. `problems` has a sentence for each name."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {words}" for name, words in problems.items()))
        self.problems = dict(problems)


@dataclass(frozen=True, slots=True)
class Option:
    """What is known of a field of `Settings`.

    `kind` is bool, int, float, str or tuple (of choices). `minimum` and `maximum` are inclusive, `choices` are pairs
    of value and label; `can_be_empty` allows None; a secret is stored sealed and never shown.
    """

    name: str
    kind: type
    default: Any
    group: str
    label: str
    help: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[tuple[str, str], ...] = ()
    levels: tuple[Level, ...] = EVERYWHERE
    is_secret: bool = False
    can_be_empty: bool = False

    def checked(self, value: Any) -> Any:
        """`value` in this option's type. Raises SettingRefused."""
        if value is None:
            if self.can_be_empty:
                return None
            raise SettingRefused(self.name, "A value is needed.")
        found: Any = _CHECKS[self.kind](self, value)
        if self.minimum is not None and found < self.minimum:
            raise SettingRefused(self.name, f"At least {self.minimum:g}{self._unit}.")
        if self.maximum is not None and found > self.maximum:
            raise SettingRefused(self.name, f"At most {self.maximum:g}{self._unit}.")
        return found

    @property
    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""


def option(
    default: Any,
    *,
    group: str,
    label: str,
    help: str = "",
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[tuple[str, str], ...] = (),
    levels: tuple[Level, ...] = EVERYWHERE,
    is_secret: bool = False,
) -> Any:
    """A field of `Settings` that people can set."""
    known = {
        "group": group,
        "label": label,
        "help": help,
        "unit": unit,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "levels": levels,
        "is_secret": is_secret,
    }
    return dataclasses.field(default=default, repr=not is_secret, metadata={KEY: known})


@cache
def options(declared: type) -> dict[str, Option]:
    """All options of a dataclass whose fields were made by `option`, in their order."""
    types = get_type_hints(declared)
    found = {}
    for field in dataclasses.fields(declared):
        kind, can_be_empty = _kind_of(types[field.name])
        found[field.name] = Option(
            name=field.name,
            kind=kind,
            default=field.default,
            can_be_empty=can_be_empty,
            **field.metadata[KEY],
        )
    return found


def _kind_of(hint: Any) -> tuple[type, bool]:
    members = getattr(hint, "__args__", ())
    if type(None) in members:
        return _kind_of(next(member for member in members if member is not type(None)))[0], True
    return getattr(hint, "__origin__", hint), False


def _flag(found: Option, value: Any) -> bool:
    if not isinstance(value, bool):
        raise SettingRefused(found.name, "Yes or no.")
    return value


def _whole(found: Option, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise SettingRefused(found.name, "A whole number.")
    return value


def _number(found: Option, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingRefused(found.name, "A number.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise SettingRefused(found.name, "A number.")
    return number


def _text(found: Option, value: Any) -> str:
    if not isinstance(value, str) or len(value) > 1000 or not value.isprintable():
        raise SettingRefused(found.name, "A line of text, 1,000 characters at most.")
    if found.choices and value not in dict(found.choices):
        raise SettingRefused(found.name, f"One of: {', '.join(dict(found.choices))}.")
    return value


def _several(found: Option, value: Any) -> tuple[str, ...]:
    known = dict(found.choices)
    if not isinstance(value, list | tuple) or any(not isinstance(one, str) for one in value):
        raise SettingRefused(found.name, "A list of names.")
    unknown = sorted(set(value) - known.keys())
    if unknown:
        raise SettingRefused(found.name, f"Not known: {', '.join(unknown)}.")
    return tuple(name for name in known if name in value)


_CHECKS = {bool: _flag, int: _whole, float: _number, str: _text, tuple: _several}
