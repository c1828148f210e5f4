"""When: beat's entries as somebody has edited them, their messages' lives, and a clock that is set back."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.management import call_command
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask

from celery_app import app
from media_jobs import clock, runs
from media_jobs.models import Pulse, Run
from timelapser import entries, health, schedule
from timelapser.beat import Entry, Scheduler
from timelapser.queues import QUEUES
from timelapser.schedule import ENTRIES, OURS

pytestmark = pytest.mark.django_db
# Beat commits whatever it finds open before it looks for changes.
beats_own_transactions = pytest.mark.django_db(transaction=True)


@pytest.fixture
def synced(db):
    call_command("sync_schedule", verbosity=0)


def row_of(task):
    return PeriodicTask.objects.select_related("interval").get(name=OURS + task)


def set_period(task, seconds, **fields):
    """As an operator does it behind our backs: in the tables."""
    interval, _ = IntervalSchedule.objects.get_or_create(every=seconds, period="seconds")
    PeriodicTask.objects.filter(name=OURS + task).update(interval=interval, **fields)


def tick_until_idle(scheduler):
    while scheduler.tick() == 0:
        pass


def tasks_in(broker, queue):
    return [json.loads(text)["headers"]["task"] for text in broker.client.lrange(queue, 0, -1)]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.task)
def test_messages_expire_before_the_entry_recurs(synced, entry):
    found = Entry(row_of(entry.task), app=app).options

    assert found["headers"]["every_s"] == entry.every_s
    assert found["headers"]["good_for_s"] <= max(2, entry.every_s - 0.1)
    assert found["expires"] == found["headers"]["good_for_s"] + runs.CLOCKS_APART_S


@pytest.mark.parametrize(("seconds", "expire_seconds"), [(7, 270), (3600, 270), (7, None)])
def test_edited_periods_expire_before_they_recur(synced, seconds, expire_seconds):
    set_period("videos.tidy", seconds, expire_seconds=expire_seconds)

    options = Entry(row_of("videos.tidy"), app=app).options

    assert options["headers"]["every_s"] == seconds
    assert options["headers"]["good_for_s"] < seconds
    assert options["headers"]["good_for_s"] <= (expire_seconds or seconds)


def test_admin_s_change_of_a_period_changes_how_long_messages_live(synced, superuser, pages):
    row = row_of("videos.tidy")
    interval = IntervalSchedule.objects.create(every=20, period="seconds")
    form = {"name": row.name, "task": row.task, "enabled": "on", "interval": interval.pk, "args": "[]"}
    form |= {"kwargs": "{}", "queue": row.queue, "headers": "{}", "expire_seconds": 270}

    answer = pages(superuser).post(f"/admin/django_celery_beat/periodictask/{row.pk}/change/", form)

    assert answer.status_code == 302, answer.context["errors"]
    changed = row_of("videos.tidy")
    assert (changed.interval, changed.expire_seconds) == (interval, 18)


def test_what_an_operator_set_stays_until_it_is_reset(synced):
    set_period("videos.tidy", 20, enabled=False)

    call_command("sync_schedule", verbosity=0)
    kept = row_of("videos.tidy")
    assert (kept.enabled, kept.interval.every, kept.expire_seconds) == (False, 20, 18)

    call_command("sync_schedule", "--reset", verbosity=0)
    assert (row_of("videos.tidy").enabled, row_of("videos.tidy").interval.every) == (True, 300)


@beats_own_transactions
def test_a_clock_that_is_set_back_does_not_silence_beat(synced, broker):
    scheduler, now = Scheduler(app=app, lazy=True), datetime.now(UTC)
    for moment in (now, now + timedelta(seconds=30)):
        with time_machine.travel(moment):
            tick_until_idle(scheduler)
    assert "captures.plan" in tasks_in(broker, "planner")

    back = now - timedelta(hours=1)
    with time_machine.travel(back, tick=False):
        broker.empty()
        tick_until_idle(scheduler)
        assert tasks_in(broker, "planner") == []
    with time_machine.travel(back + timedelta(seconds=1.1), tick=False):
        tick_until_idle(scheduler)
        assert tasks_in(broker, "planner") == ["captures.plan"]


def test_a_beat_that_is_started_after_its_clock_was_set_back_begins_at_once(synced, broker):
    ahead = datetime.now(UTC) + timedelta(hours=1)
    PeriodicTask.objects.update(last_run_at=ahead)
    entry = Entry(row_of("captures.plan"), app=app)

    assert entry.is_due()[0] is False  # a period from now, not in an hour
    assert entry.last_run_at <= datetime.now(UTC)
    assert entry.is_due()[1] <= 1


@beats_own_transactions
def test_a_beat_obeys_an_edited_period_without_a_restart(synced, broker):
    scheduler = Scheduler(app=app, lazy=True)
    scheduler.tick()

    row = row_of("videos.tidy")
    row.interval, _ = IntervalSchedule.objects.get_or_create(every=7, period="seconds")
    row.save()

    assert scheduler.schedule[row.name].options["headers"]["every_s"] == 7


@beats_own_transactions
def test_messages_say_their_period_and_when_they_were_sent(synced, broker):
    scheduler = Scheduler(app=app, lazy=True)
    before = time.time()
    scheduler.apply_entry(scheduler.schedule[OURS + "videos.tidy"], producer=scheduler.producer)

    headers = json.loads(broker.client.lindex("upkeep", 0))["headers"]
    assert headers["every_s"] == 300
    assert before <= headers["sent_at"] <= time.time()


@beats_own_transactions
def test_a_machine_whose_clock_is_ahead_does_its_ticks_while_they_are_good(synced, broker):
    """Its clock is wrong by less than the broker's end of a message allows for; the database's is right."""
    scheduler = Scheduler(app=app, lazy=True)
    scheduler.apply_entry(scheduler.schedule[OURS + "captures.plan"], producer=scheduler.producer)
    headers = json.loads(broker.client.lindex("planner", 0))["headers"]

    ends_at = datetime.fromisoformat(headers["expires"])
    assert datetime.now(UTC) + timedelta(seconds=50) < ends_at  # what a worker there asks
    now = clock.now()
    sent_at, good_for_s = headers["sent_at"], headers["good_for_s"]
    assert abs(now.timestamp() - sent_at) < 30
    assert not runs.is_over(now, now.timestamp() - 1.9, good_for_s)
    assert runs.is_over(now, now.timestamp() - 2.1, good_for_s)


@beats_own_transactions
def test_a_beat_whose_clock_is_wrong_says_the_database_s_time(synced, broker, monkeypatch):
    now = clock.now() + timedelta(hours=3)
    monkeypatch.setattr(clock, "now", lambda: now)
    monkeypatch.setattr(clock, "_measured", None)
    scheduler = Scheduler(app=app, lazy=True)
    scheduler.apply_entry(scheduler.schedule[OURS + "captures.plan"], producer=scheduler.producer)

    headers = json.loads(broker.client.lindex("planner", 0))["headers"]
    assert 0 <= headers["sent_at"] - now.timestamp() < 60


def on_a_calendar(**schedule):
    PeriodicTask.objects.filter(name=OURS + "videos.tidy").update(interval=None, **schedule)


def send_from_a_new_beat(broker, moment):
    """As beat does it at `moment`, with what the table says; returns the message's headers."""
    with time_machine.travel(moment, tick=False):
        entry = Entry(PeriodicTask.objects.get(name=OURS + "videos.tidy"), app=app)
        assert entry.is_due().is_due
        scheduler = Scheduler(app=app, lazy=True)
        scheduler.apply_entry(entry, producer=scheduler.producer)
    return json.loads(broker.client.lindex("upkeep", 0))["headers"]


