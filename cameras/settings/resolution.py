"""The one rule: what the nearest level says counts, and what nobody says has its default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cameras.settings.catalogue import Settings
from cameras.settings.option import Level, SettingRefused, options

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Effective:
    """The values that count, and for each the level that said it."""

    settings: Settings
    origins: Mapping[str, Level]


def resolve(
    said_globally: Document, said_of_camera: Document | None = None, said_of_timelapse: Document | None = None
) -> Effective:
    """What counts for a timelapse, its camera, or, without both, for all.

    A document holds what its level says and nothing else. What it holds that no option takes (any more) is passed over:
    an old row must not stop a capture.
    """
    values: dict[str, Any] = {}
    origins = dict.fromkeys(options(Settings), Level.DEFAULT)
    levels = (
        (Level.GLOBAL, said_globally),
        (Level.CAMERA, said_of_camera),
        (Level.TIMELAPSE, said_of_timelapse),
    )
    for level, document in levels:
        for name, value in (document or {}).items():
            known = options(Settings).get(name)
            if known is None or level not in known.levels:
                continue
            try:
                values[name] = known.checked(value)
            except SettingRefused:
                continue
            origins[name] = level
    return Effective(Settings(**values), origins)


def checked(level: Level, name: str, value: Any) -> Any:
    """`value` as the option `name` takes it at `level`. Raises SettingRefused."""
    known = options(Settings).get(name)
    if known is None:
        raise SettingRefused(name, "There is no such setting.")
    if level not in known.levels:
        raise SettingRefused(name, f"It cannot be set for a {level}." if level else "It cannot be set.")
    return known.checked(value)
