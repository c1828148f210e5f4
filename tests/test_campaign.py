import itertools
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections

from captures import campaign, coverage, dispatch, ledger, settlement
from captures.exceptions import CameraBusy, MoveRefused, PlanRefused
from captures.intervalometer import every, spread_grid
from captures.models import Capture, Gap, Timelapse
from media_jobs import clock
from media_jobs.models import Event
from tests.campaigns import claim
from tests.factories import make_camera, make_capture, make_timelapse

pytestmark = pytest.mark.django_db
State = Timelapse.State
MOVES = {
    "start": lambda timelapse: campaign.start(timelapse, by="otto"),
    "pause": lambda timelapse: campaign.pause(timelapse, by="otto"),
    "resume": lambda timelapse: campaign.resume(timelapse, by="otto"),
    "complete": lambda timelapse: campaign.complete(timelapse, by="otto"),
    "archive": lambda timelapse: campaign.archive(timelapse, by="otto"),
}
ALLOWED = {
    ("created", "start"): "running",
    ("created", "archive"): "archived",
    ("running", "pause"): "paused",
    ("running", "complete"): "completed",
    ("paused", "resume"): "running",
    ("paused", "complete"): "completed",
    ("completed", "archive"): "archived",
}


def running(**kw):
    timelapse = make_timelapse(**{"interval_s": 10} | kw)
    campaign.start(timelapse, by="otto")
    return timelapse


def in_state(state):
    if state == "created":
        return make_timelapse()
    timelapse = running()
    if state == "paused":
        campaign.pause(timelapse, by="otto")
    if state in ("completed", "archived"):
        campaign.complete(timelapse, by="otto")
    if state == "archived":
        campaign.archive(timelapse, by="otto")
    return timelapse


def plan_until(moment, *, start=None, step_s=1):
    """What the planner does in its ticks, with a hand that we move."""
    now = start or clock.now()
    while now < moment:
        dispatch.claim(now + dispatch.AHEAD, now)
        now += timedelta(seconds=step_s)


def settle_owed(timelapse):
    for capture in timelapse.captures.owed():
        ledger.miss(capture, "no_worker")


def faults(timelapse, now=None):
    timelapse.refresh_from_db()
    return list(coverage.faults(timelapse, now or clock.now()))


def slots_of(timelapse):
    return list(timelapse.captures.order_by("slot").values_list("slot", flat=True))


@pytest.mark.parametrize("state", ["created", "running", "paused", "completed", "archived"])
@pytest.mark.parametrize("move", MOVES)
def test_each_move_is_made_or_refused_as_the_drawing_says(state, move):
    timelapse = in_state(state)
    wanted = ALLOWED.get((state, move))

    if wanted is None:
        with pytest.raises(MoveRefused):
            MOVES[move](timelapse)
    else:
        MOVES[move](timelapse)

    timelapse.refresh_from_db()
    assert timelapse.state == (wanted or state)


def test_start_opens_a_schedule_and_tells_it():
    before = clock.now()
    timelapse = running()
    timelapse.refresh_from_db()
    schedule = timelapse.schedules.get()
    event = Event.objects.get(type="timelapse_started", topic=timelapse.topic)

    assert schedule.until_at is None
    assert before <= schedule.from_at <= clock.now()
    assert schedule.from_at <= timelapse.next_slot_at < schedule.from_at + timedelta(seconds=10)
    assert timelapse.next_slot_at == schedule.timetable.first_from(schedule.from_at)
    assert event.payload == {
        "timelapse": timelapse.pk,
        "camera": timelapse.camera_id,
        "state": "running",
        "by": "otto",
    }


def test_start_of_a_stale_object_is_refused():
    timelapse = make_timelapse()
    stale = Timelapse.objects.get(pk=timelapse.pk)
    campaign.start(timelapse, by="otto")

    with pytest.raises(MoveRefused):
        campaign.start(stale, by="vera")


