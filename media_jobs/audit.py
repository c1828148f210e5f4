"""What was decided, by which rule, for what and by whom, and all that came of it, found by one id.

A decision is written in the transaction that carries it out: one that was rolled back was never taken. What has a row
of its own that says all this (a capture: its rule and who asked; a job) is not written twice, but read where a thread
is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any

from media_jobs import clock, correlation
from media_jobs.models import Decision, Event, MediaJob

CLOCK = "clock"
MOST_OF_EACH = 1000


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a deed: `kind` says which rows tell it, `pk` which of them."""

    at: datetime
    kind: str
    what: str
    topic: str
    by: str = ""
    rule: str = ""
    pk: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


Source = Callable[[str, int], Iterable[Step]]
_sources: list[Source] = []


def note(
    action: str,
    *,
    topic: str,
    by: str,
    rule: str = "",
    facts: dict[str, Any] | None = None,
    now: datetime | None = None,
) -> Decision:
    """Writes down a decision in the caller's transaction, under the id of the deed that it belongs to.

    `by` is a person's login or CLOCK; `rule` is what fired, in words, and empty for a person's wish; `facts` are JSON.
    """
    decision = drafted(action, topic=topic, by=by, rule=rule, facts=facts, now=now)
    decision.save(force_insert=True)
    return decision


def drafted(
    action: str,
    *,
    topic: str,
    by: str,
    rule: str = "",
    facts: dict[str, Any] | None = None,
    now: datetime | None = None,
) -> Decision:
    """The decision's row, for whoever writes many at once."""
    return Decision(
        at=now or clock.now(),
        action=action,
        rule=rule[:200],
        topic=topic,
        by=by,
        facts=facts or {},
        correlation_id=correlation.current(),
    )


def add_source(source: Source) -> Source:
    """An app to the left tells its rows' part of a thread: `source(correlation_id, most)` gives their steps."""
    _sources.append(source)
    return source


def thread(correlation_id: str) -> list[Step]:
    """Every step of one deed in the order of time, from all kinds of rows; at most MOST_OF_EACH rows of a kind."""
    if not correlation_id:
        return []
    steps = [
        step
        for source in (_decisions, _jobs, _events, *_sources)
        for step in source(correlation_id, MOST_OF_EACH)
    ]
    return sorted(steps, key=attrgetter("at"))


def _decisions(correlation_id: str, most: int) -> Iterable[Step]:
    for row in Decision.objects.filter(correlation_id=correlation_id).order_by("id")[:most]:
        yield Step(row.at, "decision", row.action, row.topic, row.by, row.rule, str(row.pk), row.facts)


def _events(correlation_id: str, most: int) -> Iterable[Step]:
    for row in Event.objects.filter(correlation_id=correlation_id).order_by("id")[:most]:
        yield Step(row.created_at, "event", row.type, row.topic, pk=str(row.pk), facts=row.payload)


def _jobs(correlation_id: str, most: int) -> Iterable[Step]:
    for job in MediaJob.objects.filter(correlation_id=correlation_id).order_by("requested_at")[:most]:
        facts = {"task": job.task, "title": job.title}
        pk, rule = str(job.pk), str(job.args.get("rule", ""))
        yield Step(job.requested_at, "job", "requested", job.topic, job.requested_by, rule, pk, facts)
        if job.started_at:
            worked = facts | {"worker": job.worker, "attempt": job.attempt}
            yield Step(job.started_at, "job", "started", job.topic, pk=pk, facts=worked)
        if job.finished_at:
            yield Step(
                job.finished_at, "job", job.state, job.topic, pk=pk, facts=facts | {"error": job.error}
            )
