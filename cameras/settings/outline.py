"""Every setting as one level sees it: what counts there, who says so, and what it would be if the level were silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cameras.settings.catalogue import Settings
from cameras.settings.option import Level, Option, options
from cameras.settings.resolution import Document, resolve


@dataclass(frozen=True, slots=True)
class Line:
    """One setting. Of a secret all values are None: only `is_set` tells of it.

    `own` is what this level says (None: nothing), `inherited` what counts without that.
    """

    option: Option
    value: Any
    origin: Level
    own: Any
    inherited: Any
    inherited_from: Level
    is_settable: bool
    is_set: bool

    @property
    def name(self) -> str:
        return self.option.name


def outline(
    said_globally: Document, said_of_camera: Document | None = None, said_of_timelapse: Document | None = None
) -> list[Line]:
    """All settings in the catalogue's order, as the last level that is given sees them."""
    if said_of_timelapse is not None:
        level, without = Level.TIMELAPSE, resolve(said_globally, said_of_camera)
    elif said_of_camera is not None:
        level, without = Level.CAMERA, resolve(said_globally)
    else:
        level, without = Level.GLOBAL, resolve({})
    present = resolve(said_globally, said_of_camera, said_of_timelapse)
    lines = []
    for name, option in options(Settings).items():
        value, is_own = getattr(present.settings, name), present.origins[name] == level
        hides = option.is_secret
        lines.append(
            Line(
                option=option,
                value=None if hides else value,
                origin=present.origins[name],
                own=value if is_own and not hides else None,
                inherited=None if hides else getattr(without.settings, name),
                inherited_from=without.origins[name],
                is_settable=level in option.levels,
                is_set=bool(value) if hides else is_own,
            )
        )
    return lines