def test_start_and_resume_of_stale_objects_go_by_the_row():
    timelapse = make_timelapse(interval_s=10)
    created = Timelapse.objects.get(pk=timelapse.pk)
    end_at = clock.now() + timedelta(days=1)
    campaign.change(timelapse, by="otto", plan=every(20), end_at=end_at)

    campaign.start(created, by="vera")

    assert timelapse.schedules.get().words == "every 20 s"
    assert (created.words, created.end_at, created.state) == ("every 20 s", end_at, State.RUNNING)
    campaign.pause(timelapse, by="otto")
    paused = Timelapse.objects.get(pk=timelapse.pk)
    campaign.change(timelapse, by="otto", plan=every(30))

    campaign.resume(paused, by="vera")

    assert timelapse.schedules.get(until_at__isnull=True).words == paused.words == "every 30 s"
    timelapse.refresh_from_db()
    assert paused.next_slot_at == timelapse.next_slot_at is not None
    assert faults(timelapse) == []


def test_move_of_a_stale_object_is_judged_by_the_row():
    timelapse = running()
    stale = Timelapse.objects.get(pk=timelapse.pk)
    campaign.pause(timelapse, by="otto")

    with pytest.raises(MoveRefused):
        campaign.pause(stale, by="vera")
    campaign.complete(stale, by="vera")

    assert stale.state == State.COMPLETED
    assert stale.completed_at is not None
    assert faults(timelapse) == []


def test_change_of_a_stale_object_is_compared_with_and_refused_by_the_row():
    timelapse = make_timelapse(interval_s=10, time_zone="UTC")
    stale = Timelapse.objects.get(pk=timelapse.pk)
    campaign.change(timelapse, by="otto", plan=every(20))
    campaign.change(stale, by="vera", plan=every(10))  # as the object has it, and the row has not

    timelapse.refresh_from_db()
    assert timelapse.words == "every 10 s"
    campaign.start(timelapse, by="otto")
    with pytest.raises(MoveRefused):
        campaign.change(stale, by="vera", start_at=clock.now())
    campaign.complete(timelapse, by="otto")
    with pytest.raises(MoveRefused):
        campaign.change(stale, by="vera", plan=every(99))

    timelapse.refresh_from_db()
    assert (timelapse.words, timelapse.time_zone) == ("every 10 s", "UTC")


@pytest.mark.parametrize("state", ["running", "paused"])
def test_start_on_a_busy_camera_names_the_active_one(state):
    active = in_state(state)
    other = make_timelapse(camera=active.camera)

    with pytest.raises(CameraBusy) as refusal:
        campaign.start(other, by="otto")

    assert refusal.value.active.pk == active.pk
    assert active.name in str(refusal.value)
    other.refresh_from_db()
    assert other.state == State.CREATED
    assert not other.schedules.exists()


def test_start_completes_the_active_one_where_asked():
    active = running()
    other = make_timelapse(camera=active.camera)

    campaign.start(other, by="otto", complete_active=True)

    active.refresh_from_db()
    assert (active.state, other.state) == (State.COMPLETED, State.RUNNING)
    assert active.completed_at is not None
    assert active.schedules.get().until_at is not None


def test_start_with_complete_active_does_both_or_nothing():
    active = running()
    other = make_timelapse(camera=active.camera, time_zone="Nowhere/Nothing", is_on_the_clock=True)

    with pytest.raises(PlanRefused, match="Nowhere"):
        campaign.start(other, by="otto", complete_active=True)

    active.refresh_from_db()
    other.refresh_from_db()
    assert (active.state, other.state) == (State.RUNNING, State.CREATED)


@pytest.mark.django_db(transaction=True)
def test_of_two_starts_at_once_one_wins():
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets one writer in at a time: there is no race to lose")
    camera = make_camera()
    rivals = [make_timelapse(camera=camera) for _ in range(6)]
    gate, outcomes = threading.Barrier(len(rivals)), []

    def begin(timelapse):
        gate.wait()
        try:
            campaign.start(timelapse, by="otto")
            outcomes.append("running")
        except CameraBusy as busy:
            outcomes.append("busy" if busy.active.state == "running" else "wrong")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=begin, args=(timelapse,)) for timelapse in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(outcomes) == ["busy"] * 5 + ["running"]
    assert Timelapse.objects.active().count() == 1
    assert Timelapse.objects.filter(schedules__isnull=False).count() == 1


