"""The two statements that every job passes through, written by hand: record and claim.

They are the way from "asked" to "started", so each is as few round trips as can be: on PostgreSQL one, where the ORM
takes seven and three times as long (bench/overhead.py). SQLite, which is in this process, does the same step by step.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Field

from media_jobs.models import Event, MediaJob

JOBS, EVENTS = MediaJob._meta.db_table, Event._meta.db_table
# Only what is due counts for the lowest turn: one that waits for its next try must not pull newcomers to the front.
_LOOK = f"""
SELECT {{now}} AS now,
  (SELECT id FROM {JOBS} WHERE task = %s AND key = %s AND state IN ('queued', 'running', 'waiting')) AS active,
  (SELECT turn FROM {JOBS} WHERE queue = %s AND priority = %s AND state = 'queued' AND run_after <= {{now}}
     ORDER BY turn LIMIT 1) AS lowest,
  (SELECT max(turn) FROM {JOBS} WHERE topic = %s AND queue = %s AND priority = %s AND state = 'queued') AS last,
  (SELECT count(*) FROM (SELECT 1 FROM {JOBS} WHERE queue = %s AND priority = %s AND state = 'queued'
     AND task = %s LIMIT %s) AS few) AS waiting
"""  # noqa: S608 - the table's name is the model's
_RECORD = """
WITH seen AS MATERIALIZED ({look}), born AS (
  INSERT INTO {jobs} ({job_names}) SELECT {job_values} FROM seen
  WHERE active IS NULL AND (%s = 0 OR waiting < %s) ON CONFLICT DO NOTHING RETURNING id
), told AS (
  INSERT INTO {events} ({event_names}) SELECT {event_values} FROM seen, born WHERE %s
)
SELECT now, active, lowest, last, waiting, EXISTS (SELECT 1 FROM born) FROM seen
"""
_CLAIM = f"""
UPDATE {JOBS} SET state = 'running', attempt = attempt + 1, lease_until = {{until}}, worker = %s,
  started_at = {{now}}, error = '', error_code = ''
WHERE id = (SELECT id FROM {JOBS} WHERE queue = %s AND state = 'queued' AND run_after <= {{now}}
  ORDER BY priority, turn, requested_at LIMIT 1 {{lock}})
RETURNING *
"""  # noqa: S608 - the table's name is the model's
# What the database says of a new job; all else is the wish's.
_SEEN = {
    "turn": "greatest(coalesce(lowest, 0), coalesce(last + 1, 0))",
    "requested_at": "now",
    "run_after": "now",
    "sent_at": "now",
    "created_at": "now",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a wish finds: the database's time, the active job of the same wish, the turns, how many wait."""

    now: datetime
    active: UUID | None
    turn: int
    waiting: int

    @classmethod
    def of(cls, now: datetime, active: Any, lowest: int | None, last: int | None, waiting: int) -> Seen:
        turn = max(lowest or 0, 0 if last is None else last + 1)
        return cls(now, UUID(str(active)) if active else None, turn, waiting)


def record(job: MediaJob, event: Event, *, limit: int, is_told: bool) -> tuple[Seen, bool]:
    """Writes the job, and `event` with it where it `is_told`, unless the same wish is active or `limit` of them wait.

    Returns what was found, and whether it is new; `waiting` is counted up to `limit`, and 0 is no limit. The job and
    the event then have their times and turn.
    """
    if connection.vendor == "postgresql":
        seen, is_new = _record_at_once(job, event, limit, is_told=is_told)
    else:
        with transaction.atomic():
            seen, is_new = _record_by_steps(job, event, limit, is_told=is_told)
    if is_new:
        _note(job, event, seen)
        job._state.adding, job._state.db = False, connection.alias
    return seen, is_new


def _note(job: MediaJob, event: Event, seen: Seen) -> None:
    job.turn = seen.turn
    job.requested_at = job.run_after = job.sent_at = event.created_at = seen.now


def _record_at_once(job: MediaJob, event: Event, limit: int, *, is_told: bool) -> tuple[Seen, bool]:
    given = [*_asked(job, limit), *_values(job), limit, limit, *_values(event), is_told]
    with connection.cursor() as cursor:
        cursor.execute(_record_text(), given)
        now, active, lowest, last, waiting, is_new = cursor.fetchone()
    return Seen.of(now.astimezone(UTC), active, lowest, last, waiting), is_new


def _record_by_steps(job: MediaJob, event: Event, limit: int, *, is_told: bool) -> tuple[Seen, bool]:
    now = datetime.now(UTC)
    asked, moment = _asked(job, limit), connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute(_LOOK.format(now="%s"), [moment, *asked[:4], moment, *asked[4:]])
        seen = Seen.of(now, *cursor.fetchone()[1:])
    if seen.active is not None or 0 < limit <= seen.waiting:
        return seen, False
    _note(job, event, seen)
    job.save(force_insert=True)  # nobody else writes until this transaction ends
    if is_told:
        event.save(force_insert=True)
    return seen, True


def claim(queue: str, *, worker: str, lease: timedelta) -> MediaJob | None:
    """Takes the best job of `queue` that is due: by priority, then turn, then age. To be called in a transaction.

    Rows that somebody else is just changing are passed over. Where nothing else is left they are waited for: the
    message that woke the worker is gone, and such a row may well be the one that it was sent for.
    """
    if connection.vendor == "postgresql":
        now, until = "clock_timestamp()", "clock_timestamp() + %s"
        given: list[Any] = [lease, worker, queue]
        texts = [_CLAIM.format(now=now, until=until, lock=f"FOR UPDATE{how}") for how in (" SKIP LOCKED", "")]
    else:
        moment = datetime.now(UTC)
        now_value, until_value = map(connection.ops.adapt_datetimefield_value, (moment, moment + lease))
        given = [until_value, worker, now_value, queue, now_value]
        texts = [_CLAIM.format(now="%s", until="%s", lock="")]
    for text in texts:
        for job in MediaJob.objects.raw(text, given):
            return job
    return None


def _asked(job: MediaJob, limit: int) -> list[Any]:
    line = [job.queue, job.priority]
    return [job.task, job.key, *line, job.topic, *line, *line, job.task, limit]


def _values(row: MediaJob | Event) -> list[Any]:
    return [
        field.get_db_prep_save(getattr(row, field.attname), connection)
        for field in _written(type(row))
        if field.column not in _SEEN
    ]


def _written(model: type[MediaJob | Event]) -> Sequence[Field]:
    """The columns of a new row, but for an id that the database gives."""
    return [field for field in model._meta.concrete_fields if not field.db_returning]


@functools.cache
def _record_text() -> str:
    columns = {name: [str(field.column) for field in _written(model)] for name, model in _MODELS.items()}
    names = {f"{name}_names": ", ".join(f'"{column}"' for column in of) for name, of in columns.items()}
    values = {
        f"{name}_values": ", ".join(_SEEN.get(column, "%s") for column in of) for name, of in columns.items()
    }
    look = _LOOK.format(now="clock_timestamp()")
    return _RECORD.format(look=look, jobs=JOBS, events=EVENTS, **names, **values)


_MODELS: dict[str, type[MediaJob | Event]] = {"job": MediaJob, "event": Event}
