import itertools
import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from captures import campaign, days, dispatch, orders, reasons, settlement
from captures.coverage import coverage
from captures.models import Capture, Gap, Schedule, Timelapse
from celery_app import app
from media_jobs import clock
from media_jobs.models import Decision, Event, Pulse
from tests.campaigns import faults, plan_until, running, slots_of
from tests.factories import make_camera, make_capture

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def set_back(timelapse, span):
    """As if it had been started `span` ago and no planner had run since."""
    schedule = timelapse.schedules.get()
    start = schedule.from_at - span
    Schedule.objects.filter(pk=schedule.pk).update(from_at=start)
    Timelapse.objects.filter(pk=timelapse.pk).update(
        started_at=start, next_slot_at=schedule.timetable.first_from(start)
    )
    timelapse.refresh_from_db()


@pytest.mark.parametrize("step_s", [0.3, 1, 2.7, 4.9])
def test_claim_writes_every_slot_of_the_grid_however_late_it_comes(step_s):
    timelapse = running(interval_s=10)
    timetable = timelapse.schedules.get().timetable
    first, now = timelapse.next_slot_at, clock.now()
    end = now + timedelta(minutes=1)

    while now < end:
        dispatch.claim(now + dispatch.AHEAD, now)
        now += timedelta(seconds=step_s)

    timelapse.refresh_from_db()
    assert slots_of(timelapse) == list(timetable.between(first, timelapse.next_slot_at))
    assert timelapse.captures.count() >= 6
    assert set(timelapse.captures.values_list("state", flat=True)) == {"owed"}
    assert faults(timelapse) == []


def test_claim_gives_each_slot_its_grace():
    for interval_s, grace_s in ((1, 0.5), (20, 10), (600, 30)):
        timelapse = running(interval_s=interval_s)
        slot = timelapse.next_slot_at
        dispatch.claim(slot + SECOND / 10, slot - SECOND / 10)
        capture = timelapse.captures.get()
        assert (capture.slot, capture.give_up_at - slot) == (slot, timedelta(seconds=grace_s))


@pytest.mark.django_db(transaction=True)
def test_claims_at_once_double_nothing_and_leave_nothing_out():
    timelapses = [running(interval_s=1) for _ in range(8)]
    now = (
        min(timelapse.next_slot_at for timelapse in timelapses) - SECOND / 10
    )  # however slow this machine is
    gate = threading.Barrier(4)

    def tick():
        try:
            for second in range(8):
                gate.wait()
                dispatch.claim(now + second * SECOND + dispatch.AHEAD, now + second * SECOND)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    for timelapse in Timelapse.objects.all():
        slots = slots_of(timelapse)
        assert len(slots) >= 8
        assert {b - a for a, b in itertools.pairwise(slots)} == {SECOND}
        assert faults(timelapse) == []
    assert not Gap.objects.exists()


def test_claim_after_a_silence_writes_a_gap_and_goes_on_with_the_present():
    timelapse = running(interval_s=10)
    set_back(timelapse, timedelta(hours=1))
    now = clock.now()

    dispatch.claim(now + dispatch.AHEAD, now)

    gap = Gap.objects.get()
    event = Event.objects.get(type="scheduler_was_down")
    assert gap.from_at >= now - timedelta(hours=1, seconds=1)
    assert now - timelapse.grace <= gap.until_at < now + timelapse.interval
    assert event.topic == timelapse.topic
    assert event.payload["slots"] in (359, 360, 361)
    assert event.payload["reason"] == "scheduler_was_down"
    assert all(slot >= now - timelapse.grace for slot in slots_of(timelapse))
    assert faults(timelapse) == []


def test_account_writes_exactly_the_slots_of_the_gap_in_batches():
    timelapse = running(interval_s=10)
    set_back(timelapse, timedelta(hours=1))
    now = clock.now()
    dispatch.claim(now + dispatch.AHEAD, now)
    gap = Gap.objects.get()
    expected = list(gap.schedule.timetable.between(gap.from_at, gap.until_at))
    present = set(slots_of(timelapse))

    written = settlement.account(batch=100, limit=250)

    assert written == 250
    assert faults(timelapse) == []
    assert settlement.account(batch=100) == len(expected) - 250
    missed = timelapse.captures.filter(state="missed", reason="scheduler_was_down").order_by("slot")
    assert [capture.slot for capture in missed] == expected
    assert set(slots_of(timelapse)) == present | set(expected)
    assert not Gap.objects.exists()
    assert faults(timelapse) == []
    assert settlement.account() == 0