def test_pause_skips_what_was_planned_ahead():
    timelapse = running(interval_s=1)
    plan_until(clock.now() + timedelta(seconds=5))
    planned = timelapse.captures.count()

    campaign.pause(timelapse, by="otto")

    assert planned >= 5
    assert timelapse.captures.filter(state="skipped", reason="timelapse_paused").count() == planned
    assert faults(timelapse) == []


def test_pause_leaves_the_capture_that_is_being_taken():
    timelapse = running(interval_s=1)
    capture = make_capture(timelapse=timelapse, slot=clock.now(), origin="person")
    assert claim(capture.pk, worker="w")

    campaign.pause(timelapse, by="otto")

    capture.refresh_from_db()
    assert capture.state == "owed"


def test_nothing_is_planned_while_paused():
    timelapse = running(interval_s=1)
    campaign.pause(timelapse, by="otto")
    now = clock.now()

    assert dispatch.claim(now + timedelta(hours=1), now) == 0
    assert not timelapse.captures.exists()


@pytest.mark.parametrize("is_on_the_clock", [True, False])
def test_resume_goes_on_with_the_grid_that_it_had(is_on_the_clock):
    timelapse = running(interval_s=7, is_on_the_clock=is_on_the_clock)
    # Three days, after which another midnight would be another grid, are no multiple of seven seconds.
    Timelapse.objects.update(started_at=timelapse.started_at - timedelta(days=3))
    campaign.reschedule(timelapse, by="otto")
    timetable = timelapse.schedules.last().timetable
    campaign.pause(timelapse, by="otto")

    campaign.resume(timelapse, by="otto")

    assert timelapse.schedules.last().timetable == timetable
    assert timelapse.next_slot_at == timetable.first_from(timelapse.next_slot_at)
    assert faults(timelapse) == []


def test_pause_and_resume_at_once_owes_no_slot_twice():
    timelapse = running(interval_s=1)
    plan_until(clock.now() + timedelta(seconds=4))
    planned = slots_of(timelapse)

    campaign.pause(timelapse, by="otto")
    campaign.resume(timelapse, by="otto")
    plan_until(planned[-1] + timedelta(seconds=6), start=planned[-1])

    found = slots_of(timelapse)
    assert len(found) == len(set(found)) > len(planned)
    assert {b - a for a, b in itertools.pairwise(found)} == {timedelta(seconds=1)}
    assert faults(timelapse) == []


def test_change_of_interval_holds_at_once():
    timelapse = running(interval_s=3600)
    now = clock.now()

    campaign.change(timelapse, by="otto", plan=every(10))

    timelapse.refresh_from_db()
    old, new = timelapse.schedules.order_by("from_at", "pk")
    assert timelapse.next_slot_at < now + timedelta(seconds=15)
    assert (old.words, new.words) == ("every 1 h", "every 10 s")
    assert old.until_at <= new.from_at
    plan_until(now + timedelta(seconds=60), start=now)
    assert 5 <= timelapse.captures.count() <= 7
    assert faults(timelapse) == []


def test_change_takes_over_what_was_planned_ahead_where_it_is_still_owed():
    timelapse = running(interval_s=1, is_on_the_clock=True)
    plan_until(clock.now() + timedelta(seconds=6))
    planned = slots_of(timelapse)

    campaign.change(timelapse, by="otto", plan=every(2, on_the_clock=True))
    plan_until(planned[-1] + timedelta(seconds=5))

    version = timelapse.schedules.get(until_at__isnull=True)
    found = [slot for slot in slots_of(timelapse) if slot >= version.from_at]
    assert {b - a for a, b in itertools.pairwise(found)} == {timedelta(seconds=2)}
    assert len(set(found) & set(planned)) >= 2
    adopted = timelapse.captures.get(slot=(set(found) & set(planned)).pop())
    assert (adopted.rule, adopted.give_up_at - adopted.slot) == (
        "every 2 s on the clock",
        timedelta(seconds=1),
    )
    assert faults(timelapse) == []


