"""The calendar, the ribbon and "why?" on the page of a timelapse, and what addresses may ask for."""

import itertools
import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse

from captures.intervalometer import Plan, Timetable
from captures.models import Capture, Schedule
from tests.factories import make_capture, make_stored_capture, make_timelapse
from tests.test_pages import HTMX, words_of
from timelapser.pages.kept import Kept, Wish

pytestmark = pytest.mark.django_db
VIENNA = ZoneInfo("Europe/Vienna")
DAY = date(2026, 5, 5)
NOW = datetime(2026, 5, 20, 12, 0, tzinfo=UTC)
PLAN = {
    "rules": [{"kind": "interval", "every_s": 3600, "on_the_clock": True}],
    "window": {"kind": "clock", "start": "08:00", "end": "17:00"},
}


@pytest.fixture
def may():
    """A timelapse of the first half of May 2026 in Vienna, one picture an hour by day."""
    start, end = (datetime.combine(date(2026, 5, n), time(), VIENNA) for n in (1, 16))
    plan = Plan.from_document(PLAN)
    timelapse = make_timelapse(
        plan=plan.to_document(),
        time_zone="Europe/Vienna",
        state="completed",
        started_at=start,
        completed_at=end,
    )
    timetable = Timetable.of(plan, zone="Europe/Vienna", place=None, seed="", start=start)
    Schedule.objects.create(
        timelapse=timelapse, document=timetable.to_document(), from_at=start, until_at=end
    )
    return timelapse


def fill(timelapse, day, states):
    """One capture an hour from 08:00 on, with these states; what is lost has a reason."""
    for number, state in enumerate(states):
        slot = datetime.combine(day, time(8 + number), VIENNA)
        if state == "stored":
            make_stored_capture(timelapse=timelapse, slot=slot)
        else:
            make_capture(timelapse=timelapse, slot=slot, state=state, reason="no_worker", detail="Nobody.")


def page_of(timelapse, **query):
    return Kept(timelapse, NOW, Wish.of(query, VIENNA, NOW))


def cell_of(kept, day):
    return next(cell for week in kept.weeks for cell in week if cell and cell.day == day)


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["stored"] * 10, "whole"),
        (["stored"] * 10 + ["missed"], "most"),
        (["stored"] * 8 + ["missed"] * 2, "some"),
        (["failed"] * 3, "none"),
        (["skipped"] * 3, "skipped"),
        (["stored"] * 2 + ["skipped"] * 8, "whole"),
        ([], "nothing"),
    ],
)
def test_day_has_the_colour_of_what_was_kept(may, states, code):
    fill(may, DAY, states)
    assert cell_of(page_of(may, month="2026-05"), DAY).code == code


def test_month_is_whole_weeks_from_monday_with_its_own_days_alone(may):
    weeks = page_of(may, month="2026-05").weeks
    assert {len(week) for week in weeks} == {7}
    days = [cell.day for week in weeks for cell in week if cell]
    assert days == [date(2026, 5, n) for n in range(1, 32)]
    assert [cell and cell.day.isoweekday() for cell in weeks[1]] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("month", "earlier", "later"),
    [("2026-01", "2025-12", "2026-02"), ("2026-12", "2026-11", "2027-01"), ("2026-02", "2026-01", "2026-03")],
)
def test_months_have_neighbours(may, month, earlier, later):
    kept = page_of(may, month=month)
    assert (kept.earlier_month, kept.later_month) == (earlier, later)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({}, (None, None, None)),
        ({"day": "2026-05-05"}, (None, DAY, None)),
        (
            {"day": "2026-05-05", "time": "14:05"},
            (None, DAY, datetime(2026, 5, 5, 14, 5, tzinfo=VIENNA)),
        ),
        ({"at": "2026-05-04T22:30:00Z"}, (None, DAY, datetime(2026, 5, 4, 22, 30, tzinfo=UTC))),
        ({"month": "2026-02", "day": "2026-05-05"}, (date(2026, 2, 1), DAY, None)),
        *(
            ({name: text}, (None, None, None))
            for name, text in [
                ("day", "2026-02-30"),
                ("day", "tomorrow"),
                ("day", "9999-12-31"),
                ("day", "0001-01-01"),
                ("at", "2026-05-05T12:00:00"),
                ("at", "0001-01-01T00:00:00Z"),
                ("at", "yes"),
                ("time", "14:05"),
                ("month", "2026-13"),
                ("month", "x"),
                ("gap", "sideways"),
            ]
        ),
    ],
)
def test_address_says_what_is_shown_and_nonsense_is_nothing(query, shown):
    wish = Wish.of(query, VIENNA, NOW)
    assert (wish.month, wish.day, wish.at) == shown
    assert wish.gap == ""


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 5, 5), 24), (date(2026, 3, 29), 23), (date(2026, 10, 25), 25)]
)
def test_ribbon_is_as_long_as_its_day(may, day, hours):
    kept = page_of(may, day=day.isoformat())
    assert kept.length_s == hours * 3600
    assert (f"{kept.hours[0]:%H:%M}", f"{kept.hours[-1]:%H:%M}") == ("00:00", "00:00")


def test_pieces_of_the_ribbon_fill_the_day_without_holes(may):
    fill(may, DAY, ["stored"] * 3 + ["missed"] * 2 + ["stored"] * 5)
    pieces = page_of(may, day="2026-05-05").ribbon
    assert pieces[0].start == 0
    assert all(one.start + one.width == other.start for one, other in itertools.pairwise(pieces))
    assert pieces[-1].start + pieces[-1].width == 86_400
    assert [(one.state, one.count) for one in pieces if one.count] == [
        ("stored", 3),
        ("missed", 2),
        ("stored", 5),
    ]