def test_account_where_the_gap_is_a_whole_number_of_batches():
    timelapse = running(interval_s=10)
    schedule = timelapse.schedules.get()
    start = schedule.timetable.first_from(clock.now() - timedelta(hours=1))
    Gap.objects.create(
        timelapse=timelapse, schedule=schedule, from_at=start, until_at=start + 20 * SECOND * 10, reason="x"
    )

    assert settlement.account(batch=10) == 20
    assert not Gap.objects.exists()


def test_account_takes_the_newest_gap_first():
    timelapse = running(interval_s=10)
    schedule = timelapse.schedules.get()
    now = clock.now()
    for hours in (5, 1, 3):
        start = now - timedelta(hours=hours)
        Gap.objects.create(
            timelapse=timelapse, schedule=schedule, from_at=start, until_at=start + 60 * SECOND, reason="x"
        )

    settlement.account(batch=100, limit=6)

    assert min(slots_of(timelapse)) >= now - timedelta(hours=1)
    assert sorted(Gap.objects.values_list("from_at", flat=True)) == [
        now - timedelta(hours=5),
        now - timedelta(hours=3),
    ]


def test_second_silence_before_the_first_is_accounted_for():
    timelapse = running(interval_s=10)
    set_back(timelapse, timedelta(hours=2))
    now = clock.now()
    dispatch.claim(now - timedelta(hours=1) + dispatch.AHEAD, now - timedelta(hours=1))
    settlement.sweep(now)
    assert faults(timelapse) == []

    dispatch.claim(now + dispatch.AHEAD, now)

    assert Gap.objects.count() == 2
    assert faults(timelapse) == []
    settlement.account(batch=7, limit=1000)
    assert faults(timelapse) == []
    assert timelapse.captures.count() in range(718, 723)


def test_silence_over_the_end_of_the_timelapse():
    now = clock.now()
    timelapse = running(interval_s=10)
    set_back(timelapse, timedelta(hours=1))
    Timelapse.objects.update(end_at=now - timedelta(minutes=30))

    dispatch.claim(now + dispatch.AHEAD, now)

    timelapse.refresh_from_db()
    assert timelapse.next_slot_at is None
    settlement.account()
    assert max(slots_of(timelapse)) < timelapse.end_at
    assert timelapse.captures.count() in (179, 180, 181)
    assert faults(timelapse) == []
    assert campaign.complete_ended(now) == 1
    assert faults(timelapse) == []


def test_disabled_camera_is_skipped_with_the_reason_and_not_sent(broker):
    timelapse = running(camera=make_camera(is_enabled=False), interval_s=1)
    plan_until(clock.now() + 3 * SECOND)

    assert dispatch.plan() == 0
    captures = timelapse.captures.all()
    assert len(captures) >= 3
    assert {(capture.state, capture.reason) for capture in captures} == {("skipped", "camera_disabled")}
    assert broker.messages("capture") == []
    assert faults(timelapse) == []


def test_schedule_that_cannot_be_calculated_is_set_aside_and_stops_nobody():
    broken, sound = running(interval_s=1), running(interval_s=1)
    Timelapse.objects.filter(pk=broken.pk).update(next_slot_at=F("next_slot_at") - timedelta(seconds=1))
    Schedule.objects.filter(timelapse=broken).update(document={"plan": {"rules": []}})
    now = clock.now()

    dispatch.claim(now + dispatch.AHEAD, now)

    broken.refresh_from_db()
    assert broken.set_aside_until == now + dispatch.SET_ASIDE
    assert "could not be calculated" in broken.schedule_error
    assert not broken.captures.exists()
    assert sound.captures.exists()
    assert dispatch.claim(now + SECOND + dispatch.AHEAD, now + SECOND) == 1  # only the sound one


