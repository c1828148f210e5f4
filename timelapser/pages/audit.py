"""The audit: what was decided, by whom and by which rule, and all that came of one deed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from captures.models import Timelapse
from media_jobs import audit as ledger_of_deeds
from media_jobs.models import Decision
from media_jobs.roles import SEE
from timelapser.pages.access import page, show

SHOWN = 100
LONGEST = 80


@dataclass(frozen=True, slots=True)
class About:
    """What a decision was for: its words and its page, if it has one."""

    words: str
    link: str


@page(SEE)
def audit(request: HttpRequest) -> HttpResponse:
    """One deed from the click to the last job (`correlation_id`), or the newest decisions (of a `topic`)."""
    context: dict[str, Any] = {}
    if "correlation_id" in request.GET:
        correlation_id = context["correlation_id"] = _text(request, "correlation_id")
        context["steps"] = [(step, about(step.topic)) for step in ledger_of_deeds.thread(correlation_id)]
        return show(request, "audit/thread.html", context)
    topic = _text(request, "topic")
    rows = Decision.objects.filter(topic=topic) if topic else Decision.objects.all()
    decisions = list(rows[:SHOWN])
    context |= {"topic": topic, "decisions": [(row, about(row.topic)) for row in decisions]}
    return show(request, "audit/decisions.html", context)


def _text(request: HttpRequest, name: str) -> str:
    """What was asked for, as a column can hold it: PostgreSQL refuses NUL."""
    return request.GET.get(name, "").replace("\x00", "")[:LONGEST]


def about(topic: str) -> About:
    """A topic as people know it."""
    kind, _, number = topic.partition(".")
    if kind in {"timelapse", "camera"} and number.isdigit() and len(number) < 19:
        return About(f"{kind} {number}", reverse(kind, args=[int(number)]))
    if topic == "settings":
        return About("settings for all cameras", reverse("settings"))
    return About(topic, "")


def decisions_of(timelapse: Timelapse, limit: int) -> list[Decision]:
    """What was decided for a timelapse, newest first."""
    return list(Decision.objects.filter(topic=timelapse.topic)[:limit])
