from datetime import UTC, date, datetime, timedelta

import astral
import astral.sun
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captures.intervalometer import Coming, LeftOut, Place, every
from captures.intervalometer.sun import altitude, unix_s
from tests.plans import DAY, timetable

TROMSO = Place(69.65, 18.96)
SVALBARD = Place(78.22, 15.64)
OSLO_TIME = "Europe/Oslo"
SHINE = {"kind": "sun", "start_offset_min": 45, "end_offset_min": -45}


def hourly(window):
    return every(3600, on_the_clock=True) | {"window": window}


def slots_of(plan, place, start, days, zone=OSLO_TIME):
    return list(timetable(plan, zone=zone, place=place, start=start).between(start, start + days * DAY))


@given(st.integers(-89, 89), st.integers(-180, 180), st.integers(0, 50 * 366 * 86_400))
@settings(max_examples=200, deadline=None)
def test_the_altitude_is_that_of_astral(latitude, longitude, seconds):
    moment = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)

    ours = altitude(Place(latitude, longitude), unix_s(moment))

    theirs = astral.sun.elevation(astral.Observer(latitude, longitude), moment, with_refraction=False)
    assert ours == pytest.approx(theirs, abs=0.05)


@pytest.mark.parametrize("event", ["dawn", "sunrise", "noon", "sunset", "dusk"])
@pytest.mark.parametrize(
    ("zone", "place"),
    [
        ("Europe/Berlin", Place(52.52, 13.4)),
        ("Pacific/Auckland", Place(-36.85, 174.76)),
        ("America/Juneau", Place(58.3, -134.4)),
        ("America/Guayaquil", Place(-0.2, -78.5)),
        ("Asia/Kolkata", Place(19.07, 72.88)),
    ],
)
def test_events_of_the_sun_over_a_year_are_those_of_astral(event, zone, place):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    observer = astral.Observer(place.latitude, place.longitude)

    slots = slots_of({"rules": [{"kind": "sun", "event": event}]}, place, start, 365, zone)

    assert len(slots) == 365
    for slot in slots[::9]:
        days = [slot.date() + step * DAY for step in (-1, 0, 1)]
        theirs = [getattr(astral.sun, event)(observer, date=day) for day in days]
        assert min(abs(slot - their) for their in theirs) < timedelta(seconds=90)


def test_a_shot_before_sunrise_is_offset_and_named():
    start = datetime(2026, 5, 4, tzinfo=UTC)
    rules = [{"kind": "sun", "event": "sunrise"}, {"kind": "sun", "event": "sunrise", "offset_min": -15}]
    table = timetable({"rules": rules}, zone="Europe/Berlin", place=Place(52.52, 13.4), start=start)

    early, rise = table.between(start, start + DAY)

    assert rise - early == timedelta(minutes=15)
    assert table.rule_of(early) == "15 min before sunrise"


@pytest.mark.parametrize("day", ["2026-03-20", "2026-09-23", "2026-11-10"])
def test_a_sun_window_opens_and_closes_with_its_offsets(day):
    start = datetime.fromisoformat(f"{day}T00:00:00+01:00").astimezone(UTC)
    table = timetable(every(60) | {"window": SHINE}, zone=OSLO_TIME, place=TROMSO, start=start)

    opens, closes = table.open_period(start)

    observer = astral.Observer(TROMSO.latitude, TROMSO.longitude)
    rise = astral.sun.sunrise(observer, date=date.fromisoformat(day))
    set_ = astral.sun.sunset(observer, date=date.fromisoformat(day))
    assert abs(opens - rise - timedelta(minutes=45)) < timedelta(minutes=2)
    assert abs(closes - set_ + timedelta(minutes=45)) < timedelta(minutes=2)


@pytest.mark.parametrize("window", [SHINE, {"kind": "altitude", "at_least_deg": 0.0}])
def test_polar_day_is_always_open(window):
    start = datetime(2026, 6, 1, tzinfo=UTC)

    assert len(slots_of(hourly(window), TROMSO, start, 30)) == 30 * 24


@pytest.mark.parametrize("window", [SHINE, {"kind": "altitude", "at_least_deg": 0.0}])
def test_polar_night_is_never_open(window):
    start = datetime(2026, 12, 1, tzinfo=UTC)

    assert slots_of(hourly(window), TROMSO, start, 30) == []


def test_polar_night_is_given_as_the_reason():
    start = datetime(2026, 12, 5, 11, tzinfo=UTC)
    table = timetable(hourly(SHINE), zone=OSLO_TIME, place=TROMSO, start=start)

    assert table.closed_because(start).code == "polar_night"
    assert table.open_period(start)[0].date() == date(
        2027, 1, 17
    )  # as soon as the day is longer than 90 minutes


def test_polar_night_is_open_all_day_for_those_who_want_the_dark():
    start = datetime(2026, 12, 1, tzinfo=UTC)

    assert len(slots_of(hourly({"kind": "altitude", "at_most_deg": -0.833}), SVALBARD, start, 30)) == 30 * 24


def test_a_polar_day_is_one_open_stretch():
    start = datetime(2026, 5, 1, tzinfo=UTC)
    window = {"kind": "sun", "start_offset_min": 0, "end_offset_min": 0}
    table = timetable(hourly(window), zone=OSLO_TIME, place=SVALBARD, start=start)

    _, closes = table.open_period(start)

    assert date(2026, 8, 22) < closes.date() < date(2026, 8, 28)


def test_shots_of_the_sun_on_days_without_it_are_left_out_with_their_reason():
    start = datetime(2026, 11, 24, tzinfo=UTC)
    table = timetable(
        {"rules": [{"kind": "sun", "event": "sunrise"}]}, zone=OSLO_TIME, place=TROMSO, start=start
    )

    told = list(table.forecast(start, limit=7))

    left_out = [one for one in told if isinstance(one, LeftOut)]
    coming = [one.at.date() for one in told if isinstance(one, Coming)]
    assert [one.reason.code for one in left_out] == ["no_sun_event"]
    assert [one.reason.words for one in left_out] == ["There is no sunrise on this day."]
    first_after = next(day for day in coming if day.year == 2027)
    last_before = max(day for day in coming if day.year == 2026)
    assert left_out[0].count == (first_after - last_before).days - 1


@pytest.mark.parametrize("latitude", [-90, -89.99, -66.6, 66.6, 89.99, 90])
def test_at_the_ends_of_the_earth_all_answers_agree(latitude):
    start = datetime(2026, 3, 10, tzinfo=UTC)
    table = timetable(hourly(SHINE), place=Place(latitude, 0), start=start)
    end = start + 30 * DAY

    slots = list(table.between(start, end))

    assert table.count(start, end) == len(slots)
    assert slots == sorted(set(slots))
    assert 0 < len(slots) < 30 * 24


@pytest.mark.parametrize(("latitude", "longitude"), [(91, 0), (0, 181), (float("nan"), 0)])
def test_places_outside_the_earth_are_refused(latitude, longitude):
    with pytest.raises(ValueError, match="There is no place"):
        Place(latitude, longitude)
