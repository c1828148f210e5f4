"""The database's clock, which is everybody's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import DateTimeField, Func, Value

CARRIED_S = 5  # clocks that are set are noticed after that
_measured: tuple[datetime, float] | None = None


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
    steady = time.monotonic()
    if _measured is None or not 0 <= steady - _measured[1] < CARRIED_S:
        try:
            _measured = now(), steady
        except DatabaseError:
            _measured = _measured or (datetime.now(UTC), steady)
    return _measured[0] + timedelta(seconds=steady - _measured[1])


def expression() -> Func | Value:
    """The same instant as part of a query that is made anyway; in the connection's time zone, which is UTC."""
    if connection.vendor != "postgresql":
        return Value(datetime.now(UTC), output_field=DateTimeField())
    return Func(function="clock_timestamp", output_field=DateTimeField())
