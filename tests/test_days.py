from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from captures import campaign, coverage, days, dispatch, settlement
from captures.intervalometer import every
from captures.models import Capture, Gap, Timelapse
from media_jobs import clock
from media_jobs.models import Pulse
from tests.campaigns import past, running
from tests.factories import make_stored_capture, make_timelapse

pytestmark = pytest.mark.django_db
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
DAYTIME = {
    "rules": [{"kind": "interval", "every_s": 600, "on_the_clock": True}],
    "window": {"kind": "clock", "start": "08:00", "end": "18:00"},
}


def keep(timelapse, start, end, *, state="stored", reason=""):
    """Every slot that the version in force at `start` owes until `end` has come to `state`."""
    timetable = timelapse.schedules.filter(from_at__lte=start).order_by("from_at").last().timetable
    fields = {"bytes": 9, "file": "f", "checksum": "c"} if state == "stored" else {"reason": reason}
    rows = [
        Capture(timelapse=timelapse, slot=slot, give_up_at=slot, state=state, **fields)
        for slot in timetable.between(start, end)
    ]
    Capture.objects.bulk_create(rows)
    return len(rows)


def silence(timelapse, start, end):
    schedule = timelapse.schedules.get()
    reason = "scheduler_was_down"
    Gap.objects.create(timelapse=timelapse, schedule=schedule, from_at=start, until_at=end, reason=reason)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def week():
    """A week in Berlin, ten minutes each from 8 to 18, with the change to summer time on the 29th; nothing kept yet."""
    return past(at("2026-03-24 00:00"), at("2026-04-01 00:00"), plan=DAYTIME, time_zone="Europe/Berlin")


def test_calendar_counts_local_days_with_their_commonest_reason(week):
    kept = keep(week, at("2026-03-27 00:00"), at("2026-03-28 00:00"))
    keep(week, at("2026-03-28 00:00"), at("2026-03-28 12:00"), state="missed", reason="no_worker")
    keep(week, at("2026-03-28 12:00"), at("2026-03-29 00:00"), state="failed", reason="unreachable")
    silence(week, at("2026-03-29 08:00"), at("2026-03-30 07:00"))

    found = {day.day: day for day in days.calendar(week, date(2026, 3, 26), date(2026, 3, 30))}

    assert [*found] == [date(2026, 3, day) for day in range(26, 31)]
    whole, bad, gap, after = (found[date(2026, 3, day)] for day in (27, 28, 29, 30))
    assert found[date(2026, 3, 26)] == days.Day(date(2026, 3, 26), 0, 0, 0, 0, 0, 0, 0, "")
    assert found[date(2026, 3, 26)].ratio is None
    assert (whole.owed, whole.stored, whole.ratio, whole.top_reason) == (kept, 61, 1, "")
    assert (bad.owed, bad.missed, bad.failed, bad.ratio, bad.top_reason) == (61, 30, 31, 0, "unreachable")
    assert (gap.owed, gap.missed, gap.top_reason) == (
        49,
        49,
        "scheduler_was_down",
    )  # from 10:00 summer time on
    assert (after.owed, after.missed) == (6, 6)
    settlement.account()
    assert {day.day: day for day in days.calendar(week, date(2026, 3, 26), date(2026, 3, 30))} == found
    total = coverage.coverage(week, at("2026-03-25 23:00"), at("2026-03-30 22:00"))
    assert total.owed_total == sum(day.owed for day in found.values())


def test_calendar_cuts_at_local_midnights(week):
    for text in ("2026-03-28 22:59:59", "2026-03-28 23:00:00", "2026-03-29 21:59:59", "2026-03-29 22:00:00"):
        make_stored_capture(timelapse=week, slot=at(text))

    found = days.calendar(week, date(2026, 3, 28), date(2026, 3, 30))

    assert [day.stored for day in found] == [1, 2, 1]


def test_calendar_of_a_year_asks_a_few_questions_for_each_month(week):
    with CaptureQueriesContext(connection) as queries:
        found = days.calendar(week, date(2026, 1, 1), date(2026, 12, 31))

    assert len(found) == 365
    assert len(queries) == 3 * 12


