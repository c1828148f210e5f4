"""The database's clock, which is everybody's clock."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import connection
from django.db.models import DateTimeField, Func, Value


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


def expression() -> Func | Value:
    """The same instant as part of a query that is made anyway; in the connection's time zone, which is UTC."""
    if connection.vendor != "postgresql":
        return Value(datetime.now(UTC), output_field=DateTimeField())
    return Func(function="clock_timestamp", output_field=DateTimeField())
