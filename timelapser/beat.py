"""Beat's scheduler: django-celery-beat's with two things more.

Its messages say what they are of and how long they are good for, by the database's clock, however somebody has edited
them. And a machine's clock that is set back does not silence it until the old time comes again.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from celery.utils.time import maybe_make_aware
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from media_jobs import clock
from media_jobs.runs import CLOCKS_APART_S
from timelapser.schedule import life_s


class Entry(ModelEntry):
    """One row of beat's table as it is now, whoever has edited it and how."""

    def __init__(self, model: Any, app: Any = None) -> None:
        super().__init__(model, app=app)
        # The bracket of media_jobs/runs.py finds the occurrence by these, and drops what is too old. The broker's own
        # end is judged by the worker's clock: one that is wrong must not drop what is good.
        headers, good_for_s = self.options["headers"], model.expire_seconds
        if model.interval is not None:
            headers["every_s"] = timedelta(**{model.interval.period: model.interval.every}).total_seconds()
            good_for_s = min(life_s(headers["every_s"]), good_for_s or headers["every_s"])
        if good_for_s:
            headers["good_for_s"] = good_for_s
            self.options["expires"] = good_for_s + CLOCKS_APART_S

    def stamp(self) -> None:
        """Says when the message is sent and, of a row on a calendar, at which of its instants it was due."""
        headers = self.options["headers"]
        headers["sent_at"] = clock.carried().timestamp()
        if self.model.interval is None:
            left = self.schedule.remaining_estimate(maybe_make_aware(self.last_run_at))
            headers["due_at"] = round((self._default_now() + left).timestamp())

    def is_due(self) -> Any:
        now = self._default_now()
        if maybe_make_aware(self.model.last_run_at) > now:
            # The clock was set back. Waiting for the old time to come again would be an hour of silence.
            self.last_run_at = self.model.last_run_at = now
        return super().is_due()


class Scheduler(DatabaseScheduler):
    """Any number of them may run: what they send twice is done once."""

    Entry = Entry
    _ticked_at: float = 0.0

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        entry.stamp()
        super().apply_entry(entry, producer=producer)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        now = time.time()
        if now < self._ticked_at:
            self._heap = None  # it is ordered by the clock as it was
        self._ticked_at = now
        pause_s: float = super().tick(*args, **kwargs)
        return pause_s