def test_change_while_the_planner_is_down_accounts_for_what_was_owed():
    timelapse = running(interval_s=10)
    back = timedelta(minutes=10)
    timelapse.schedules.update(from_at=timelapse.schedules.get().from_at - back)
    Timelapse.objects.update(next_slot_at=timelapse.next_slot_at - back)
    timelapse.refresh_from_db()

    campaign.change(timelapse, by="otto", plan=every(60))

    gap = Gap.objects.get()
    assert gap.schedule.timetable.count(gap.from_at, gap.until_at) in (59, 60, 61)
    assert faults(timelapse) == []
    settlement.account()
    assert timelapse.captures.filter(state="missed", reason="scheduler_was_down").count() in (59, 60, 61)
    assert faults(timelapse) == []


def test_change_many_times_in_a_row_leaves_no_fault():
    timelapse = running(interval_s=5)
    for interval_s in (1, 3600, 2, 86_400, 7, 1):
        campaign.change(timelapse, by="otto", plan=every(interval_s))
        dispatch.claim(clock.now() + dispatch.AHEAD, clock.now())

    assert faults(timelapse) == []
    assert timelapse.schedules.filter(until_at__isnull=True).count() == 1
    timelapse.refresh_from_db()
    assert timelapse.next_slot_at < clock.now() + timedelta(seconds=5)


def test_change_of_nothing_changes_no_schedule():
    timelapse = running(interval_s=5)

    campaign.change(timelapse, by="otto", plan=every(5), name=timelapse.name)

    assert timelapse.schedules.count() == 1


def test_change_to_a_later_end_goes_on():
    camera = make_camera()
    grid = spread_grid(timedelta(days=1), seed=f"camera {camera.pk}")
    end_at = grid.first_from(clock.now())  # exclusive: the first slot is the first that is not owed
    timelapse = running(camera=camera, interval_s=86_400, end_at=end_at)
    timelapse.refresh_from_db()
    assert timelapse.next_slot_at is None

    campaign.change(timelapse, by="otto", end_at=end_at + timedelta(days=3))

    timelapse.refresh_from_db()
    assert timelapse.next_slot_at is not None
    assert timelapse.next_slot_at < clock.now() + timedelta(days=1)
    assert faults(timelapse) == []


def test_change_to_a_later_end_after_the_last_slot_was_planned():
    now = clock.now()
    timelapse = running(interval_s=1, end_at=now + timedelta(seconds=3))
    plan_until(now + timedelta(seconds=3), start=now)
    timelapse.refresh_from_db()
    assert timelapse.next_slot_at is None

    campaign.change(timelapse, by="otto", end_at=now + timedelta(seconds=10))
    plan_until(now + timedelta(seconds=10), start=now)

    found = slots_of(timelapse)
    assert {b - a for a, b in itertools.pairwise(found)} == {timedelta(seconds=1)}
    assert len(found) in (9, 10)
    assert faults(timelapse) == []


def test_change_is_refused_for_history_and_for_the_start():
    done, live = in_state("completed"), running()

    with pytest.raises(MoveRefused):
        campaign.change(done, by="otto", plan=every(99))
    with pytest.raises(MoveRefused):
        campaign.change(live, by="otto", start_at=clock.now())
    with pytest.raises(MoveRefused):
        campaign.change(live, by="otto", state="archived")
    campaign.change(done, by="otto", name="A better name")

    done.refresh_from_db()
    live.refresh_from_db()
    assert (done.name, done.words, live.start_at) == ("A better name", "every 10 s", None)


def test_start_in_the_future_owes_nothing_before():
    now = clock.now()
    timelapse = running(interval_s=1, start_at=now + timedelta(minutes=5))

    plan_until(now + timedelta(seconds=10), start=now)

    assert not timelapse.captures.exists()
    assert faults(timelapse) == []
    plan_until(now + timedelta(minutes=5, seconds=5), start=now + timedelta(minutes=4, seconds=55))
    assert min(slots_of(timelapse)) >= timelapse.start_at
    assert timelapse.captures.count() in (5, 6, 7)
    assert faults(timelapse) == []