def test_repaired_schedule_accounts_for_the_time_that_it_was_set_aside():
    timelapse = running(interval_s=10)
    set_back(timelapse, timedelta(minutes=30))
    now = clock.now()
    # Its zone cannot be read: the gap can be calculated, the owed row (a day number) cannot.
    Timelapse.objects.update(time_zone="Nowhere/Nothing")
    for minutes in (0, 6):
        tick = now + timedelta(minutes=minutes)
        dispatch.claim(tick + timelapse.interval, tick)
    Timelapse.objects.update(time_zone="UTC")

    later = now + timedelta(minutes=12)
    dispatch.claim(later + dispatch.AHEAD, later)

    timelapse.refresh_from_db()
    assert (timelapse.schedule_error, timelapse.set_aside_until) == ("", None)
    assert faults(timelapse, later) == []
    settlement.account()
    assert faults(timelapse, later) == []
    assert set(timelapse.captures.filter(state="missed").values_list("reason", flat=True)) == {
        "schedule_error"
    }


@pytest.mark.django_db(transaction=True)
def test_plan_sends_each_capture_at_its_instant_in_order(broker):
    timelapses = [running(interval_s=1) for _ in range(6)]
    for _ in range(3):
        dispatch.plan()

    sent = list(Capture.objects.filter(sent_at__isnull=False).order_by("slot"))
    messages = broker.messages("capture")
    assert [message.argument for message in messages] == [capture.pk for capture in sent]
    assert {message.task for message in messages} == {"captures.take"}
    assert len(sent) >= 2 * len(timelapses)
    for capture, message in zip(sent, messages, strict=True):
        assert capture.sent_at >= capture.slot
        assert message.expires == capture.give_up_at + 60 * SECOND
    assert Pulse.objects.get(name=dispatch.PULSE).kind == "clock"
    ahead = Capture.objects.filter(sent_at__isnull=True)
    assert all(capture.slot > sent[-1].slot for capture in ahead)


@pytest.mark.django_db(transaction=True)
def test_plan_sends_what_a_killed_planner_left_unsent(broker):
    now = clock.now()
    timelapse = running(interval_s=600)
    left = make_capture(timelapse=timelapse, slot=now - 2 * SECOND, give_up_at=now + timedelta(minutes=1))
    too_late = make_capture(timelapse=timelapse, slot=now - timedelta(hours=1), give_up_at=now - SECOND)

    assert dispatch.plan() == 1

    assert [message.argument for message in broker.messages("capture")] == [left.pk]
    left.refresh_from_db()
    too_late.refresh_from_db()
    assert left.sent_at >= now
    assert too_late.sent_at is None


@pytest.mark.django_db(transaction=True)
def test_plan_of_more_timelapses_than_a_batch_holds(broker, monkeypatch):
    monkeypatch.setattr(dispatch, "BATCH", 3)
    timelapses = [running(interval_s=1) for _ in range(8)]

    dispatch.plan()

    assert Capture.objects.values("timelapse").distinct().count() == len(timelapses)
    assert all(faults(timelapse) == [] for timelapse in timelapses)


@pytest.mark.django_db(transaction=True)
def test_race_of_pause_and_claim_leaves_no_slot_owed():
    timelapses = [running(interval_s=1) for _ in range(5)]
    now = clock.now()
    gate = threading.Barrier(2)

    def tick():
        try:
            for _ in timelapses:
                gate.wait()
                dispatch.claim(now + dispatch.AHEAD, now)
        finally:
            connections.close_all()

    planner = threading.Thread(target=tick)
    planner.start()
    for timelapse in timelapses:
        gate.wait()
        campaign.pause(timelapse, by="otto")
    planner.join(30)

    assert not Capture.objects.owed().exists()
    assert all(faults(timelapse) == [] for timelapse in timelapses)


@contextmanager
def held(timelapse):
    """Somebody else has the timelapse's row in a transaction, as a stored picture has: `let_go` ends that."""
    is_held, let_go = threading.Event(), threading.Event()

    def hold():
        try:
            with transaction.atomic():
                Timelapse.objects.filter(pk=timelapse.pk).update(image_count=F("image_count") + 1)
                is_held.set()
                let_go.wait(20)
        finally:
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(20)
    try:
        yield let_go
    finally:
        let_go.set()
        thread.join(20)


needs_row_locks = pytest.mark.skipif(
    not connection.features.has_select_for_update_skip_locked, reason="SQLite's writers wait for each other"
)


@needs_row_locks
@pytest.mark.django_db(transaction=True)
def test_timelapse_that_is_held_for_a_moment_is_planned_in_the_same_tick(broker):
    timelapse = running(interval_s=1)
    with held(timelapse) as let_go:
        timer = threading.Timer(0.3, let_go.set)
        timer.start()
        dispatch.plan()
        timer.join()

    assert timelapse.captures.count() >= 1
    assert not Gap.objects.exists()


