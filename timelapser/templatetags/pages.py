"""How numbers and times are written on pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django import template

from captures import pictures
from captures.intervalometer import Plan, PlanError
from captures.models import Capture

register = template.Library()


@register.simple_tag
def picture_address(capture: Capture, size: str) -> str:
    """Where a picture is; with its version, so that a browser may keep what is there."""
    return pictures.address(capture, size)


@register.filter
def thousands(number: int | None) -> str:
    """1234567 -> 1 234 567, with thin spaces that do not break."""
    return "–" if number is None else f"{number:,}".replace(",", "\u202f")


@register.filter
def every(seconds: int) -> str:
    """An interval in the largest whole unit: 90 -> 90 s, 300 -> 5 min."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size}\u00a0{unit}"
    return f"{seconds}\u00a0s"


@register.filter
def late(milliseconds: object) -> str:
    """How late a capture began; a dash where there is none."""
    if not isinstance(milliseconds, int):
        return "–"
    if milliseconds < 1000:
        return f"{milliseconds}\u00a0ms"
    return f"{milliseconds / 1000:.1f}\u00a0s"


@register.filter
def running_time(seconds: float | None) -> str:
    """Length of a film, or time that is left: 3.2 s, 0:17, 12:34, 1:02:03."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f}\u00a0s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


@register.filter
def percent(ratio: float) -> str:
    """Rounded down, so that 100 % means all."""
    return f"{int(ratio * 100)}\u00a0%"


@register.filter
def hundredths(ratio: float) -> float:
    """A ratio in [0, 1] as a width of at most 100."""
    return round(ratio * 100, 1)


@register.filter
def rounded(number: float | None) -> str:
    """A number of pictures that need not be whole: one decimal below ten, none above."""
    if number is None:
        return "–"
    return thousands(round(number)) if number >= 10 or number == int(number) else f"{number:.1f}"


@register.filter
def clock(moment: datetime) -> str:
    """The reading of the clock, with seconds only where there are any: 08:00, 08:00:30."""
    return f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"


@register.filter
def lasting(seconds: float | None) -> str:
    """How long something has lasted, shortly: 850 ms, 12 s, 3 min, 26 h, 4 d 3 h."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{round(seconds * 1000)}\u00a0ms"
    whole = round(seconds)
    if whole < 120:
        return f"{whole}\u00a0s"
    if whole < 7200:
        return f"{whole // 60}\u00a0min"
    hours = whole // 3600
    return f"{hours}\u00a0h" if hours < 48 else f"{hours // 24}\u00a0d {hours % 24}\u00a0h"


@register.filter
def before_at(hostname: str) -> str:
    """capture@here -> capture: the machine has a column of its own."""
    return hostname.partition("@")[0]


@register.filter
def offset(seconds: float | None) -> str:
    """How far a clock is ahead: +3 ms, −1.2 s."""
    if seconds is None:
        return "–"
    sign = "−" if seconds < 0 else "+"
    size = abs(seconds)
    return f"{sign}{size:.1f}\u00a0s" if size >= 1 else f"{sign}{round(size * 1000)}\u00a0ms"


@register.filter
def facts(values: object) -> str:
    """What a run or a decision left behind, in a line: “planned 12, sent 12”; a text as it is."""
    if not isinstance(values, Mapping):
        return str(values or "")
    return ", ".join(f"{str(name).replace('_', ' ')} {_short(value)}" for name, value in values.items())


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return _plan_words(value) if "rules" in value else facts(value)
    if isinstance(value, list | tuple):
        return (" → " if len(value) == 2 else ", ").join(map(_short, value))
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _plan_words(document: Mapping[str, object]) -> str:
    try:
        return f"“{Plan.from_document(document).words}”"
    except PlanError:
        return "a plan that cannot be read"


@register.filter
def spoken(code: str) -> str:
    """timelapse_started -> Timelapse started."""
    return code.replace("_", " ").replace(".", ": ").capitalize()