def test_pause_and_resume_before_the_start_leaves_no_fault():
    timelapse = running(interval_s=10, start_at=clock.now() + timedelta(minutes=5))

    campaign.pause(timelapse, by="otto")
    assert faults(timelapse) == []
    campaign.resume(timelapse, by="otto")

    timelapse.refresh_from_db()
    assert timelapse.start_at <= timelapse.next_slot_at < timelapse.start_at + timedelta(seconds=10)
    assert faults(timelapse) == []


def test_day_numbers_begin_at_the_future_start():
    start_at = clock.now() + timedelta(days=3)
    timelapse = running(interval_s=60, start_at=start_at)
    plan_until(start_at + timedelta(seconds=90), start=start_at - timedelta(seconds=5))

    assert set(timelapse.captures.values_list("day_number", flat=True)) <= {1, 2}
    assert timelapse.captures.order_by("slot").first().day_number == 1


def test_day_number_counts_days_of_the_timelapses_zone():
    timelapse = make_timelapse(
        time_zone="Asia/Tokyo", started_at=datetime(2026, 5, 4, 14, 59, tzinfo=UTC), state="running"
    )

    assert timelapse.day_number(datetime(2026, 5, 4, 14, 59, 30, tzinfo=UTC)) == 1
    assert timelapse.day_number(datetime(2026, 5, 4, 15, 0, tzinfo=UTC)) == 2


def test_sweep_completes_what_has_ended_once_its_last_picture_is_settled():
    now = clock.now()
    timelapse = running(interval_s=1, end_at=now + timedelta(seconds=3))
    plan_until(now + timedelta(seconds=3), start=now)
    later = now + timedelta(seconds=4)

    assert campaign.complete_ended(later) == 0  # the last slot may still be taken
    settle_owed(timelapse)
    assert campaign.complete_ended(later) == 1

    timelapse.refresh_from_db()
    assert timelapse.state == State.COMPLETED
    assert not timelapse.captures.filter(state="skipped").exists()
    assert max(slots_of(timelapse)) < timelapse.end_at
    assert faults(timelapse) == []


def test_complete_by_hand_after_the_end_owes_nothing_beyond_it():
    now = clock.now()
    timelapse = running(interval_s=10)
    start = now - timedelta(minutes=10)
    timelapse.schedules.update(from_at=start)
    timetable = timelapse.schedules.get().timetable
    Timelapse.objects.update(next_slot_at=timetable.first_from(start), end_at=now - timedelta(minutes=5))
    timelapse.refresh_from_db()

    campaign.complete(timelapse, by="otto")
    settlement.account()

    assert Capture.objects.count() in (29, 30, 31)
    assert max(slots_of(timelapse)) < timelapse.end_at
    assert faults(timelapse) == []


def test_spread_phases_differ_between_cameras_and_last():
    first, second = running(interval_s=600), running(interval_s=600)
    campaign.complete(first, by="otto")
    again = make_timelapse(camera=first.camera, interval_s=600)
    campaign.start(again, by="otto")

    anchors = [timelapse.schedules.get().timetable.anchors for timelapse in (first, second, again)]

    assert anchors[0] == anchors[2] != anchors[1]


def test_on_the_clock_falls_on_even_times():
    timelapse = running(interval_s=900, is_on_the_clock=True, time_zone="Asia/Kathmandu")

    local = timelapse.next_slot_at.astimezone(timelapse.zone)

    assert (local.minute % 15, local.second, local.microsecond) == (0, 0, 0)


def test_a_paused_timelapse_whose_end_has_come_is_completed_by_the_clock():
    timelapse = running(interval_s=10)
    campaign.pause(timelapse, by="otto")
    Timelapse.objects.update(end_at=clock.now() - timedelta(seconds=1))

    assert campaign.complete_ended(clock.now()) == 1

    timelapse.refresh_from_db()
    assert timelapse.state == State.COMPLETED
    assert faults(timelapse) == []
