"""The one rule: what the nearest level says counts, and what nobody says has its default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cameras.settings.catalogue import Settings
from cameras.settings.option import Level, Option, SettingRefused, SettingsRefused, options

Document = Mapping[str, Any]
PLACE = {"latitude", "longitude"}
LONGEST_SECRET = 400  # sealed it must still be a text that the option takes
WORDS_OF_LEVEL = {
    Level.DEFAULT: "as a default",
    Level.GLOBAL: "for all cameras",
    Level.CAMERA: "for one camera",
    Level.TIMELAPSE: "for one timelapse",
}


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
    known = _known_at(level, name)
    found = known.checked(value)
    if known.is_secret and len(found) > LONGEST_SECRET:
        raise SettingRefused(name, f"At most {LONGEST_SECRET} characters.")
    return found


def merged(level: Level, said: Document, wanted: Document) -> dict[str, Any]:
    """What `said` is to be once `wanted` is set, ready for JSON; None there means: inherit again.

    Names that `wanted` does not have stay as they are. Secrets are checked as they were typed, not sealed. Raises
    SettingsRefused with every problem at once.
    """
    document, problems = dict(said), {}
    for name, value in wanted.items():
        try:
            found = _known_at(level, name) and None if value is None else checked(level, name, value)
        except SettingRefused as error:
            problems[name] = error.reason
            continue
        if found is None:
            document.pop(name, None)
        else:
            document[name] = list(found) if isinstance(found, tuple) else found
    if not problems and wanted.keys() & PLACE:
        problems = _half_a_place(document)
    if problems:
        raise SettingsRefused(problems)
    return document


def _known_at(level: Level, name: str) -> Option:
    known = options(Settings).get(name)
    if known is None:
        raise SettingRefused(name, "There is no such setting.")
    if level not in known.levels:
        raise SettingRefused(name, f"It cannot be set {WORDS_OF_LEVEL[level]}.")
    return known


def _half_a_place(document: Document) -> dict[str, str]:
    missing = PLACE - document.keys()
    return {missing.pop(): "A place has both, latitude and longitude."} if len(missing) == 1 else {}
