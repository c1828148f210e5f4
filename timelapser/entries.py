"""How the clock's entries stand: what beat's tables say of them now, and what their runs have left behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max, Q, Sum
from django_celery_beat.models import PeriodicTask

from captures.dispatch import CLOCK
from media_jobs import audit, clock, outbox
from media_jobs.models import Run
from timelapser.queues import QUEUE_OF_TASK
from timelapser.schedule import ENTRIES, OURS, Entry

DAY = timedelta(days=1)
# An entry is late when so many of its periods have passed without it, and this much more: a loaded machine is no alarm.
LATE_PERIODS = 3
LATE_ANYWAY = timedelta(seconds=20)
# How beat sends an entry; all of them are sent alike.
PLAINLY: dict[str, Any] = {
    "args": "[]",
    "kwargs": "{}",
    "headers": "{}",
    "exchange": None,
    "routing_key": None,
    "priority": None,
}
BY_HAND_EXPIRES = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class EntryState:
    """One entry of the clock. Moments are None where it never ran, or will not run."""

    task: str
    why: str
    queue: str
    every_s: float
    is_enabled: bool
    is_edited: bool
    last_run_at: datetime | None = None
    next_run_at: datetime | None = None
    took_ms: int | None = None  # the last run; of entries of seconds the mean of the last minute
    longest_ms: int | None = None
    is_running: bool = False
    is_late: bool = False
    result: dict[str, Any] | None = None
    error: str = ""  # of the last run
    runs_of_day: int = 0
    failures_of_day: int = 0


def standing(now: datetime) -> list[EntryState]:
    """How every entry stands, in the order of timelapser/schedule.py. Three queries."""
    rows = {
        row.name: row for row in PeriodicTask.objects.filter(name__startswith=OURS).select_related("interval")
    }
    names = [entry.task for entry in ENTRIES]
    recent = Run.objects.filter(name__in=names, instant__gte=now - DAY).order_by()
    sums: dict[str, dict[str, Any]] = {
        row["name"]: dict(row)
        for row in recent.values("name").annotate(runs=Sum("runs"), failures=Sum("failures"))
    }
    last = last_runs(names)
    return [
        _state_of(entry, rows.get(entry.name), last.get(entry.task), sums.get(entry.task, {}), now)
        for entry in ENTRIES
    ]


def last_runs(names: Iterable[str]) -> dict[str, Run]:
    """The newest run of each of `names` (tasks) that has one."""
    newest = Run.objects.filter(name__in=names).order_by().values("name").annotate(instant=Max("instant"))
    wanted = Q(pk__in=[])
    for row in newest:
        wanted |= Q(name=row["name"], instant=row["instant"])
    return {run.name: run for run in Run.objects.filter(wanted)}


def out_of_order() -> tuple[list[str], list[str]]:
    """Which entries somebody has disabled in beat's tables, and which set going what is not theirs. One query."""
    rows = {row.name: row for row in PeriodicTask.objects.filter(name__startswith=OURS)}
    found = [(entry, rows[entry.name]) for entry in ENTRIES if entry.name in rows]
    off = [entry.task for entry, row in found if not row.enabled]
    return off, [entry.task for entry, row in found if is_astray(row, entry)]


def fixed_fields(entry: Entry) -> dict[str, Any]:
    """What nobody may change of an entry's row: its task, where that waits, and how it is sent."""
    return {"task": entry.task, "queue": QUEUE_OF_TASK[entry.task]} | PLAINLY


def is_astray(row: PeriodicTask, entry: Entry) -> bool:
    """Whether the row sets going something else than its entry is for; `sync_schedule` puts that right."""
    return any((getattr(row, name) or None) != value for name, value in fixed_fields(entry).items())


def run_now(task: str, *, by: str) -> bool:
    """Sends the entry out of its turn. False where the broker is away; raises KeyError for what is no entry."""
    if task not in {entry.task for entry in ENTRIES}:
        raise KeyError(task)
    is_sent = outbox.send_entry(task, by=by, expires=clock.now() + BY_HAND_EXPIRES)
    if is_sent:
        audit.note("entry_requested", topic=CLOCK, by=by, facts={"task": task})
    return is_sent


def note(deed: str, row: PeriodicTask, *, by: str, changed: list[str] | None = None) -> None:
    """Notes that a row of beat's table was "created", "updated" or "deleted", and how it stands since."""
    facts = {"name": row.name, "task": row.task, "is_enabled": row.enabled, "when": str(row.schedule)}
    audit.note(f"entry_{deed}", topic=CLOCK, by=by, facts=facts | ({"changed": changed} if changed else {}))


def is_ours(row: PeriodicTask) -> bool:
    """Whether the row is one of timelapser/schedule.py; an operator may have added others."""
    return row.name in {entry.name for entry in ENTRIES}


def period_of(row: PeriodicTask) -> float | None:
    """Seconds between two runs, or None for a row that an operator has put on a calendar."""
    if row.interval is None:
        return None
    return timedelta(**{row.interval.period: row.interval.every}).total_seconds()


def _state_of(
    entry: Entry, row: PeriodicTask | None, last: Run | None, sums: dict[str, Any], now: datetime
) -> EntryState:
    every_s = (period_of(row) if row else None) or entry.every_s
    is_enabled = row is not None and row.enabled
    last_run_at = last.started_at if last else None
    begun = last_run_at or (row.date_changed if row else now)
    due = begun + timedelta(seconds=every_s)
    is_late = now > begun + LATE_PERIODS * timedelta(seconds=every_s) + LATE_ANYWAY
    return EntryState(
        task=entry.task,
        why=entry.why,
        queue=settings.CELERY_TASK_ROUTES[entry.task]["queue"],
        every_s=every_s,
        is_enabled=is_enabled,
        is_edited=every_s != entry.every_s or not is_enabled or (row is not None and is_astray(row, entry)),
        last_run_at=last_run_at,
        next_run_at=max(due, now) if is_enabled else None,
        took_ms=round(last.busy_ms / last.runs) if last and last.runs else None,
        longest_ms=last.longest_ms if last else None,
        is_running=last is not None and last.finished_at is None,
        is_late=is_enabled and is_late,
        result=last.result if last else None,
        error=last.error if last else "",
        runs_of_day=sums.get("runs") or 0,
        failures_of_day=sums.get("failures") or 0,
    )
