"""The form of one level's settings: what was typed becomes a wish for those fields alone that somebody has touched.

Each field remembers what it showed. So what is not touched is not written, and two people who save one after the other
keep each other's fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from cameras.configured import INHERIT
from cameras.settings import GROUPS, Line, Option


@dataclass(slots=True)
class Field:
    """One setting as the page draws it."""

    line: Line
    value: Any  # what the control shows: the line's, or what was typed
    error: str = ""
    is_touched: bool = False
    is_let_go: bool = False  # “inherit again” is ticked
    is_held: bool = False  # “keep it” is ticked

    @property
    def name(self) -> str:
        return self.line.name

    @property
    def kind(self) -> str:
        option = self.line.option
        if option.is_secret:
            return "secret"
        if option.kind is str:
            return "choice" if option.choices else "text"
        kinds: dict[type, str] = {bool: "flag", tuple: "several"}
        return kinds.get(option.kind, "number")

    @property
    def step(self) -> str:
        return "any" if self.line.option.kind is float else "1"

    @property
    def text(self) -> str:
        """The value as its control has it."""
        return _text(self.value)

    @property
    def memory(self) -> str:
        """What the field showed, for the next time."""
        return json.dumps({"value": _plain(self.line.value), "own": self.is_own})

    @property
    def is_own(self) -> bool:
        return self.line.is_set and not self.line.option.is_secret

    @property
    def words(self) -> str:
        if self.line.option.is_secret:
            return "set" if self.line.is_set else "not set"
        return words_of(self.line.option, self.line.value)

    @property
    def words_inherited(self) -> str:
        return words_of(self.line.option, self.line.inherited)


@dataclass(slots=True)
class Form:
    """All settings of one level, and what somebody wants of them."""

    lines: Iterable[Line]
    data: QueryDict | None = None
    fields: dict[str, Field] = field(init=False)
    wanted: dict[str, Any] = field(init=False, default_factory=dict)
    seen: dict[str, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.fields = {line.name: Field(line, line.value) for line in self.lines}
        if self.data is not None:
            for one in self.fields.values():
                if one.line.is_settable:
                    self._read(one, self.data)

    @property
    def groups(self) -> list[tuple[str, list[Field], list[Field]]]:
        """Each group with the fields that can be set at this level, and those that only count here."""
        found = []
        for group in GROUPS:
            members = [one for one in self.fields.values() if one.line.option.group == group]
            settable = [one for one in members if one.line.is_settable]
            if settable:
                found.append((group, settable, [one for one in members if not one.line.is_settable]))
        return found

    def refuse(self, problems: dict[str, str]) -> None:
        for name, words in problems.items():
            self.fields[name].error = words

    def _read(self, one: Field, data: QueryDict) -> None:
        memory = _remembered(data.get(f"was-{one.name}", ""))
        if memory is None:
            return  # it was not on the page
        if one.kind == "secret":
            self._read_secret(one, data)
            return
        typed = _typed(one, data)
        one.is_let_go = memory["own"] and f"inherit-{one.name}" in data
        one.is_held = not memory["own"] and f"keep-{one.name}" in data
        one.is_touched = _text(typed) != _text(memory["value"])
        if one.is_let_go:
            self.wanted[one.name] = INHERIT
        elif one.is_touched or one.is_held:
            self.wanted[one.name] = _parsed(one, typed)
            one.value = typed
        else:
            return
        self.seen[one.name] = memory["value"] if memory["own"] else None

    def _read_secret(self, one: Field, data: QueryDict) -> None:
        if f"inherit-{one.name}" in data:
            self.wanted[one.name] = INHERIT
        elif typed := data.get(one.name, ""):
            self.wanted[one.name] = typed


def words_of(option: Option, value: Any) -> str:
    """A value as people say it; none of a secret's."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if option.choices:
        labels = dict(option.choices)
        chosen = value if isinstance(value, list | tuple) else [value]
        return ", ".join(labels.get(one, str(one)) for one in chosen) or "none"
    if value is None or value == "" or value == []:
        return "none" if option.kind is tuple else "not set"
    number = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{number} {option.unit}".strip()


def _remembered(text: str) -> dict[str, Any] | None:
    """What the page sent along of how the field looked; None where it is not ours."""
    try:
        memory = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return memory if isinstance(memory, dict) and {"value", "own"} <= memory.keys() else None


def _typed(one: Field, data: QueryDict) -> Any:
    if one.kind == "flag":
        return one.name in data
    if one.kind == "several":
        return data.getlist(one.name)
    return data.get(one.name, "").strip()


def _parsed(one: Field, typed: Any) -> Any:
    """What was typed, in the setting's type; as it is where it is none, for the option to refuse."""
    if not isinstance(typed, str) or one.line.option.kind is str:
        return typed
    if not typed and one.line.option.can_be_empty:
        return INHERIT
    try:
        return one.line.option.kind(typed)
    except (ValueError, OverflowError):
        return typed


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    """The one way in which a value is written into its control."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, list | tuple):
        return " ".join(sorted(map(str, value)))
    return repr(value) if isinstance(value, float) else str(value)
