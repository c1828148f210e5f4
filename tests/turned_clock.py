"""The database's clock, turned by hand, for a test that lives through a year in a minute."""

from __future__ import annotations

from contextlib import contextmanager

import time_machine
from django.db import connection

_OWN_CLOCK = """
CREATE SCHEMA turned;
CREATE FUNCTION turned.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql AS
  $$ SELECT current_setting('turned.now')::timestamptz $$;
SET search_path = turned, public, pg_catalog;
"""


class TurnedClock:
    """`media_jobs.clock.now()` says what was set here; on PostgreSQL to this connection only."""

    def __init__(self, traveller):
        self._traveller = traveller

    def set(self, moment):
        self._traveller.move_to(moment, tick=False)
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('turned.now', %s, false)", [moment.isoformat()])


@contextmanager
def turned_clock(moment):
    """From `moment` on, until the block ends."""
    with time_machine.travel(moment, tick=False) as traveller:
        clock = TurnedClock(traveller)
        if connection.vendor != "postgresql":
            yield clock
            return
        with connection.cursor() as cursor:
            cursor.execute(_OWN_CLOCK)
        clock.set(moment)
        try:
            yield clock
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET search_path; DROP SCHEMA turned CASCADE")
