import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captures.intervalometer import Coming, LeftOut, Place, PlanError, Timetable, every
from tests.plans import DAY, ZONES, changes, days_of_change, plans, timetable
from tests.slow_calendar import owed

TICK = timedelta(microseconds=1)
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)  # a Monday
BERLIN = "Europe/Berlin"
CHANGING_ZONES = [zone for zone in ZONES if changes(zone, 2026)]
FIXED_ZONES = [zone for zone in ZONES if not changes(zone, 2026)]
quick = settings(max_examples=40, deadline=None)


@st.composite
def timetables(draw, *, with_sun=False):
    """A timetable and the start of two days, most often around a change of the clock."""
    zone, start = draw(days_of_change())
    place = None
    if with_sun:
        hours = start.astimezone(ZoneInfo(zone)).utcoffset() / timedelta(hours=1)
        longitude = (hours * 15 + draw(st.integers(-20, 20)) + 180) % 360 - 180
        place = Place(draw(st.integers(-80, 80)) + 0.25, longitude)
    plan = draw(plans(near=start, with_sun=with_sun))
    return timetable(plan, zone=zone, place=place, start=start - draw(st.integers(0, 300)) * DAY), start


# What is owed


@given(timetables())
@settings(max_examples=150, deadline=None)
def test_slots_are_those_of_the_slow_calendar(drawn):
    table, start = drawn

    assert list(table.between(start, start + 2 * DAY)) == owed(table.to_document(), start, start + 2 * DAY)


@given(timetables(with_sun=True))
@settings(max_examples=25, deadline=None)
def test_slots_with_the_sun_are_those_of_the_slow_calendar(drawn):
    table, start = drawn

    assert list(table.between(start, start + DAY)) == owed(table.to_document(), start, start + DAY)


PLAN_OF_CHANGES = {
    "rules": [
        {"kind": "times", "times": ["00:00", "00:30", "02:30", "23:30"]},
        {"kind": "cron", "expression": "*/30 * * * *", "window": {"kind": "none"}},
        {"kind": "cron", "expression": "20,50 0,1,2,3,23 * * *", "window": {"kind": "none"}},
        {"kind": "interval", "every_s": 1700},
    ],
    "window": {"kind": "clock", "start": "23:30", "end": "02:30"},
    "weekdays": [1, 2, 3, 4, 5, 7],
    "dates": [],
    "blackouts": [],
}


@pytest.mark.parametrize("part", range(4))
def test_slots_at_both_changes_of_all_zones_are_those_of_the_slow_calendar(part):
    for zone in CHANGING_ZONES[part::4]:
        for change in changes(zone, 2026):
            start, end = change - DAY, change + DAY
            table = timetable(PLAN_OF_CHANGES, zone=zone, start=start)
            assert list(table.between(start, end)) == owed(table.to_document(), start, end), (zone, change)


def test_slots_in_zones_without_a_change_are_those_of_the_slow_calendar():
    start, end = datetime(2026, 7, 5, tzinfo=UTC), datetime(2026, 7, 6, tzinfo=UTC)
    one_for_each_offset = {start.astimezone(ZoneInfo(zone)).utcoffset(): zone for zone in FIXED_ZONES}
    for zone in one_for_each_offset.values():
        table = timetable(PLAN_OF_CHANGES, zone=zone, start=start)
        assert list(table.between(start, end)) == owed(table.to_document(), start, end), zone


def test_there_are_zones_with_and_without_changes():
    assert len(CHANGING_ZONES) > 150
    assert len(CHANGING_ZONES) + len(FIXED_ZONES) > 500


@pytest.mark.parametrize("part", range(4))
def test_clock_times_fire_once_each_local_day_of_the_year_in_all_zones(part):
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC)
    for zone in ZONES[part::4]:
        table = timetable({"rules": [{"kind": "times", "times": ["02:30"]}]}, zone=zone, start=start)
        slots = [slot.astimezone(ZoneInfo(zone)) for slot in table.between(start, end)]
        days = [slot.date() for slot in slots]
        assert all(later - day == DAY for day, later in pairwise(days)), zone
        assert len(days) in (363, 364, 365), zone
        assert {slot.strftime("%H:%M") for slot in slots} <= {"02:30", "03:00"}, zone


