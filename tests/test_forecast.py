from datetime import UTC, datetime, timedelta

import pytest

from captures import campaign, dispatch, forecast
from captures.exceptions import PlanRefused
from captures.forecast import Expectation
from captures.intervalometer import Coming, LeftOut, every
from captures.models import Timelapse
from media_jobs import clock
from tests.campaigns import running
from tests.factories import make_camera, make_stored_capture, make_timelapse

pytestmark = pytest.mark.django_db
DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
START = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
HOURLY = every(3600, on_the_clock=True)
OFFICE = {"rules": HOURLY["rules"], "window": {"kind": "clock", "start": "08:00", "end": "17:00"}}


def unsaved(**kw):
    return Timelapse(**{"camera": make_camera(), "name": "Form", "plan": HOURLY, "time_zone": "UTC"} | kw)


def slots_in(lines):
    return [line.at for line in lines if isinstance(line, Coming)]


def left_out_in(lines):
    return [(line.reason.code, line.count) for line in lines if isinstance(line, LeftOut)]


def test_forecast_of_a_form_gives_the_next_slots_with_their_rule():
    found = forecast.forecast(unsaved(), limit=3, start=START)

    assert found == [Coming(START + k * HOUR, "every 1 h on the clock") for k in range(3)]


def test_forecast_tells_what_is_left_out_and_why():
    found = forecast.forecast(unsaved(plan=OFFICE), limit=7, start=START)

    assert slots_in(found) == [START + k * HOUR for k in [*range(6), 20]]
    assert left_out_in(found) == [("outside_window", 14)]


def test_forecast_before_the_start_and_after_the_end():
    timelapse = unsaved(start_at=START + 2 * HOUR, end_at=START + 4 * HOUR)

    found = forecast.forecast(timelapse, limit=4, start=START)

    assert slots_in(found) == [START + 2 * HOUR, START + 3 * HOUR]
    assert left_out_in(found) == [("before_start", 2), ("after_end", 2)]
    assert (found[-1].from_at, found[-1].until_at) == (
        START + 4 * HOUR,
        START + 5 * HOUR + SECOND / 1_000_000,
    )


def test_forecast_stops_after_days_and_after_captures():
    days = forecast.forecast(unsaved(stop_after_days=1), limit=20, start=START)
    captures = forecast.forecast(unsaved(stop_after_captures=3), limit=5, start=START)

    assert (len(slots_in(days)), left_out_in(days)) == (12, [("after_end", 8)])  # until midnight
    assert (len(slots_in(captures)), left_out_in(captures)) == (3, [("enough_captures", 2)])


@pytest.mark.parametrize(
    ("move", "reason"),
    [(campaign.pause, "timelapse_paused"), (campaign.complete, "timelapse_ended")],
)
def test_forecast_of_one_that_does_not_run(move, reason):
    timelapse = running()
    move(timelapse, by="otto")

    assert left_out_in(forecast.forecast(timelapse, limit=5)) == [(reason, 5)]


def test_forecast_of_a_camera_that_is_switched_off():
    timelapse = running(camera=make_camera(is_enabled=False))

    assert left_out_in(forecast.forecast(timelapse, limit=5)) == [("camera_disabled", 5)]


def test_forecast_of_a_running_one_is_what_the_clock_then_does():
    timelapse = running(interval_s=7)
    now = clock.now()

    promised = slots_in(forecast.forecast(timelapse, limit=6))

    dispatch.claim(promised[-1] + SECOND, now)
    assert list(timelapse.captures.order_by("slot").values_list("slot", flat=True)) == promised


def test_forecast_of_unsaved_changes_is_that_of_the_changed_one():
    timelapse = running(interval_s=7)
    timelapse.plan = every(60, on_the_clock=True)

    found = slots_in(forecast.forecast(timelapse, limit=2, start=START))

    assert found == [START, START + 60 * SECOND]
    assert Timelapse.objects.get().words == "every 7 s"


def test_forecast_of_a_plan_that_cannot_be_carried_out():
    sunny = {"rules": [{"kind": "sun", "event": "sunset"}]}

    with pytest.raises(PlanRefused) as refusal:
        forecast.forecast(unsaved(plan=sunny), start=START)

    assert "place" in refusal.value.problems
    camera = make_camera(latitude=48.2, longitude=16.4)
    assert len(slots_in(forecast.forecast(unsaved(plan=sunny, camera=camera), start=START))) == 10


def test_expectation_counts_days_and_weighs_by_the_cameras_newest_pictures():
    camera = make_camera()
    before = make_timelapse(camera=camera)
    for number, weight in enumerate((100, 200, 900)):
        capture = make_stored_capture(timelapse=before, slot=START - number * DAY)
        before.captures.filter(pk=capture.pk).update(bytes=weight)
    Timelapse.objects.filter(pk=before.pk).update(latest_capture=capture)

    found = forecast.expectation(unsaved(camera=camera, plan=OFFICE, end_at=START + 2 * DAY), START)

    assert found == Expectation(
        per_day=10, until_end=20, bytes_per_day=2000, bytes_until_end=4000, ends_at=START + 2 * DAY
    )


def test_expectation_without_an_end_and_without_pictures():
    found = forecast.expectation(unsaved(), START)

    assert found == Expectation(24, None, None, None, None)


@pytest.mark.parametrize(
    ("rules", "more", "per_day"),
    [
        (HOURLY["rules"], {"dates": [["2026-12-01", "2026-12-31"]]}, 24),
        ([{"kind": "times", "times": ["12:00"]}], {"weekdays": [7]}, 53 / 365),
        ([{"kind": "times", "times": ["09:00", "21:00"]}], {}, 2),
    ],
)
def test_expectation_of_plans_that_begin_late_or_come_rarely(rules, more, per_day):
    found = forecast.expectation(unsaved(plan={"rules": rules, **more}), START)

    assert found.per_day == pytest.approx(per_day)


@pytest.mark.parametrize("number", [1, 2, 24, 25, 1000])
def test_expectation_of_so_many_captures_says_when_the_last_comes(number):
    found = forecast.expectation(unsaved(plan=OFFICE, stop_after_captures=number), START)
    slots = slots_in(forecast.forecast(unsaved(plan=OFFICE), limit=number, start=START))

    assert (found.until_end, found.ends_at) == (number, slots[-1])


def test_expectation_of_a_far_end_is_quick_and_near():
    found = forecast.expectation(unsaved(plan=OFFICE, end_at=START + 20 * 365 * DAY), START)

    assert found.until_end == pytest.approx(73_000, rel=0.01)
