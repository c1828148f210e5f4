"""Timelapses moved through time by hand: `now` is passed in, nothing waits."""

from captures import campaign, coverage, dispatch, ledger, versions
from media_jobs import clock
from tests.factories import make_timelapse


def running(**kw):
    """A timelapse that was started this instant; every ten seconds unless said otherwise."""
    timelapse = make_timelapse(**({} if "plan" in kw else {"interval_s": 10}) | kw)
    campaign.start(timelapse, by="otto")
    timelapse.refresh_from_db()
    return timelapse


def plan_until(moment, *, start=None):
    """What the planner writes in its ticks, one a second, with a hand that we move."""
    now = start or clock.now()
    while now < moment:
        dispatch.claim(now + dispatch.AHEAD, now)
        now += dispatch.PERIOD


def faults(timelapse, now=None):
    timelapse.refresh_from_db()
    return list(coverage.faults(timelapse, now or clock.now()))


def slots_of(timelapse):
    return list(timelapse.captures.order_by("slot").values_list("slot", flat=True))


def claim(capture_id, *, worker):
    """What a worker does first: the capture where it was to be had, else None."""
    capture = ledger.look(capture_id)
    return capture if capture is not None and ledger.claim(capture, worker=worker) else None


def past(start, end, **kw):
    """A paused timelapse that ran from `start` until `end`; the ledger has nothing of it yet."""
    timelapse = make_timelapse(**{"time_zone": "UTC"} | kw, state="paused", started_at=start)
    document = versions.timetable_of(timelapse, start).to_document()
    timelapse.schedules.create(document=document, from_at=start, until_at=end)
    return timelapse