@pytest.mark.parametrize(
    ("rule", "day", "expected"),
    [
        ({"kind": "times", "times": ["02:30"]}, "2026-03-29", ["01:00"]),
        ({"kind": "times", "times": ["02:15", "02:30", "03:00"]}, "2026-03-29", ["01:00"]),
        ({"kind": "times", "times": ["02:30"]}, "2026-10-25", ["00:30"]),
        ({"kind": "cron", "expression": "30 2 * * *"}, "2026-03-29", ["01:00"]),
        ({"kind": "cron", "expression": "30 2 * * *"}, "2026-10-25", ["00:30"]),
        ({"kind": "cron", "expression": "*/30 2 * * *"}, "2026-03-29", []),
        ({"kind": "cron", "expression": "*/30 2 * * *"}, "2026-10-25", ["00:00", "00:30", "01:00", "01:30"]),
    ],
)
def test_times_at_a_change_move_on_or_fire_once_and_wildcards_follow_the_clock(rule, day, expected):
    start = datetime.fromisoformat(f"{day}T00:00:00+00:00")

    slots = timetable({"rules": [rule]}, zone=BERLIN, start=start).between(start, start + DAY / 4)

    assert [slot.strftime("%H:%M") for slot in slots] == expected


def test_a_day_that_a_place_leaves_out_has_no_clock_times():
    start = datetime(2011, 12, 29, tzinfo=UTC)
    table = timetable({"rules": [{"kind": "times", "times": ["08:00"]}]}, zone="Pacific/Apia", start=start)

    days = [slot.astimezone(ZoneInfo("Pacific/Apia")).day for slot in table.between(start, start + 3 * DAY)]

    assert days == [29, 31, 1]


def test_ends_of_a_clock_window_are_inside():
    window = {"kind": "clock", "start": "08:00", "end": "09:00"}
    table = timetable(every(1800, on_the_clock=True) | {"window": window}, start=NOON)

    assert [slot.strftime("%H:%M") for slot in table.between(NOON, NOON + DAY)] == ["08:00", "08:30", "09:00"]


def test_an_overnight_window_belongs_to_the_day_on_which_it_opened():
    window = {"kind": "clock", "start": "22:00", "end": "02:00"}
    plan = every(7200, on_the_clock=True) | {"window": window, "weekdays": [1], "blackouts": ["2026-05-05"]}
    table = timetable(plan, start=NOON)

    slots = [slot.strftime("%a %H:%M") for slot in table.between(NOON, NOON + 7 * DAY)]

    assert slots == ["Mon 22:00", "Tue 00:00", "Tue 02:00"]


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Etc/GMT+12", "Pacific/Kiritimati"])
def test_a_window_of_nearly_a_day_is_open_on_three_days_of_utc(zone):
    plan = every(3600) | {
        "window": {"kind": "clock", "start": "22:00", "end": "21:00"},
        "weekdays": [1, 3, 5],
    }
    table = timetable(plan, zone=zone, start=NOON)

    assert list(table.between(NOON, NOON + 8 * DAY)) == owed(table.to_document(), NOON, NOON + 8 * DAY)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "UTC", "Etc/GMT+12"])
@pytest.mark.parametrize("longitude", [-179.5, 0, 90, 179.5])
@pytest.mark.parametrize("offsets", [(-720, -700), (700, 720), (-720, -360), (0, 0)])
def test_the_sun_of_a_place_far_from_its_time_zone(zone, longitude, offsets):
    start, end = offsets
    rules = [
        {"kind": "interval", "every_s": 1200},
        {"kind": "sun", "event": "sunset", "offset_min": end, "window": {"kind": "none"}},
        {"kind": "sun", "event": "dawn", "offset_min": start, "window": {"kind": "none"}},
    ]
    plan = {"rules": rules, "window": {"kind": "sun", "start_offset_min": start, "end_offset_min": end}}
    table = timetable(plan, zone=zone, place=Place(10, longitude), start=NOON)

    assert list(table.between(NOON, NOON + 3 * DAY)) == owed(table.to_document(), NOON, NOON + 3 * DAY)


