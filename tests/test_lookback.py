"""How the promise was kept, in the API: the calendar, a day's ribbon, neighbouring gaps, and "why not?"."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from captures import reasons
from captures.intervalometer import Place, Plan, Timetable, every
from captures.models import Schedule
from tests.factories import make_capture, make_stored_capture, make_timelapse

MIDNIGHT = datetime(2026, 5, 3, 22, tzinfo=UTC)  # of 4 May in Berlin
HOUR = timedelta(hours=1)


@pytest.fixture
def kept(db):
    """4 May in Berlin, hourly: stored, but 03:00 and 04:00 missed, 07:00 failed; the 5th began with a picture."""
    timelapse = make_timelapse(
        interval_s=3600, is_on_the_clock=True, state="paused", time_zone="Europe/Berlin", started_at=MIDNIGHT
    )
    timetable = Timetable.of(
        Plan.from_document(every(3600, on_the_clock=True)),
        zone="Europe/Berlin",
        place=Place(52.5, 13.4),
        seed="x",
        start=MIDNIGHT,
    )
    Schedule.objects.create(
        timelapse=timelapse,
        document=timetable.to_document(),
        from_at=MIDNIGHT,
        until_at=MIDNIGHT + 25 * HOUR,
    )
    for number in range(25):
        slot = MIDNIGHT + number * HOUR
        if number in {3, 4}:
            make_capture(timelapse=timelapse, slot=slot, state="missed", reason="scheduler_was_down")
        elif number == 7:
            make_capture(timelapse=timelapse, slot=slot, state="failed", reason="disk_full")
        else:
            make_stored_capture(timelapse=timelapse, slot=slot)
    return timelapse


@pytest.fixture
def ask(viewer, api, kept):
    client = api(viewer)

    def get(what, *, expect=200, **query):
        answer = client.get(f"/api/v1/timelapses/{kept.pk}/{what}/", query)
        assert answer.status_code == expect, answer.content
        return answer.json()

    return get


def test_the_calendar_counts_local_days(ask):
    days = ask("calendar", from_day="2026-05-03", until_day="2026-05-05")

    assert [(day["day"], day["owed"], day["stored"]) for day in days] == [
        ("2026-05-03", 0, 0),
        ("2026-05-04", 24, 21),
        ("2026-05-05", 1, 1),
    ]
    assert [day["ratio"] for day in days] == [None, 0.875, 1]
    assert (days[1]["missed"], days[1]["failed"], days[1]["top_reason"]) == (2, 1, "scheduler_was_down")
    assert days[1]["top_reason_words"] == reasons.words_of("scheduler_was_down")
    assert days[0]["top_reason"] == days[0]["top_reason_words"] == ""


def test_the_calendar_is_a_month_unless_it_is_said(ask):
    assert [len(ask("calendar", from_day="2026-02-11")), len(ask("calendar", until_day="2026-02-11"))] == [
        18,
        11,
    ]
    assert 28 <= len(ask("calendar")) <= 31


def test_the_ribbon_of_a_day_is_without_holes(ask):
    told = ask("ribbon", day="2026-05-04")

    stretches = told["stretches"]
    assert (told["day"], told["time_zone"]) == ("2026-05-04", "Europe/Berlin")
    assert [(stretch["state"], stretch["count"]) for stretch in stretches if stretch["count"]] == [
        ("stored", 3),
        ("missed", 2),
        ("stored", 2),
        ("failed", 1),
        ("stored", 16),
    ]
    assert all(one["until_at"] == next_["from_at"] for one, next_ in pairwise(stretches))
    missed = next(stretch for stretch in stretches if stretch["state"] == "missed")
    assert (missed["from_at"], missed["until_at"]) == ("2026-05-04T01:00:00Z", "2026-05-04T03:00:00Z")
    assert (
        missed["reason_words"]
        == "Nothing was planned then: the scheduler, its broker or the database was away."
    )


def test_gaps_are_found_in_both_directions(ask):
    noon = "2026-05-04T12:00:00Z"

    before = ask("gap", at=noon, direction="previous")["gap"]
    first = ask("gap", at=before["from_at"], direction="previous")["gap"]
    after = ask("gap", at=noon)["gap"]

    assert (before["from_at"], before["state"], before["reason"]) == (
        "2026-05-04T05:00:00Z",
        "failed",
        "disk_full",
    )
    assert (first["from_at"], first["count"]) == ("2026-05-04T01:00:00Z", 2)
    assert after is None


def test_why_is_answered_with_the_reason_or_with_the_picture(ask):
    missed = ask("why", at="2026-05-04T03:05:00+02:00")
    there = ask("why", at="2026-05-04T12:00:20+02:00")
    paused = ask("why", at="2026-05-06T12:00:00+02:00")

    assert (missed["kind"], missed["code"], missed["slot"]) == (
        "missed",
        "scheduler_was_down",
        "2026-05-04T01:00:00Z",
    )
    assert "03:00:00" in missed["words"]
    assert missed["advice"]
    assert missed["capture"]["state"] == "missed"
    assert (there["kind"], there["capture"]["state"]) == ("picture", "stored")
    assert there["capture"]["pictures"]["small"].startswith("http://testserver/media/captures/")
    assert (paused["kind"], paused["capture"]) == ("paused", None)


@pytest.mark.parametrize(
    ("what", "query", "field"),
    [
        ("calendar", {"from_day": "2026-05-02", "until_day": "2026-05-01"}, "until_day"),
        ("calendar", {"from_day": "2025-01-01", "until_day": "2026-02-05"}, "until_day"),
        ("calendar", {"from_day": "1066-10-14"}, "from_day"),
        ("calendar", {"until_day": "May"}, "until_day"),
        ("ribbon", {"day": "9999-12-31"}, "day"),
        ("gap", {}, "at"),
        ("gap", {"at": "2026-05-04T12:00:00Z", "direction": "up"}, "direction"),
        ("why", {}, "at"),
        ("why", {"at": "0001-01-01T00:00:00+14:00"}, "at"),
        ("why", {"at": "14:05"}, "at"),
    ],
)
def test_what_cannot_be_asked_is_said(ask, what, query, field):
    problem = ask(what, expect=400, **query)

    assert list(problem["errors"]) == [field]


def test_the_longest_calendar_is_answered(ask):
    assert len(ask("calendar", from_day="2025-01-01", until_day="2026-02-04")) == 400