@beats_own_transactions
def test_entries_on_a_calendar_say_which_instant_they_were_due_at(synced, broker):
    """Two beats that send it at different moments name the same occurrence, which is done once."""
    at_three, _ = CrontabSchedule.objects.get_or_create(minute="0", hour="3", timezone="UTC")
    due = datetime(2026, 5, 4, 3, tzinfo=UTC)
    on_a_calendar(crontab=at_three, last_run_at=due - timedelta(hours=23, minutes=59))

    sent = [send_from_a_new_beat(broker, due + timedelta(seconds=late)) for late in (0.2, 4.9, 4000)]

    assert {headers["due_at"] for headers in sent} == {due.timestamp()}
    assert {headers.get("every_s") for headers in sent} == {None}


@beats_own_transactions
def test_entries_of_one_moment_say_it(synced, broker):
    moment = datetime(2026, 5, 4, 3, 7, 21, tzinfo=UTC)
    once = ClockedSchedule.objects.create(clocked_time=moment)
    on_a_calendar(clocked=once, one_off=True, last_run_at=moment - timedelta(days=1))

    headers = send_from_a_new_beat(broker, moment + timedelta(seconds=3))

    assert headers["due_at"] == moment.timestamp()


def test_standing_of_an_entry_tells_its_last_and_next_run(synced):
    now = clock.now()
    begun = now - timedelta(seconds=100)
    Run.objects.create(
        name="videos.tidy",
        instant=begun,
        runs=1,
        failures=1,
        started_at=begun,
        finished_at=begun,
        busy_ms=70,
        longest_ms=70,
        error="ValueError: x",
    )
    Run.objects.create(name="videos.tidy", instant=begun - timedelta(hours=1), runs=1, started_at=begun)
    Run.objects.create(name="videos.tidy", instant=begun - timedelta(days=2), runs=1, started_at=begun)
    set_period("captures.plan", 1, enabled=False)

    found = {state.task: state for state in entries.standing(now)}

    assert [state.task for state in entries.standing(now)] == [entry.task for entry in ENTRIES]
    tidy, plan = found["videos.tidy"], found["captures.plan"]
    assert (tidy.last_run_at, tidy.next_run_at) == (begun, begun + timedelta(seconds=300))
    assert (tidy.took_ms, tidy.error, tidy.runs_of_day, tidy.failures_of_day) == (70, "ValueError: x", 2, 1)
    assert (tidy.is_enabled, tidy.is_edited, tidy.is_late) == (True, False, False)
    assert (plan.is_enabled, plan.is_edited, plan.next_run_at, plan.last_run_at) == (False, True, None, None)


