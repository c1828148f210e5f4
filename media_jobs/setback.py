"""The database's clock was set back: jobs, signs of life and runs that lie in the future are brought to now."""

from __future__ import annotations

from datetime import datetime, timedelta

from media_jobs.lifecycle import LEASE
from media_jobs.models import MediaJob, Pulse, Run

State = MediaJob.State
# Two planners never tick so far apart; NTP makes up for smaller differences by running the clock slower.
NOTICED = timedelta(seconds=5)


def is_noticed(last_tick_at: datetime | None, now: datetime) -> bool:
    """Whether the last tick, by the same clock, was later than `now`."""
    return last_tick_at is not None and last_tick_at - now > NOTICED


def draw_near(now: datetime) -> None:
    """No job waits, and no lease lasts, until the old time comes again; who lives says so anew within seconds."""
    MediaJob.objects.filter(state=State.QUEUED, run_after__gt=now).update(run_after=now)
    MediaJob.objects.filter(state=State.RUNNING, lease_until__gt=now + LEASE).update(lease_until=now + LEASE)
    Pulse.objects.filter(kind__in=["worker", "silence"], at__gt=now).delete()
    Run.objects.filter(instant__gt=now).delete()  # the clock's entries come to these occurrences again