def test_a_rule_with_a_window_of_its_own_ignores_that_of_the_plan():
    plan = {
        "rules": [
            {"kind": "times", "times": ["11:00", "23:00"]},
            {
                "kind": "times",
                "times": ["12:00", "23:30"],
                "window": {"kind": "clock", "start": "23:00", "end": "01:00"},
            },
        ],
        "window": {"kind": "clock", "start": "08:00", "end": "18:00"},
    }

    slots = timetable(plan, start=NOON).between(NOON, NOON + DAY)

    assert [slot.strftime("%H:%M") for slot in slots] == ["23:30", "11:00"]


# All questions are answered alike


@given(timetables(with_sun=True))
@quick
def test_all_answers_agree_with_the_slots_between(drawn):
    table, start = drawn
    end = start + 1.5 * DAY

    slots = list(table.between(start, end))

    assert all(slot < later for slot, later in pairwise(slots))
    assert table.count(start, end) == len(slots)
    assert chain(table, start, end) == slots
    assert table.newest(start, end, len(slots) + 1) == slots[::-1]
    assert table.newest(start, end, 3) == slots[::-1][:3]
    for slot in slots[:20]:
        assert table.first_from(slot) == slot
        assert table.closed_because(slot) is None
        assert table.rule_of(slot)
        assert table.open_period(slot)[0] == slot
    assert Timetable.from_document(table.to_document()) == table


@given(timetables(with_sun=True))
@quick
def test_forecast_takes_the_slots_between_and_accounts_for_those_of_each_rule_that_are_left_out(drawn):
    table, start = drawn
    end = start + 1.5 * DAY

    told = list(table.forecast(start, limit=10_000, until=end))

    assert [one.at for one in told if isinstance(one, Coming)] == list(table.between(start, end))
    moments = [one.at if isinstance(one, Coming) else one.from_at for one in told]
    assert moments == sorted(moments)
    for lane in table.lanes:
        left_out = [one for one in told if isinstance(one, LeftOut) and one.reason.code != "no_sun_event"]
        named = lane.instants.count(start, end)
        words = [other.rule.words for other in table.lanes].count(lane.rule.words)
        count = sum(one.count for one in left_out if one.rule == lane.rule.words) / words
        assert count == named - lane.count(start, end)


@given(timetables(with_sun=True))
@quick
def test_the_open_period_is_open_to_its_end_and_closed_before_and_after(drawn):
    table, start = drawn
    opens, closes = table.open_period(start) or (None, None)

    if opens is not None:
        assert (table.closed_because(start) is None) == (opens == start)
        assert table.closed_because(opens) is None
    if closes is not None:
        assert table.closed_because(closes - TICK) is None
        assert table.closed_because(closes + TICK) is not None


def chain(table, start, end):
    """The slots by asking for the next one again and again."""
    slots = [table.first_from(start)]
    while slots[-1] is not None and slots[-1] < end:
        slots.append(table.next_after(slots[-1]))
    return list(takewhile(lambda slot: slot is not None and slot < end, slots))


def test_a_year_of_seconds_inside_windows_is_counted_by_arithmetic():
    window = {"kind": "clock", "start": "08:00", "end": "18:00"}
    table = timetable(every(1, on_the_clock=True) | {"window": window, "weekdays": [1, 2, 3]}, start=NOON)

    assert table.count(NOON.replace(hour=0), NOON.replace(hour=0) + 364 * DAY) == 52 * 3 * 36_001