def test_an_entry_that_should_have_run_several_times_is_late(synced):
    now = clock.now()
    for task, ago in (("videos.tidy", 1000), ("media_jobs.prune", 1000)):
        begun = now - timedelta(seconds=ago)
        Run.objects.create(name=task, instant=begun, runs=1, started_at=begun, finished_at=begun)

    found = {state.task: state.is_late for state in entries.standing(now)}

    assert (found["videos.tidy"], found["media_jobs.prune"]) == (True, False)


def test_run_now_is_a_message_with_the_person_s_name(broker, synced):
    assert entries.run_now("videos.tidy", by="ada")

    (text,) = broker.client.lrange("upkeep", 0, -1)
    headers = json.loads(text)["headers"]
    assert (headers["task"], headers["by"]) == ("videos.tidy", "ada")
    assert headers["expires"] is not None
    with pytest.raises(KeyError):
        entries.run_now("captures.take", by="ada")


def test_admin_s_action_runs_entries_by_the_one_door(broker, synced, superuser, pages):
    somebodys = PeriodicTask.objects.create(
        name="somebody's", task="celery.backend_cleanup", interval=row_of("videos.tidy").interval
    )
    picked = [row_of("videos.tidy").pk, somebodys.pk]

    answer = pages(superuser).post(
        "/admin/django_celery_beat/periodictask/",
        {"action": "run_now", "_selected_action": picked},
        follow=True,
    )

    words = [str(message) for message in answer.context["messages"]]
    assert words == ["Asked to run: 1.", "“somebody's” is no entry of Timelapser's."]
    assert [
        message["headers"]["by"] for message in map(json.loads, broker.client.lrange("upkeep", 0, -1))
    ] == [superuser.username]


def test_admin_has_only_our_way_to_run(synced, superuser, pages, broker):
    browser, address = pages(superuser), "/admin/django_celery_beat/periodictask/"
    page = browser.get(address).content.decode()

    assert 'value="run_now"' in page
    assert 'value="run_tasks"' not in page
    browser.post(address, {"action": "run_tasks", "_selected_action": [row_of("videos.tidy").pk]})
    assert tasks_in(broker, "upkeep") == []


def test_what_is_switched_off_is_said(synced, viewer, pages):
    now = clock.now()
    Pulse.objects.create(name="captures.plan", kind="clock", at=now)
    Pulse.objects.create(name="all@here", kind="worker", at=now, facts={"queues": list(QUEUES)})
    assert health.find_faults() == []

    PeriodicTask.objects.filter(name=OURS + "media_jobs.prune").update(enabled=False)
    assert health.find_faults() == []  # pictures are being taken
    assert "Switched off: media_jobs.prune." in pages(viewer).get("/").content.decode()

    PeriodicTask.objects.filter(name=OURS + "captures.plan").update(enabled=False)
    assert health.find_faults() == ["The scheduler is switched off: no pictures are planned."]
    assert "The scheduler is switched off." in pages(viewer).get("/").content.decode()


@pytest.mark.parametrize(
    "lie", [{"task": "no.task"}, {"queue": "nowhere"}, {"args": "[1]"}, {"routing_key": "nowhere"}]
)
def test_an_entry_that_sets_going_something_else_is_said_and_put_right(synced, viewer, pages, lie):
    now = clock.now()
    Pulse.objects.create(name="captures.plan", kind="clock", at=now)
    Pulse.objects.create(name="all@here", kind="worker", at=now, facts={"queues": list(QUEUES)})
    PeriodicTask.objects.filter(name=OURS + "captures.sweep").update(**lie)

    assert health.find_faults() == ["An entry of the scheduler does not do its work."]
    assert "do not do their work: captures.sweep." in pages(viewer).get("/").content.decode()
    assert [state.task for state in entries.standing(now) if state.is_edited] == ["captures.sweep"]

    call_command("sync_schedule", verbosity=0)
    assert health.find_faults() == []
    assert entries.out_of_order() == ([], [])


def test_an_entry_on_a_calendar_stays_there_at_the_start(synced):
    at_three, _ = CrontabSchedule.objects.get_or_create(minute="0", hour="3", timezone="UTC")
    on_a_calendar(crontab=at_three)

    call_command("sync_schedule", verbosity=0)

    assert PeriodicTask.objects.filter(crontab=at_three).count() == 1


def test_every_second_s_entry_lives_for_two():
    assert [schedule.life_s(every_s) for every_s in (1, 2, 10, 300)] == [2, 1.8, 9, 270]
    assert [schedule.whole_life_s(every_s) for every_s in (1, 2, 10, 300)] == [2, 1, 9, 270]
