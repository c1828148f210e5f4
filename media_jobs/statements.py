"""The three statements that every job passes through, written by hand: look, insert, claim.

They are the way from "asked" to "started", so they are one round trip each (bench/overhead.py has the figures; the ORM
takes seven and three times as long). The same words run on PostgreSQL and on SQLite, but for the lock.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection

from media_jobs.models import MediaJob

TABLE = MediaJob._meta.db_table
# Only what is due counts: one that waits for its next try must not pull the newcomers before everybody else.
_LOOK = f"""
SELECT {{now}},
  (SELECT id FROM {TABLE} WHERE task = %s AND key = %s AND state IN ('queued', 'running', 'waiting')),
  (SELECT turn FROM {TABLE} WHERE queue = %s AND priority = %s AND state = 'queued' AND run_after <= {{now}}
     ORDER BY turn LIMIT 1),
  (SELECT max(turn) FROM {TABLE} WHERE topic = %s AND queue = %s AND priority = %s AND state = 'queued'),
  (SELECT count(*) FROM (SELECT 1 FROM {TABLE} WHERE queue = %s AND priority = %s AND state = 'queued'
     AND task = %s LIMIT %s) AS few)
"""  # noqa: S608 - the table's name is the model's
_CLAIM = f"""
UPDATE {TABLE} SET state = 'running', attempt = attempt + 1, lease_until = %s, worker = %s, started_at = %s,
  error = '', error_code = ''
WHERE id = (SELECT id FROM {TABLE} WHERE queue = %s AND state = 'queued' AND run_after <= %s
  ORDER BY priority, turn, requested_at LIMIT 1 {{lock}})
RETURNING *
"""  # noqa: S608 - the table's name is the model's


@dataclass(frozen=True, slots=True)
class Seen:
    """What a wish finds: the database's time, the active job of the same wish, the turns, how many wait."""

    now: datetime
    active: UUID | None
    turn: int
    waiting: int


def look(job: MediaJob, *, count_to: int) -> Seen:
    """What is there for the wish `job`. `waiting` counts queued jobs of its kind and priority, to `count_to`."""
    is_postgres = connection.vendor == "postgresql"
    line = [job.queue, job.priority]
    given: list[Any] = [job.task, job.key, *line, job.topic, *line, *line, job.task, count_to]
    if is_postgres:
        text = _LOOK.format(now="clock_timestamp()")
    else:
        text, moment = _LOOK.format(now="%s"), _moment(datetime.now(UTC))
        given = [moment, *given[:4], moment, *given[4:]]
    with connection.cursor() as cursor:
        cursor.execute(text, given)
        now, active, lowest, mine, waiting = cursor.fetchone()
    return Seen(
        now=now.astimezone(UTC) if is_postgres else datetime.fromisoformat(now).replace(tzinfo=UTC),
        active=UUID(str(active)) if active else None,
        turn=max(lowest or 0, mine + 1 if mine is not None else 0),
        waiting=waiting,
    )


def insert(job: MediaJob) -> bool:
    """Writes the row. False where the same wish has become active meanwhile; no savepoint is needed for that."""
    fields = MediaJob._meta.concrete_fields
    values = [field.get_db_prep_save(getattr(job, field.attname), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(_insert_text(), values)
        is_new: bool = cursor.rowcount == 1
    job._state.adding, job._state.db = not is_new, connection.alias
    return is_new


def claim(queue: str, *, worker: str, now: datetime, lease_until: datetime) -> MediaJob | None:
    """Takes the best job of `queue` that is due: by priority, then turn, then age. To be called in a transaction.

    Rows that somebody else is just changing are passed over. Where nothing else is left they are waited for: the
    message that woke the worker is gone, and such a row may well be the one that it was sent for.
    """
    given = [_moment(lease_until), worker, _moment(now), queue, _moment(now)]
    locks = ("FOR UPDATE SKIP LOCKED", "FOR UPDATE") if connection.vendor == "postgresql" else ("",)
    for lock in locks:
        for job in MediaJob.objects.raw(_CLAIM.format(lock=lock), given):
            return job
    return None


@functools.cache
def _insert_text() -> str:
    columns = [field.column for field in MediaJob._meta.concrete_fields]
    names, places = ", ".join(f'"{name}"' for name in columns), ", ".join(["%s"] * len(columns))
    return f"INSERT INTO {TABLE} ({names}) VALUES ({places}) ON CONFLICT DO NOTHING"  # noqa: S608 - names of the model


def _moment(value: datetime) -> Any:
    """As the database wants it in a statement that Django did not write."""
    return connection.ops.adapt_datetimefield_value(value)