def test_newest_finds_the_last_slots_behind_months_of_silence():
    table = timetable(every(1, on_the_clock=True) | {"dates": [["2026-01-01", "2026-01-31"]]}, start=NOON)
    last = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)

    assert table.newest(NOON - 3000 * DAY, NOON, 2) == [last, last - timedelta(seconds=1)]


# Rare and never


def test_the_29th_of_february_is_found_over_the_year_1900s_kind_of_gap():
    table = timetable({"rules": [{"kind": "cron", "expression": "0 12 29 2 *"}]}, start=NOON)

    assert table.next_after(datetime(2096, 3, 1, tzinfo=UTC)) == datetime(2104, 2, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "plan",
    [
        every(60) | {"dates": [["2020-01-01", "2020-12-31"]]},
        {
            "rules": [
                {
                    "kind": "times",
                    "times": ["12:00"],
                    "window": {"kind": "clock", "start": "22:00", "end": "06:00"},
                }
            ]
        },
        every(60) | {"window": {"kind": "altitude", "at_least_deg": 80}},
    ],
)
def test_what_never_opens_has_no_next_slot(plan):
    table = timetable(plan, zone=BERLIN, place=Place(52.5, 13.4), start=NOON)

    assert table.next_after(NOON) is None
    assert table.count(NOON, NOON + 100 * DAY) == 0
    assert [type(one) for one in table.forecast(NOON, limit=5)] == [LeftOut]


def test_a_rule_that_never_comes_does_not_hide_the_others():
    night = {"kind": "clock", "start": "22:00", "end": "06:00"}
    rules = [{"kind": "times", "times": ["12:00"], "window": night}, {"kind": "times", "times": ["13:00"]}]
    table = timetable({"rules": rules}, start=NOON)

    assert table.next_after(NOON) == NOON + timedelta(hours=1)


# Reasons


HIGH_SUN = {"kind": "altitude", "at_least_deg": 10}
LOW_SUN = {"kind": "altitude", "at_most_deg": -6}
MARCH = [["2026-03-01", "2026-03-31"]]
NIGHT = {"kind": "clock", "start": "22:00", "end": "06:00"}


@pytest.mark.parametrize(
    ("plan", "moment", "code", "words"),
    [
        ({"window": NIGHT}, "05-04T19:00", "outside_window", "Outside 22:00 to 06:00."),
        ({"weekdays": [1, 2, 3, 4, 5]}, "05-09T12:00", "weekday", "Only on Mon to Fri."),
        ({"window": NIGHT, "weekdays": [1]}, "05-06T03:00", "weekday", "Only on Mon."),
        ({"dates": MARCH}, "05-04T12:00", "not_in_dates", "Only from 2026-03-01 to 2026-03-31."),
        ({"blackouts": ["2026-05-04"]}, "05-04T12:00", "blackout_date", "No pictures on 2026-05-04."),
        ({"window": {"kind": "sun"}}, "05-04T22:00", "sun_is_down", "Outside sunrise to sunset."),
        ({"window": HIGH_SUN}, "05-04T22:00", "sun_is_down", "The sun is lower than 10°."),
        ({"window": LOW_SUN}, "05-04T12:00", "sun_is_up", "The sun is higher than -6°."),
    ],
)  # fmt: skip
def test_why_it_is_closed(plan, moment, code, words):
    table = timetable(every(60) | plan, place=Place(51, 0), start=NOON)

    reason = table.closed_because(datetime.fromisoformat(f"2026-{moment}+00:00"))

    assert (reason.code, reason.words) == (code, words)


def test_the_reason_at_the_instant_after_a_night_is_that_the_sun_is_up():
    table = timetable(every(60) | {"window": LOW_SUN}, place=Place(51, 0), start=NOON)

    _, closes = table.open_period(NOON)

    assert table.closed_because(closes) is None
    assert table.closed_because(closes + TICK).code == "sun_is_up"