def test_ribbon_has_no_holes_and_says_what_each_hour_was(week):
    keep(week, at("2026-03-27 00:00"), at("2026-03-27 10:00"))
    keep(week, at("2026-03-27 10:00"), at("2026-03-27 11:00"), state="failed", reason="unreachable")
    keep(week, at("2026-03-27 11:00"), at("2026-03-27 12:00"))
    silence(week, at("2026-03-27 12:00"), at("2026-03-27 17:00:01"))

    found = days.ribbon(week, date(2026, 3, 27))

    assert all(a.until_at == b.from_at for a, b in pairwise(found))
    assert [(s.from_at.strftime("%d %H:%M"), s.state, s.reason, s.count) for s in found] == [
        ("26 23:00", "closed", "outside_window", 0),
        ("27 07:00", "stored", "", 18),
        ("27 10:00", "failed", "unreachable", 6),
        ("27 11:00", "stored", "", 6),
        ("27 12:00", "missed", "scheduler_was_down", 31),
        ("27 17:00", "closed", "outside_window", 0),
    ]
    assert found[-1].until_at == at("2026-03-27 23:00")


def test_ribbon_shows_before_pauses_and_the_end():
    start = at("2026-05-04 00:00")
    timelapse = past(start + 6 * HOUR, start + 10 * HOUR, plan=every(60))
    later = timelapse.schedules.create(
        document=timelapse.schedules.get().document, from_at=start + 12 * HOUR, until_at=start + 20 * HOUR
    )
    for version in timelapse.schedules.all():
        keep(timelapse, version.from_at, version.until_at)
    Timelapse.objects.update(state="completed")
    timelapse.refresh_from_db()

    found = days.ribbon(timelapse, date(2026, 5, 4))

    assert [(stretch.state, stretch.reason) for stretch in found if stretch.state != "closed"] == [
        ("stopped", "not_started"),
        ("stored", ""),
        ("paused", "timelapse_paused"),
        ("stored", ""),
        ("stopped", "timelapse_ended"),
    ]
    assert later.until_at in {stretch.from_at for stretch in found}
    assert days.ribbon(timelapse, date(2030, 1, 1)) == []


def test_ribbon_of_a_torn_day_is_drawn_coarsely_and_hides_no_gap():
    start = at("2026-05-04 00:00")
    timelapse = past(start, start + timedelta(days=1), plan=every(5))
    slots = list(timelapse.schedules.get().timetable.between(start, start + timedelta(days=1)))
    rows = [
        Capture(
            timelapse=timelapse, slot=slot, give_up_at=slot, state="stored", bytes=9, file="f", checksum="c"
        )
        if n % 2
        else Capture(timelapse=timelapse, slot=slot, give_up_at=slot, state="missed", reason="no_worker")
        for n, slot in enumerate(slots)
        if not 6000 <= n < 6020
    ]
    Capture.objects.bulk_create(rows)
    Capture.objects.filter(slot=slots[4321]).update(state="failed", reason="unreachable")

    found = days.ribbon(timelapse, date(2026, 5, 4))

    assert len(found) <= days.MOST_STRETCHES
    assert sum(stretch.count for stretch in found) == len(rows)
    assert all(a.until_at == b.from_at for a, b in pairwise(found))
    assert "missed" in {stretch.state for stretch in found}


def test_neighbour_gaps_across_days(week):
    keep(week, at("2026-03-25 00:00"), at("2026-03-25 10:00"))
    keep(week, at("2026-03-25 10:00"), at("2026-03-26 09:00"), state="missed", reason="no_worker")
    keep(week, at("2026-03-26 09:00"), at("2026-03-28 10:00"))
    silence(week, at("2026-03-28 10:00"), at("2026-03-28 11:00"))
    keep(week, at("2026-03-28 11:00"), at("2026-03-28 12:00"))

    first = days.neighbour_gap(week, at("2026-03-24 00:00"))
    second = days.neighbour_gap(week, first.from_at)
    assert (first.from_at, first.until_at) == (at("2026-03-25 10:00"), at("2026-03-26 09:00"))
    assert (first.state, first.reason, first.count) == ("missed", "no_worker", 43 + 12)
    assert (second.from_at, second.until_at, second.count) == (
        at("2026-03-28 10:00"),
        at("2026-03-28 11:00"),
        6,
    )
    assert days.neighbour_gap(week, second.from_at) is None
    assert days.neighbour_gap(week, at("2026-03-31 00:00"), forward=False) == second
    assert days.neighbour_gap(week, second.from_at, forward=False) == first
    assert days.neighbour_gap(week, at("2026-03-28 10:30"), forward=False) == first
    assert days.neighbour_gap(week, at("2026-03-25 18:00")) == second  # from within the first one
    assert days.neighbour_gap(week, first.from_at, forward=False) is None
    settlement.account()
    assert days.neighbour_gap(week, first.from_at) == second


