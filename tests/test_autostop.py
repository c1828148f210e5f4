"""A timelapse ends by itself: at a moment, after days, after captures. It says so, and owes nothing more."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cameras.models import Camera
from captures import campaign, dispatch, ledger, orders, reasons, settlement, versions
from captures.exceptions import NotRunning, PlanRefused
from captures.intervalometer import every
from captures.models import Capture, Timelapse
from media_jobs import clock
from media_jobs.models import Decision, Event
from tests.campaigns import claim, faults, plan_until, running, slots_of
from tests.factories import make_camera, make_timelapse

pytestmark = pytest.mark.django_db
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
SUNNY = {"rules": [{"kind": "interval", "every_s": 60}], "window": {"kind": "sun"}}


def take(capture, *, is_good=True):
    capture = claim(capture.pk, worker="w")
    if not is_good:
        return ledger.fail(capture, "unreachable")
    picture = ledger.StoredPicture(f"{capture.pk}.jpg", 9, 64, 48, "mjpeg", "ab" * 32, clock.now())
    return ledger.store(capture, picture)


def end_of(timelapse):
    timelapse.refresh_from_db()
    event = Event.objects.filter(topic=timelapse.topic, type="timelapse_completed").last()
    decision = Decision.objects.filter(topic=timelapse.topic, action="timelapse_completed").last()
    return timelapse.state, event and event.payload["rule"], decision and (decision.by, decision.rule)


def test_after_captures_no_more_are_asked_for_than_are_wanted():
    timelapse = running(interval_s=1, stop_after_captures=3)

    plan_until(clock.now() + 8 * SECOND)

    states = list(timelapse.captures.order_by("slot").values_list("state", "reason"))
    assert states[:3] == [("owed", "")] * 3
    assert set(states[3:]) == {("skipped", "enough_captures")}
    assert faults(timelapse) == []
    with pytest.raises(NotRunning, match="3 pictures"):
        orders.request_capture(timelapse, by="otto")


def test_after_captures_a_later_slot_stands_in_for_one_that_failed():
    timelapse = running(interval_s=10, stop_after_captures=2)
    first, second = timelapse.next_slot_at, timelapse.next_slot_at + 10 * SECOND
    dispatch.claim(second + SECOND, first - SECOND)
    good, bad = timelapse.captures.order_by("slot")
    take(good)
    take(bad, is_good=False)
    assert campaign.complete_ended(clock.now()) == 0

    dispatch.claim(second + 21 * SECOND, second)

    third, fourth = timelapse.captures.order_by("slot")[2:]
    assert (third.state, fourth.state, fourth.reason) == ("owed", "skipped", "enough_captures")
    assert faults(timelapse) == []


def test_after_captures_it_completes_and_says_by_which_rule():
    timelapse = running(interval_s=1, stop_after_captures=2)
    dispatch.claim(timelapse.next_slot_at + 2 * SECOND, timelapse.next_slot_at)
    for capture in timelapse.captures.owed():
        take(capture)

    assert campaign.complete_ended(clock.now()) == 1

    assert end_of(timelapse) == ("completed", "after 2 captures", ("clock", "after 2 captures"))
    now = clock.now()
    assert dispatch.claim(now + DAY, now) == 0
    assert timelapse.captures.stored().count() == timelapse.image_count == 2
    assert faults(timelapse) == []


def test_after_days_counts_local_days_with_that_of_the_start():
    timelapse = make_timelapse(time_zone="Asia/Tokyo", stop_after_days=2)
    assert timelapse.stops_at is None
    timelapse.started_at = datetime(2026, 5, 4, 14, 59, tzinfo=UTC)  # a minute before midnight
    assert timelapse.stops_at == datetime(2026, 5, 5, 15, 0, tzinfo=UTC)
    timelapse.end_at = datetime(2026, 5, 5, 9, 0, tzinfo=UTC)
    assert timelapse.stops_at == timelapse.end_at


def test_after_days_it_completes_at_the_midnight_of_its_zone():
    timelapse = running(interval_s=600, stop_after_days=1, time_zone="Asia/Kathmandu")
    end = timelapse.stops_at
    now = clock.now()
    assert now < end <= now + DAY

    dispatch.claim(end + DAY, now)
    timelapse.refresh_from_db()
    assert timelapse.next_slot_at is None
    assert max(slots_of(timelapse)) < end if slots_of(timelapse) else True
    assert faults(timelapse) == []
    settlement.sweep(end + 60 * SECOND)
    assert campaign.complete_ended(end - SECOND) == 0
    assert campaign.complete_ended(end + 60 * SECOND) == 1

    assert end_of(timelapse) == ("completed", "after 1 days", ("clock", "after 1 days"))


def test_a_later_limit_lets_it_go_on_from_the_next_slot():
    timelapse = running(interval_s=1, stop_after_captures=1)
    dispatch.claim(timelapse.next_slot_at + SECOND / 2, timelapse.next_slot_at)
    take(timelapse.captures.get())

    campaign.change(timelapse, by="otto", stop_after_captures=5)

    assert campaign.complete_ended(clock.now()) == 0
    assert timelapse.next_slot_at is not None
    assert faults(timelapse) == []


def test_switched_off_camera_is_not_read_for_what_was_planned_before():
    timelapse = running(interval_s=1)
    plan_until(clock.now() + 2 * SECOND)
    capture = timelapse.captures.first()
    Camera.objects.update(is_enabled=False)

    assert claim(capture.pk, worker="w") is None

    capture.refresh_from_db()
    assert (capture.state, capture.reason) == ("skipped", "camera_disabled")
    assert capture.detail == reasons.REASONS["camera_disabled"]


def test_moved_camera_takes_its_timelapse_with_it_and_others_stay():
    camera = make_camera(latitude=48.2, longitude=16.4)
    timelapse = running(camera=camera, plan=SUNNY, time_zone="UTC")
    plain = running(camera=make_camera(latitude=1.0, longitude=2.0))
    assert campaign.follow_cameras() == 0

    Camera.objects.update(latitude=-33.9, longitude=151.2)

    assert campaign.follow_cameras() == 1
    assert [version.timetable.place.latitude for version in timelapse.schedules.all()] == [48.2, -33.9]
    assert plain.schedules.count() == 1
    assert campaign.follow_cameras() == 0
    assert faults(timelapse) == []
    Camera.objects.update(latitude=None, longitude=None)
    assert campaign.follow_cameras() == 0  # the timetable that was in force stays
    timelapse.refresh_from_db()
    with pytest.raises(PlanRefused):
        campaign.reschedule(Timelapse.objects.get(pk=timelapse.pk), by="otto")
    assert timelapse.schedules.filter(until_at__isnull=True).count() == 1


def test_reschedule_takes_up_what_was_set_aside():
    timelapse = running(interval_s=5)
    now = clock.now()
    Timelapse.objects.update(
        set_aside_until=now + DAY, schedule_error="broken", next_slot_at=now - 60 * SECOND
    )
    timelapse.schedules.update(document={"plan": {"rules": []}})

    campaign.reschedule(timelapse, by="otto")

    timelapse.refresh_from_db()
    assert (timelapse.set_aside_until, timelapse.schedule_error) == (None, "")
    assert now < timelapse.next_slot_at <= clock.now() + 5 * SECOND
    assert timelapse.schedules.get(until_at__isnull=True).words == "every 5 s"
    with pytest.raises(NotRunning):
        campaign.reschedule(make_timelapse(), by="otto")


def test_change_of_the_zone_holds_at_once_and_keeps_last_weeks_version():
    plan = {"rules": [{"kind": "times", "times": ["12:00"]}]}
    timelapse = running(plan=plan, time_zone="Asia/Tokyo")

    campaign.change(timelapse, by="otto", time_zone="America/New_York")

    assert timelapse.next_slot_at.astimezone(timelapse.zone).hour == 12
    assert [version.timetable.zone for version in timelapse.schedules.all()] == [
        "Asia/Tokyo",
        "America/New_York",
    ]
    assert Decision.objects.get(action="schedule_changed").facts["time_zone"] == [
        "Asia/Tokyo",
        "America/New_York",
    ]


def test_each_capture_says_its_rule_and_has_an_id_of_its_own():
    rules = [
        {"kind": "interval", "every_s": 2, "on_the_clock": True},
        {"kind": "cron", "expression": "* * * * * *"},
    ]
    timelapse = running(plan={"rules": rules})
    now = clock.now()

    dispatch.claim(now + 6 * SECOND, now)

    rows = list(timelapse.captures.order_by("slot"))
    assert {row.rule for row in rows} == {"every 2 s on the clock", "cron * * * * * *"}
    assert all((row.rule == "every 2 s on the clock") == (row.slot.second % 2 == 0) for row in rows)
    assert len({row.correlation_id for row in rows}) == len(rows) >= 6
    assert {row.requested_by for row in rows} == {"clock"}


def test_claim_asks_as_many_questions_for_many_timelapses_as_for_two():
    def questions(count):
        for _ in range(count):
            running(interval_s=1, stop_after_days=3)
        now = clock.now()
        Timelapse.objects.update(
            next_slot_at=now - SECOND / 10
        )  # nothing is late: a gap has an event of its own
        with CaptureQueriesContext(connection) as queries:
            assert dispatch.claim(now, now) >= count
        return len(queries)

    assert questions(2) == questions(15)  # SQLite writes about twenty captures with one statement


def test_broken_plan_is_refused_before_anything_is_written():
    timelapse = running(interval_s=5)

    with pytest.raises(PlanRefused):
        campaign.change(timelapse, by="otto", plan=SUNNY)

    timelapse.refresh_from_db()
    assert timelapse.words == "every 5 s"
    assert timelapse.schedules.count() == 1
    assert versions.timetable_of(timelapse, clock.now()).plan.to_document() == every(5)
    assert Capture.objects.filter(timelapse=timelapse).count() == 0
