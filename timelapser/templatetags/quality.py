"""How scores and readings are written on pages."""

from __future__ import annotations

import math

from django import template

from timelapser.pages import marks

register = template.Library()


@register.filter
def band(score: float) -> marks.Band:
    """Which of the five bands a score or an average lies in."""
    return marks.band(score)


@register.filter
def whole(score: float) -> int:
    return marks.whole(score)


@register.filter
def reading(value: float | None) -> str:
    """A detector's value with three digits that matter: 0.14, 57.3, 1240; a dash where it read nothing."""
    if value is None:
        return "–"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(decimals, 5)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