def test_day_page_counts_and_explains(may, pages, viewer):
    fill(may, DAY, ["stored"] * 8 + ["missed"] * 2)
    text = words_of(pages(viewer).get(reverse("timelapse", args=[may.pk]), {"day": "2026-05-05"}))
    assert "5 May 2026 8 of 10 wanted pictures kept, 80 %" in text
    assert "8 kept 2 missed" in text
    assert "2 No capture worker took it in time." in text


def test_what_is_skipped_on_purpose_is_told_and_does_not_lower_what_was_kept(may, pages, viewer):
    fill(may, DAY, ["stored"] * 4 + ["missed"] + ["skipped"] * 3)
    text = words_of(pages(viewer).get(reverse("timelapse", args=[may.pk]), {"day": "2026-05-05"}))
    assert "5 May 2026 4 of 5 wanted pictures kept, 80 %" in text
    assert "4 kept 1 missed 3 skipped on purpose" in text
    day = cell_of(page_of(may, month="2026-05"), DAY).kept
    assert (day.ratio, day.owed, day.skipped) == (0.8, 8, 3)


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ({"day": "2026-05-05", "time": "08:00:30"}, datetime(2026, 5, 5, 8, 0, 30, tzinfo=VIENNA)),
        ({"day": "2026-05-05", "at": "08:00:30"}, datetime(2026, 5, 5, 8, 0, 30, tzinfo=VIENNA)),
        ({"at": "08:00:30"}, datetime(2026, 5, 20, 8, 0, 30, tzinfo=VIENNA)),
        ({"day": "2026-05-05", "at": "08:00"}, datetime(2026, 5, 5, 8, 0, tzinfo=VIENNA)),
        ({"at": "late"}, None),
    ],
)
def test_an_instant_may_be_a_reading_of_the_clock_with_seconds(query, at):
    assert Wish.of(query, VIENNA, NOW).at == at


def test_why_is_answered_in_one_request_with_the_picture_if_there_is_one(may, pages, viewer):
    fill(may, DAY, ["stored", "missed"])
    client, address = pages(viewer), reverse("timelapse-parts", args=[may.pk])
    lost = client.get(address, {"part": "day", "day": "2026-05-05", "time": "09:02"}, headers=HTMX)
    assert "The picture of 09:00:00 was missed. Nobody." in words_of(lost)
    found = client.get(address, {"part": "day", "day": "2026-05-05", "time": "08:00"}, headers=HTMX)
    capture = Capture.objects.stored().get()
    assert reverse("capture-picture", args=[capture.pk, "thumbnail"]) in found.content.decode()
    night = client.get(address, {"part": "day", "day": "2026-05-05", "time": "03:00"}, headers=HTMX)
    assert "No picture was owed then." in words_of(night)


def test_gap_buttons_go_across_days_and_say_when_there_is_no_more(may, pages, viewer):
    fill(may, DAY, ["stored", "missed", "stored"])
    fill(may, date(2026, 5, 9), ["stored", "missed", "stored"])
    client, address = pages(viewer), reverse("timelapse", args=[may.pk])
    following = client.get(address, {"gap": "next", "at": "2026-05-06T00:00:00Z"})
    assert "9 May 2026" in words_of(following)
    assert "The picture of 09:00:00 was missed." in words_of(following)
    before = client.get(address, {"gap": "previous", "at": "2026-05-06T00:00:00Z"})
    assert "5 May 2026" in words_of(before)
    none = client.get(address, {"gap": "next", "at": "2026-05-12T00:00:00Z"})
    assert "There is no later gap." in words_of(none)


def test_parts_say_what_they_show_so_that_their_renewal_shows_the_same(may, pages, viewer):
    address = reverse("timelapse-parts", args=[may.pk])
    text = (
        pages(viewer)
        .get(address, {"part": ["calendar", "day"], "month": "2026-04", "at": "2026-05-05T12:00:00Z"})
        .content.decode()
    )
    queries = dict(re.findall(r'data-part="(calendar|day)"[^>]*data-query="([^"]*)"', text))
    assert queries == {
        "calendar": "month=2026-04&amp;day=2026-05-05",
        "day": "at=2026-05-05T12%3A00%3A00%2B00%3A00",
    }


def test_last_day_of_what_has_ended_is_shown_first(may, pages, viewer):
    text = pages(viewer).get(reverse("timelapse", args=[may.pk])).content.decode()
    assert 'aria-current="date" href="/timelapses/' in text
    assert "May 2026" in text


def test_weeks_need_as_many_queries_for_many_captures_as_for_few(may, django_assert_max_num_queries):
    fill(may, DAY, ["stored"] * 2)
    with django_assert_max_num_queries(20) as few:
        assert page_of(may, month="2026-05").weeks
    for number in range(6, 12):
        fill(may, date(2026, 5, number), ["stored", "missed", "failed"])
    with django_assert_max_num_queries(len(few)):
        assert page_of(may, month="2026-05").weeks


def test_year_has_a_february(may):
    assert page_of(may, month="2028-02").weeks[-1][1].day == date(2028, 2, 29)
    assert page_of(may, month="2027-02").later_month == f"{date(2027, 2, 1) + timedelta(days=32):%Y-%m}"