@needs_row_locks
@pytest.mark.django_db(transaction=True)
def test_timelapse_that_is_held_for_a_whole_tick_loses_no_slot():
    timelapse = running(interval_s=1)
    now = timelapse.next_slot_at - 1.25 * SECOND
    dispatch.claim(now + dispatch.AHEAD, now, last_tick_at=now - SECOND)
    with held(timelapse):
        later = now + dispatch.PERIOD
        assert dispatch.claim(later + dispatch.AHEAD, later, last_tick_at=now) == 0

    now += 2 * dispatch.PERIOD
    dispatch.claim(now + dispatch.AHEAD, now, last_tick_at=now - SECOND)

    assert not Gap.objects.exists()
    assert {b - a for a, b in itertools.pairwise(slots_of(timelapse))} == {SECOND}


@needs_row_locks
@pytest.mark.django_db(transaction=True)
def test_captures_that_are_written_for_a_timelapse_do_not_hold_it():
    timelapse = running(interval_s=1)
    is_written, let_go = threading.Event(), threading.Event()

    def write():
        try:
            with transaction.atomic():
                make_capture(timelapse=timelapse, slot=clock.now() - timedelta(days=1))
                is_written.set()
                let_go.wait(20)
        finally:
            connections.close_all()

    writer = threading.Thread(target=write)
    writer.start()
    assert is_written.wait(20)
    now = clock.now()

    taken = dispatch.claim(now + dispatch.AHEAD, now)

    let_go.set()
    writer.join(20)
    assert taken == 1


@pytest.mark.parametrize(
    ("ticked_before_s", "reason"), [(30, "scheduler_was_down"), (1, "not_planned_in_time")]
)
def test_scheduler_is_said_to_be_down_only_where_it_was(ticked_before_s, reason):
    timelapse = running(interval_s=1)
    set_back(timelapse, 5 * SECOND)
    now = clock.now()

    dispatch.claim(now + dispatch.AHEAD, now, last_tick_at=now - ticked_before_s * SECOND)

    assert Gap.objects.get().reason == reason


def test_scheduler_that_was_noticed_to_be_back_was_down_for_those_that_a_later_tick_comes_to():
    timelapse = running(interval_s=1)
    set_back(timelapse, timedelta(minutes=1))
    now = clock.now()
    Pulse.objects.create(name=dispatch.PULSE, kind="clock", at=now - timedelta(minutes=2))
    dispatch._tick(now)

    later = now + SECOND
    dispatch.claim(later + dispatch.AHEAD, later, last_tick_at=now)

    assert Gap.objects.get().reason == "scheduler_was_down"


def test_planner_does_not_plan_for_a_time_that_the_database_no_longer_has():
    timelapse = running(interval_s=60)
    hour_ahead = clock.now() + timedelta(hours=1)

    with pytest.raises(dispatch.ClockWasSetBack):
        dispatch.claim(hour_ahead + dispatch.AHEAD, hour_ahead, is_by_the_clock=True)

    assert not timelapse.captures.exists()


@pytest.mark.parametrize("count", [1, 20])
def test_claim_after_a_silence_takes_as_many_statements_for_twenty_as_for_one(
    count, django_assert_max_num_queries
):
    for _ in range(count):
        set_back(running(interval_s=60), timedelta(hours=3))
    now = clock.now()

    with django_assert_max_num_queries(12):
        dispatch.claim(now + dispatch.AHEAD, now)

    assert Gap.objects.count() == count
    assert Event.objects.filter(type="scheduler_was_down").count() == count
    assert Decision.objects.filter(action="gap").count() == count


def test_those_who_are_in_time_are_claimed_before_those_who_were_forgotten(monkeypatch):
    monkeypatch.setattr(dispatch, "BATCH", 1)
    behind, in_time = running(interval_s=60), running(interval_s=60)
    set_back(behind, timedelta(hours=3))
    now = in_time.next_slot_at

    dispatch.claim(now + dispatch.AHEAD, now)

    assert in_time.captures.exists()
    assert not Gap.objects.exists()


def break_timetable(timelapse, **fields):
    """A document that an older or newer program wrote: this one cannot read it."""
    timelapse.schedules.filter(**fields).update(document={"plan": {"rules": []}})


