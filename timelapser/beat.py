"""Beat's scheduler: django-celery-beat's with two things more.

Its messages say their period, however somebody has edited it, and expire before it is over. And a machine's clock that
is set back does not silence it until the old time comes again.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from celery.utils.time import maybe_make_aware
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from timelapser.schedule import life_s


class Entry(ModelEntry):
    """One row of beat's table as it is now, whoever has edited it and how."""

    def __init__(self, model: Any, app: Any = None) -> None:
        super().__init__(model, app=app)
        if model.interval is not None:
            every_s = timedelta(**{model.interval.period: model.interval.every}).total_seconds()
            # The bracket of media_jobs/runs.py finds the occurrence by it.
            self.options["headers"]["every_s"] = every_s
            self.options["expires"] = min(life_s(every_s), model.expire_seconds or every_s)

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

    def tick(self, *args: Any, **kwargs: Any) -> float:
        now = time.time()
        if now < self._ticked_at:
            self._heap = None  # it is ordered by the clock as it was
        self._ticked_at = now
        pause_s: float = super().tick(*args, **kwargs)
        return pause_s