@pytest.mark.parametrize(
    ("moment", "kind", "code", "words"),
    [
        ("2026-03-23 12:00", "stopped", "not_started", "began at 01:00:00 on 24 March"),
        ("2026-03-27 10:00:20", "picture", "", "taken at 11:00:00"),
        (
            "2026-03-27 10:04",
            "between",
            "nothing_due",
            "11:00:00 on 27 March and 11:10:00 on 27 March, one of them",
        ),
        ("2026-03-27 10:06", "failed", "unreachable", "The picture of 11:10:00 was failed. No answer."),
        ("2026-03-27 11:20", "skipped", "camera_disabled", "switched off"),
        ("2026-03-27 12:30", "missed", "scheduler_was_down", "Nothing was planned then"),
        ("2026-03-27 14:00", "unknown", "ledger_fault", "no row"),
        ("2026-03-27 20:30", "closed", "outside_window", "opens again at 08:00:00 on 28 March"),
        ("2026-04-02 12:00", "stopped", "timelapse_ended", "ended at 02:00:00 on 1 April, by vera"),
    ],
)
def test_why_answers_in_plain_words(week, moment, kind, code, words):
    noon = at("2026-03-27 10:00")
    make_stored_capture(timelapse=week, slot=noon)
    for minutes, reason, detail in ((10, "unreachable", "No answer."), (80, "camera_disabled", "")):
        slot, state = noon + timedelta(minutes=minutes), "failed" if detail else "skipped"
        fields = {"state": state, "reason": reason, "detail": detail}
        Capture.objects.create(timelapse=week, slot=slot, give_up_at=slot, **fields)
    silence(week, noon + 2 * HOUR, noon + 3 * HOUR)
    Timelapse.objects.update(state="completed")
    week.refresh_from_db()
    campaign.audit.note("timelapse_completed", topic=week.topic, by="vera", now=at("2026-04-01 00:00"))

    found = days.why(week, at(moment))

    assert (found.kind, found.code) == (kind, code)
    assert words in found.words
    assert (found.capture is not None) == (kind in {"picture", "failed", "skipped"})
    if kind == "picture":
        assert found.capture.slot == found.slot == noon


def test_why_while_paused_says_from_when_until_when_and_by_whom():
    timelapse = running(interval_s=60)
    campaign.pause(timelapse, by="vera")
    moment = clock.now()
    assert "and still is, by vera" in days.why(timelapse, moment).words
    campaign.resume(timelapse, by="otto")

    found = days.why(timelapse, moment)

    assert (found.kind, found.code) == ("paused", "timelapse_paused")
    assert ", by vera" in found.words
    assert "until" in found.words


def test_why_of_what_is_to_come_and_of_a_silent_scheduler():
    timelapse = running(interval_s=10)
    now = clock.now()
    found = days.why(timelapse, now + HOUR)
    assert (found.kind, found.slot) == ("coming", timelapse.next_slot_at)

    with time_machine.travel(now + HOUR, tick=False):
        if connection.vendor == "sqlite":  # its clock is this machine's
            found = days.why(timelapse, now + HOUR / 2)
            assert (found.kind, found.code) == ("missed", "scheduler_was_down")
    assert days.why(make_timelapse(), now).code == "not_started"


def test_why_between_the_times_of_a_plan_without_an_interval():
    plan = {"rules": [{"kind": "times", "times": ["08:00", "20:00"]}]}
    timelapse = past(at("2026-05-04 00:00"), at("2026-05-08 00:00"), plan=plan)
    make_stored_capture(timelapse=timelapse, slot=at("2026-05-05 08:00"))

    found = days.why(timelapse, at("2026-05-05 11:00"))

    assert (found.kind, found.code, found.slot) == ("between", "nothing_due", at("2026-05-05 08:00"))
    assert "at 08:00 and 20:00" in found.words
    assert days.why(timelapse, at("2026-05-05 08:00:20")).kind == "picture"
    assert days.why(timelapse, at("2026-05-05 08:00:40")).kind == "between"


