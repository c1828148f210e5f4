"""The database's clock was an hour ahead for a while: the future that it wrote is taken back."""

from datetime import timedelta

import pytest

from captures import dispatch
from captures.models import Capture, Gap
from media_jobs import clock, lifecycle, setback
from media_jobs.models import Decision, Event, Pulse
from tests.campaigns import running
from tests.factories import make_capture, make_job, make_stored_capture, make_video
from videos import automation

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def ahead(broker):
    """(timelapse, now): its ledger ends in an hour, with a gap and a picture under a slot that is still to come."""
    now = clock.now()
    timelapse = running(interval_s=60)
    schedule = timelapse.schedules.get()
    future = schedule.timetable.first_from(now + HOUR)
    make_capture(
        timelapse=timelapse,
        slot=future - 3 * timedelta(minutes=1),
        state="missed",
        reason="scheduler_was_down",
    )
    make_capture(
        timelapse=timelapse,
        slot=future - 2 * timedelta(minutes=1),
        state="missed",
        reason="not_planned_in_time",
    )
    make_stored_capture(timelapse=timelapse, slot=future)
    Gap.objects.create(
        timelapse=timelapse,
        schedule=schedule,
        from_at=now - timedelta(minutes=2),
        until_at=future,
        reason="x",
    )
    timelapse.next_slot_at = schedule.timetable.next_after(future)
    timelapse.save()
    Pulse.objects.create(name=dispatch.PULSE, kind="clock", at=now + HOUR)
    return timelapse, now


def test_timelapse_goes_on_at_once_and_its_future_is_taken_back(ahead):
    timelapse, now = ahead

    dispatch.plan()

    timelapse.refresh_from_db()
    assert now < timelapse.next_slot_at <= now + timedelta(minutes=1, seconds=30)
    left = Capture.objects.filter(timelapse=timelapse, slot__gt=now + timedelta(minutes=2))
    assert [capture.state for capture in left] == ["stored"]
    assert Gap.objects.get().until_at <= timelapse.next_slot_at
    assert Pulse.objects.get(name=dispatch.PULSE).at < now + timedelta(minutes=1)


def test_second_between_two_planners_is_no_set_back(ahead):
    timelapse, now = ahead
    Pulse.objects.filter(name=dispatch.PULSE).update(at=now + timedelta(seconds=3))

    dispatch.plan()

    timelapse.refresh_from_db()
    assert timelapse.next_slot_at > now + HOUR


def test_jobs_do_not_wait_for_the_old_time_to_come_again():
    now = clock.now()
    job = make_job(key="waits", run_after=now + HOUR)
    held = make_job(key="is held", state="running", lease_until=now + HOUR)
    Pulse.objects.create(name="video@gone", kind="worker", at=now + HOUR)

    setback.draw_near(now)

    job.refresh_from_db()
    held.refresh_from_db()
    assert job.run_after == now
    assert held.lease_until == now + lifecycle.LEASE
    assert not Pulse.objects.exists()


def test_film_that_was_asked_for_in_the_future_is_asked_for_now(broker):
    now = clock.now()
    timelapse = running(interval_s=60)
    for number in (2, 1):
        make_stored_capture(timelapse=timelapse, slot=now - timedelta(minutes=number))
    timelapse.image_count = 2
    timelapse.save()
    make_video(timelapse=timelapse, follows=True, throttle_s=600, asked_at=now + HOUR)

    assert automation.follow(now) == 1


def test_slots_that_were_tried_are_taken_and_it_is_said_until_when(ahead):
    timelapse, _ = ahead
    picture = timelapse.captures.get(state="stored")

    dispatch.plan()

    for told in (
        Event.objects.get(type="clock_set_back").payload,
        Decision.objects.get(action="clock_set_back").facts,
    ):
        assert (told["slots"], told["kept"], told["taken_until"]) == (2, 1, picture.slot.isoformat())
