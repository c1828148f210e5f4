"""A scheduler that was away for hours and days: every slot is counted, and the past never delays the present."""

import statistics
import threading
import time
from datetime import timedelta

import pytest
from django.db import connections

from captures import dispatch, settlement
from captures.coverage import coverage
from captures.models import Capture, Gap, Schedule, Timelapse
from media_jobs import clock, setback
from media_jobs.models import Event, Pulse, Run
from tests.campaigns import faults, running
from timelapser import health

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def silent_since(timelapse, span):
    """As if it had been started `span` ago and no planner had ticked since. Returns the first slot that is owed."""
    schedule = timelapse.schedules.get()
    start = schedule.from_at - span
    Schedule.objects.filter(pk=schedule.pk).update(from_at=start)
    first = schedule.timetable.first_from(start)
    Timelapse.objects.filter(pk=timelapse.pk).update(started_at=start, next_slot_at=first)
    timelapse.refresh_from_db()
    return first


@pytest.mark.django_db(transaction=True)
def test_days_of_seconds_are_counted_at_once_and_written_without_delaying_the_present():
    timelapses = [running(interval_s=1) for _ in range(4)]
    firsts = {timelapse.pk: silent_since(timelapse, timedelta(days=3)) for timelapse in timelapses}

    usual = max(tick() for _ in range(5))  # on this machine, with what else runs on it
    assert usual < 1

    expected = {}
    for timelapse in timelapses:
        gap = Gap.objects.get(timelapse=timelapse)
        expected[timelapse.pk] = (gap.until_at - firsts[timelapse.pk]) // SECOND
        assert 3 * 86_400 - 2 <= expected[timelapse.pk] <= 3 * 86_400 + 2
        told = coverage(timelapse, firsts[timelapse.pk], gap.until_at)
        assert (told.owed_total, told.missed) == (expected[timelapse.pk],) * 2
        assert told.reasons == {"scheduler_was_down": expected[timelapse.pk]}

    # The books are brought up to date while the planner goes on: none of its ticks takes a second.
    ticks, written = [], []
    for _ in range(4):
        writer = threading.Thread(target=write_some, args=[written])
        writer.start()
        while writer.is_alive():
            ticks.append(tick())
            writer.join(0.2)
    assert statistics.median(ticks) < 1
    assert max(ticks) < 1 + 10 * usual

    for timelapse in timelapses:
        told = coverage(timelapse, firsts[timelapse.pk], firsts[timelapse.pk] + timedelta(days=2))
        assert told.missed == told.owed_total == 2 * 86_400
    assert Capture.objects.filter(state="missed", reason="scheduler_was_down").count() == sum(written) >= 1600
    present = Capture.objects.filter(state="owed").count()
    assert present >= len(timelapses)


def tick():
    """Seconds that the planner takes to claim what is due now."""
    begun, now = time.monotonic(), clock.now()
    dispatch.claim(now + dispatch.AHEAD, now)
    return time.monotonic() - begun


def write_some(written):
    """What the entry does once."""
    try:
        written.append(settlement.account())
    finally:
        connections.close_all()


def test_hours_are_written_slot_by_slot():
    timelapses = [running(interval_s=interval_s) for interval_s in (5, 60)]
    firsts = [silent_since(timelapse, timedelta(hours=5)) for timelapse in timelapses]
    now = clock.now()
    dispatch.claim(now + dispatch.AHEAD, now)
    gaps = {gap.timelapse_id: gap.until_at for gap in Gap.objects.all()}

    while Gap.objects.exists():
        settlement.account()

    for timelapse, first, step in zip(timelapses, firsts, (5 * SECOND, 60 * SECOND), strict=True):
        written = timelapse.captures.filter(state="missed", reason="scheduler_was_down").order_by("slot")
        count = -((first - gaps[timelapse.pk]) // step)
        assert list(written.values_list("slot", flat=True)) == [first + k * step for k in range(count)]
        assert faults(timelapse) == []


def test_a_silent_scheduler_is_said_within_seconds(viewer, pages, api):
    now = clock.now()
    pulse = Pulse.objects.create(name=dispatch.PULSE, kind="clock", at=now)
    words = "The scheduler is silent: no pictures are planned."
    assert words not in health.find_faults()

    Pulse.objects.filter(pk=pulse.pk).update(at=now - timedelta(seconds=11))

    assert words in health.find_faults()
    assert "The scheduler has been silent since" in pages(viewer).get("/").content.decode()
    answer = pages().get("/health/ready")
    assert (answer.status_code, words in answer.json()["faults"]) == (503, True)
    assert api(viewer).get("/api/v1/clock/").json()["is_ticking"] is False


@pytest.mark.django_db(transaction=True)
def test_the_scheduler_tells_once_that_it_is_back(broker):
    dispatch.plan()
    assert not Event.objects.filter(type="scheduler_is_back").exists()
    Pulse.objects.filter(name=dispatch.PULSE).update(at=clock.now() - timedelta(minutes=3))

    dispatch.plan()
    dispatch.plan()

    (event,) = Event.objects.filter(type="scheduler_is_back")
    assert event.payload["silent_s"] == pytest.approx(180, abs=60)
    assert set(event.payload) == {"since", "silent_s"}


def test_occurrences_of_a_future_that_was_taken_back_are_free_again():
    now = clock.now()
    for minutes in (-5, 5, 60):
        Run.objects.create(name="videos.tidy", instant=now + timedelta(minutes=minutes), runs=1)

    setback.draw_near(now)

    assert [run.instant for run in Run.objects.all()] == [now - timedelta(minutes=5)]


def test_a_wrong_clock_is_said(viewer, pages):
    now = clock.now()
    for host, offset_s in (("right", 0.3), ("ahead", 2.5), ("behind", -3600.0)):
        Pulse.objects.create(
            name=f"w@{host}", kind="worker", at=now, facts={"host": host, "clock_offset_s": offset_s}
        )

    assert health.clocks_apart(now) == {"ahead": 2.5, "behind": -3600.0}
    assert "The clock of ahead is 2.5 s ahead." in health.find_faults()
    assert "The clock of behind is 3600.0 s behind." in health.find_faults()
    page = pages(viewer).get("/").content.decode()
    assert "The clock of ahead is 2.5 s ahead." in page
    assert "The clock of behind is 3600.0 s behind." in page