def test_why_between_two_kept_slots_names_both():
    start = at("2026-05-04 00:00")
    timelapse = past(start, start + HOUR, plan=every(600, on_the_clock=True))
    keep(timelapse, start, start + HOUR)

    found = days.why(timelapse, start + timedelta(minutes=25))

    assert (found.kind, found.code, found.capture) == ("between", "nothing_due", None)
    assert "the slots around were 00:20:00 on 4 May and 00:30:00 on 4 May, both kept" in found.words


def test_no_picture_answers_across_start_pause_and_end():
    start = at("2026-05-04 00:00")
    timelapse = past(start, start + HOUR, plan=every(10, on_the_clock=True))
    keep(timelapse, start, start + HOUR)
    document = timelapse.schedules.get().document
    timelapse.schedules.create(document=document, from_at=start + 2 * HOUR, until_at=start + 3 * HOUR)
    keep(timelapse, start + 2 * HOUR, start + 3 * HOUR)
    Timelapse.objects.update(state="completed")
    timelapse.refresh_from_db()

    def asked(moment):
        found = days.why(timelapse, moment)
        return found.kind, found.code, found.capture

    assert asked(start - 3 * SECOND) == ("stopped", "not_started", None)
    assert asked(start + HOUR + 3 * SECOND) == ("paused", "timelapse_paused", None)
    assert asked(start + 2 * HOUR - 3 * SECOND) == ("paused", "timelapse_paused", None)
    assert asked(start + 3 * HOUR + 3 * SECOND) == ("stopped", "timelapse_ended", None)
    inside = days.why(timelapse, start + 2 * HOUR + 3 * SECOND)
    assert (inside.kind, inside.slot) == ("picture", start + 2 * HOUR)


def test_after_the_end_of_a_timelapse_that_still_is_running_no_picture_answers():
    start = at("2026-05-04 00:00")
    timelapse = past(start, None, plan=every(10, on_the_clock=True), end_at=start + HOUR)
    keep(timelapse, start, start + HOUR)

    found = days.why(timelapse, start + HOUR + SECOND)

    assert (found.kind, found.code) == ("stopped", "timelapse_ended")
    assert "ended at 01:00:00 on 4 May" in found.words


def test_calendar_of_a_month_of_seconds_is_counted_by_the_database(django_assert_max_num_queries):
    start = at("2026-05-04 00:00")
    timelapse = past(start, start + timedelta(days=2), plan=every(1))
    keep(timelapse, start, start + HOUR)

    with django_assert_max_num_queries(3):
        found = days.calendar(timelapse, date(2026, 5, 1), date(2026, 5, 31))

    assert Counter(day.stored for day in found) == {0: 30, 3600: 1}


def test_why_of_a_slot_that_the_planner_has_not_come_to_yet():
    timelapse = running(interval_s=60)
    now = clock.now()
    timetable = timelapse.schedules.get().timetable
    slot = timetable.newest(now - HOUR, now, 1)[0]
    timelapse.schedules.update(from_at=now - HOUR)
    Timelapse.objects.filter(pk=timelapse.pk).update(
        next_slot_at=slot - 10 * timetable.plan.shortest_interval
    )
    timelapse.refresh_from_db()
    long_ago = slot - 5 * timetable.plan.shortest_interval

    silent = days.why(timelapse, long_ago)
    Pulse.objects.create(name=dispatch.PULSE, kind="clock", at=now)
    alive = days.why(timelapse, long_ago)

    assert (silent.kind, silent.code) == ("missed", "scheduler_was_down")
    assert (alive.kind, alive.code) == ("pending", "")


def test_why_of_a_slot_within_its_grace_waits():
    timelapse = running(interval_s=60)
    now = clock.now()
    schedule = timelapse.schedules.get()
    document = schedule.document | {"anchors": [(now - timedelta(seconds=1)).isoformat()]}
    timelapse.schedules.update(from_at=now - HOUR, document=document)
    Timelapse.objects.filter(pk=timelapse.pk).update(next_slot_at=now - timedelta(seconds=1))
    timelapse.refresh_from_db()

    assert days.why(timelapse, now - timedelta(seconds=1)).kind == "pending"
