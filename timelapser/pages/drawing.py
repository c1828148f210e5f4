"""Cards as text, drawn once for all that they show: while nothing in their rows has changed the text is kept.

Two hundred cards are a third of a second of templates, and most of them are the same as a second ago. What differs each
time, the instant and the token of the forms, is put in afterwards.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db.models import Model
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import get_script_prefix
from django.utils.safestring import SafeString, mark_safe

from media_jobs import roles
from timelapser.pages.cards import Card

MOST_KEPT = 1000  # about 8 KB each
WHOLE, PART = "dashboard/_whole_card.html", "dashboard/_card.html"
# Of this process alone: what people write into their rows cannot be one of them.
INSTANT, TOKEN = (f"{what}-{secrets.token_hex(16)}" for what in ("instant", "token"))


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to be drawn; equal where all that it shows is."""

    facts: str
    template: str
    may_operate: bool
    card: Card = field(compare=False)


def draw(request: HttpRequest, cards: Sequence[Card], now: datetime, *, template: str) -> list[SafeString]:
    """The cards in their order, WHOLE for a page or PART to be swapped in."""
    may_operate = roles.may(request.user, roles.OPERATE)
    surroundings = f"{static('icons.svg')} {get_script_prefix()}"
    made = _draw.__wrapped__ if settings.DEBUG else _draw  # who works at the templates wants to see them
    drawn = [made(_Wish(_facts(card, surroundings), template, may_operate, card)) for card in cards]
    token = get_token(request) if may_operate else ""
    instant = now.isoformat()
    return [
        mark_safe(text.replace(INSTANT, instant).replace(TOKEN, token))  # noqa: S308 - templates have escaped the rest
        for text in drawn
    ]


@lru_cache(maxsize=MOST_KEPT)
def _draw(wish: _Wish) -> str:
    context = {
        "card": wish.card,
        "may_operate": wish.may_operate,
        "is_swap": wish.template == PART,
        "server_time": INSTANT,
        "csrf_token": TOKEN,
    }
    return render_to_string(wish.template, context)


def _facts(card: Card, surroundings: str) -> str:
    """A digest of every column of every row that belongs to the card."""
    values = [_values(getattr(card, one.name)) for one in fields(card)]
    return hashlib.blake2b(repr((surroundings, values)).encode(), digest_size=16).hexdigest()


def _values(value: Any) -> Any:
    if isinstance(value, Model):
        return [item for item in value.__dict__.items() if item[0] != "_state"]
    return value