def test_gap_that_cannot_be_calculated_does_not_end_the_account(viewer):
    broken, sound = running(interval_s=10), running(interval_s=10)
    now = clock.now()
    for timelapse, hours in ((broken, 1), (sound, 2)):
        start = now - timedelta(hours=hours)
        Gap.objects.create(
            timelapse=timelapse,
            schedule=timelapse.schedules.get(),
            from_at=start,
            until_at=start + timedelta(minutes=1),
            reason="scheduler_was_down",
        )
    Schedule.objects.filter(timelapse=broken).update(from_at=now - timedelta(hours=2))
    break_timetable(broken)

    assert settlement.account() == 6

    gap = Gap.objects.get()
    assert (gap.timelapse_id, gap.reason) == (broken.pk, "schedule_error")
    assert any("nobody knows its slots" in fault for fault in faults(broken))
    today = now.astimezone(broken.zone).date()
    assert len(days.calendar(broken, today - timedelta(days=1), today)) == 2
    days.ribbon(broken, today)
    assert days.neighbour_gap(broken, now, forward=False) is None
    assert coverage(broken, now - timedelta(days=1), now).missed == 0


def test_stretch_of_a_timetable_that_cannot_be_calculated_stays_known_when_it_is_replaced():
    timelapse = running(interval_s=10)
    set_back(timelapse, timedelta(minutes=5))
    break_timetable(timelapse)

    campaign.reschedule(timelapse, by="otto")

    gap = Gap.objects.get()
    assert gap.reason == "schedule_error"
    assert gap.until_at - gap.from_at > timedelta(minutes=4)
    assert any("nobody knows its slots" in fault for fault in faults(timelapse))


def test_account_gives_the_sweep_its_turn(monkeypatch):
    timelapse = running(interval_s=1)
    set_back(timelapse, timedelta(hours=1))
    now = clock.now()
    dispatch.claim(now + dispatch.AHEAD, now)
    monkeypatch.setattr(settlement, "WORK_FOR_S", 0.001)

    assert 0 < settlement.account(batch=100) <= 200


@pytest.mark.django_db(transaction=True)
def test_broker_that_was_away_is_blamed_for_what_nobody_could_be_told_of(monkeypatch, tmp_path):
    timelapse = running(interval_s=600)
    now = clock.now()
    lost = make_capture(timelapse=timelapse, slot=now - SECOND, give_up_at=now + timedelta(minutes=1))
    told = make_capture(timelapse=timelapse, slot=now - 2 * SECOND, give_up_at=now + timedelta(minutes=1))

    with monkeypatch.context() as away:
        for name in ("broker_write_url", "broker_url"):
            away.setattr(app.conf, name, f"redis+socket://{tmp_path}/nobody.sock")
        assert dispatch.plan() == 0
        assert settlement.sweep(clock.now()) == (0, 0)
    orders.note_sent([told.pk], now)
    settlement.sweep(now + timedelta(minutes=2))

    lost.refresh_from_db()
    told.refresh_from_db()
    assert (lost.state, lost.reason, told.state, told.reason) == (
        "missed",
        "broker_away",
        "missed",
        "no_worker",
    )
    assert lost.detail == reasons.words_of("broker_away")


def test_what_was_sent_is_noted_with_its_own_instant_and_leaves_a_claim_alone():
    timelapse, now = running(interval_s=600), clock.now()
    fields = {"timelapse": timelapse, "give_up_at": now + timedelta(minutes=1)}
    rows = [make_capture(slot=now - n * SECOND, **fields) for n in range(4)]
    claimed, refused, busy, free = rows
    Capture.objects.filter(pk=claimed.pk).update(sent_at=now - 9 * SECOND)
    Capture.objects.filter(pk=refused.pk).update(reason="broker_away")
    Capture.objects.filter(pk=busy.pk).update(reason="camera_busy")

    with CaptureQueriesContext(connection) as asked:
        orders.note_first_sent({row.pk: now + n * SECOND for n, row in enumerate(rows)})

    found = {row.pk: (row.sent_at, row.reason) for row in timelapse.captures.all()}
    assert len(asked) == 1
    assert found == {
        claimed.pk: (now - 9 * SECOND, ""),
        refused.pk: (now + SECOND, ""),
        busy.pk: (None, "camera_busy"),
        free.pk: (now + 3 * SECOND, ""),
    }