def test_no_day_of_the_sun_is_lost_as_the_clock_is_changed_at_the_other_end_of_the_world():
    start = datetime(2026, 3, 1, tzinfo=UTC)
    plan = {"rules": [{"kind": "sun", "event": "noon"}], "window": {"kind": "sun"}}

    slots = timetable(plan, zone="Pacific/Auckland", place=Place(51, 0), start=start).between(
        start, start + 90 * DAY
    )

    assert len(list(slots)) == 90


def test_forecast_merges_what_is_left_out_by_reason():
    window = {"kind": "clock", "start": "08:00", "end": "18:00"}
    table = timetable(
        every(3600, on_the_clock=True) | {"window": window, "weekdays": [1, 2, 3, 4, 5]}, start=NOON
    )
    friday = datetime(2026, 5, 8, 18, tzinfo=UTC)

    told = list(table.forecast(friday, limit=2))

    stretches = [
        (one.from_at, one.until_at, one.count, one.reason.code) for one in told if isinstance(one, LeftOut)
    ]
    saturday, monday = datetime(2026, 5, 9, tzinfo=UTC), datetime(2026, 5, 11, tzinfo=UTC)
    assert stretches == [
        (friday, saturday, 5, "outside_window"),
        (saturday, monday, 48, "weekday"),
        (monday, monday.replace(hour=8), 8, "outside_window"),
    ]
    assert [one for one in told if isinstance(one, Coming)] == [
        Coming(friday, "every 1 h on the clock"),
        Coming(monday.replace(hour=8), "every 1 h on the clock"),
    ]


def test_what_is_left_out_in_two_nights_is_told_for_each():
    window = {"kind": "clock", "start": "11:00", "end": "12:00"}
    table = timetable(every(1800, on_the_clock=True) | {"window": window}, start=NOON)

    told = list(table.forecast(NOON, limit=5))

    nights = [(one.from_at, one.until_at, one.count) for one in told if isinstance(one, LeftOut)]
    assert nights == [(NOON + k * DAY, NOON + k * DAY + timedelta(hours=23), 45) for k in (0, 1)]


def test_the_open_period_is_what_people_wait_for():
    window = {"kind": "clock", "start": "06:00", "end": "18:00"}
    table = timetable(every(60) | {"window": window}, zone=BERLIN, start=NOON)
    opens = datetime(2026, 5, 5, 4, tzinfo=UTC)

    assert table.open_period(datetime(2026, 5, 4, 20, tzinfo=UTC)) == (opens, opens + DAY / 2)
    assert timetable(every(60), start=NOON).open_period(NOON) == (NOON, None)


def test_each_slot_names_the_first_rule_that_gives_it():
    rules = [
        {"kind": "times", "times": ["12:00"]},
        {"kind": "interval", "every_s": 3600, "on_the_clock": True},
    ]
    table = timetable({"rules": rules}, start=NOON)

    told = [table.rule_of(NOON + k * timedelta(minutes=30)) for k in range(3)]

    assert told == ["at 12:00", "", "every 1 h on the clock"]


# What it is made of


def test_documents_of_timetables_keep_their_anchors_and_survive_json():
    plan = {"rules": [{"kind": "interval", "every_s": 60}, {"kind": "cron", "expression": "0 8 * * *"}]}
    table = timetable(plan, zone=BERLIN, place=Place(52.5, 13.4), start=NOON)

    document = table.to_document()

    assert Timetable.from_document(json.loads(json.dumps(document))) == table
    assert document["anchors"] == [document["anchors"][0], None]
    assert document["place"] == [52.5, 13.4]


def test_the_sun_needs_a_place():
    with pytest.raises(PlanError) as caught:
        timetable({"rules": [{"kind": "sun", "event": "noon"}]}, start=NOON)

    assert caught.value.problems == {"place": "A plan with the sun needs a place."}


def test_a_zone_must_exist():
    with pytest.raises(PlanError) as caught:
        timetable(every(60), zone="Europe/Atlantis", start=NOON)

    assert caught.value.problems == {"time_zone": "There is no time zone “Europe/Atlantis”."}
