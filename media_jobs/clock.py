"""The database's clock, which is everybody's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import DateTimeField, Func, Value

CARRIED_S = 5  # clocks that are set are noticed after that


class Carried:
    """The database's time as it was read once, carried on by this machine's steady clock."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start or now()
        self._steady = time.monotonic()

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._steady

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.age_s)


_measured: Carried | None = None


def now() -> datetime:
    """This instant by the database's clock, in UTC.

    SQLite lives on this machine, so its clock is this machine's.
    """
    if connection.vendor != "postgresql":
        return datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment.astimezone(UTC)


def carried() -> datetime:
    """The same by the steady clock of this machine, which is compared every CARRIED_S: for what asks each second.

    Where the database does not answer the last comparison counts, or this machine's own clock.
    """
    global _measured
    if _measured is None or _measured.age_s >= CARRIED_S:
        try:
            _measured = Carried()
        except DatabaseError:
            _measured = _measured or Carried(datetime.now(UTC))
    return _measured.now()


def expression() -> Func | Value:
    """The same instant as part of a query that is made anyway; in the connection's time zone, which is UTC."""
    if connection.vendor != "postgresql":
        return Value(datetime.now(UTC), output_field=DateTimeField())
    return Func(function="clock_timestamp", output_field=DateTimeField())
