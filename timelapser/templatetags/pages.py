"""How numbers and times are written on pages."""

from __future__ import annotations

from django import template

register = template.Library()


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
