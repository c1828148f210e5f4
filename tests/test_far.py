"""Slots that come late or never: nobody waits for the search, and a plan that owes nothing is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from captures import campaign, dispatch, versions
from captures.exceptions import PlanRefused
from captures.intervalometer import Place, Plan, Timetable
from captures.models import Timelapse
from media_jobs import clock
from tests.campaigns import faults, running
from tests.factories import make_camera, make_timelapse
from timelapser.pages import status

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)
MINUTE = {"kind": "interval", "every_s": 60}
NEVER_SO_HIGH = {"kind": "altitude", "at_least_deg": 80}


def timetable(*rules, **fields):
    plan = Plan.from_document({"rules": list(rules), **fields})
    return Timetable.of(plan, zone="Europe/Berlin", place=Place(52.5, 13.4), seed="x", start=NOW)


def test_first_slot_is_looked_for_as_far_as_is_said():
    leap_day = timetable({"kind": "cron", "expression": "0 12 29 2 *"})
    two = timetable(
        {"kind": "cron", "expression": "0 12 29 2 *"}, {"kind": "cron", "expression": "0 13 29 2 *"}
    )
    for one in (leap_day, two):
        assert one.first_from(NOW) == datetime(2028, 2, 29, 11, tzinfo=UTC)
        assert one.first_from(NOW, 8 * DAY) is None


@pytest.mark.parametrize("window", [NEVER_SO_HIGH, {"kind": "altitude", "at_most_deg": -80}])
def test_sun_that_never_does_it_is_looked_for_in_one_year_alone(window, monkeypatch):
    plan = timetable(MINUTE, window=window)
    openings = plan.lanes[0].openings
    assert plan.first_from(NOW) is None
    assert openings._is_never is True
    assert plan.first_from(NOW + 900 * DAY) is None
    assert len(openings._days) < 40


def test_sun_that_does_it_in_summer_alone_is_found():
    plan = timetable(MINUTE, window={"kind": "altitude", "at_least_deg": 60})
    found = plan.first_from(datetime(2026, 8, 1, tzinfo=UTC))
    assert found.year == 2027
    assert found.month in (5, 6)


def test_forecast_of_twenty_rules_that_never_meet_their_window_is_bounded(monkeypatch):
    rules = [{"kind": "cron", "expression": f"0 {hour} 29 2 *"} for hour in range(20)]
    plan = timetable(*rules, window={"kind": "clock", "start": "20:00:01", "end": "20:00:02"})
    seen = []
    first_from = type(plan.lanes[0]).first_from
    monkeypatch.setattr(
        type(plan.lanes[0]),
        "first_from",
        lambda lane, at, until: seen.append(until) or first_from(lane, at, until),
    )

    lines = list(plan.forecast(NOW, limit=10))

    assert lines == []
    assert max(seen) <= NOW + 2 * 366 * DAY


def test_rate_of_many_busy_rules_is_estimated():
    rules = [{"kind": "cron", "expression": f"{second}-59 * * * * *"} for second in range(10)]
    plan = timetable(*rules)
    assert plan.about(NOW, NOW + 7 * DAY) == pytest.approx(7 * 86_400, rel=0.01)
    few = timetable(*rules[:2])
    assert few.about(NOW, NOW + timedelta(hours=1)) == few.count(NOW, NOW + timedelta(hours=1)) == 3600


@pytest.mark.django_db
@pytest.mark.parametrize(
    "plan",
    [
        {"rules": [MINUTE], "window": NEVER_SO_HIGH},
        {
            "rules": [{"kind": "times", "times": ["12:00"]}],
            "window": {"kind": "clock", "start": "13:00", "end": "14:00"},
        },
        {"rules": [MINUTE], "dates": [["2020-01-01", "2020-02-01"]]},
    ],
)
def test_plan_that_never_owes_a_picture_is_refused_when_it_is_saved(plan, api, admin):
    camera = make_camera(latitude=52.5, longitude=13.4)
    answer = api(admin).post(
        "/api/v1/timelapses/", {"camera": camera.pk, "name": "Never", "plan": plan}, format="json"
    )
    assert answer.status_code == 400
    assert versions.NEVER in str(answer.json())
    timelapse = make_timelapse(camera=camera, plan=Plan.from_document(plan).to_document())
    with pytest.raises(PlanRefused):
        campaign.start(timelapse, by="otto")


@pytest.mark.django_db
def test_slot_in_years_is_found_by_the_sweep_and_not_by_the_planner():
    now = clock.now()
    soon = (now + timedelta(minutes=1)).astimezone(UTC)
    later = soon + 40 * DAY
    rules = [
        {"kind": "cron", "expression": f"{at.minute} {at.hour} {at.day} {at.month} *"} for at in (soon, later)
    ]
    timelapse = running(plan={"rules": rules}, time_zone="UTC")
    first = timelapse.next_slot_at

    dispatch.claim(first + timedelta(seconds=1), first - timedelta(seconds=1))

    timelapse.refresh_from_db()
    assert timelapse.next_slot_at is None
    assert timelapse.captures.get().slot == first
    assert faults(timelapse) == []
    assert campaign.complete_ended(first + DAY) == 0
    assert versions.find_far_slots() == 1
    timelapse.refresh_from_db()
    assert timelapse.next_slot_at == later.replace(second=0, microsecond=0)
    assert versions.find_far_slots() == 0


@pytest.mark.django_db
def test_timelapse_whose_days_are_over_owes_nothing_and_is_looked_at_once(django_assert_num_queries):
    timelapse = running()
    Timelapse.objects.filter(pk=timelapse.pk).update(next_slot_at=None)
    schedule = timelapse.schedules.get()
    document = schedule.document | {
        "plan": schedule.document["plan"] | {"dates": [["2020-01-01", "2020-01-02"]]}
    }
    timelapse.schedules.update(document=document)

    assert versions.find_far_slots() == 0

    hits = versions._far_slot.cache_info().hits
    assert versions.find_far_slots() == 0
    assert versions._far_slot.cache_info().hits == hits + 1


@pytest.mark.django_db
def test_sleeping_camera_wakes_with_its_next_slot():
    camera = make_camera(latitude=52.5, longitude=13.4)
    timelapse = make_timelapse(
        camera=camera, state="running", plan={"rules": [MINUTE], "window": NEVER_SO_HIGH}
    )
    now = clock.now()
    assert status.standing_of(camera, timelapse, now).label == "Sleeping"
    timelapse.next_slot_at = now + timedelta(minutes=1)
    assert status.standing_of(camera, timelapse, now).label.startswith("Sleeping until ")
