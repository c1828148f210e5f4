"""Runs of the clock's entries: which occurrence, how long, what came of it, and never twice."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from celery import current_app
from celery._state import _task_stack
from django.db import connections
from hypothesis import given
from hypothesis import strategies as st

from media_jobs import clock, runs
from media_jobs.models import Run
from tests.factories import NOON
from timelapser import schedule
from timelapser.schedule import ENTRIES

MINUTE = timedelta(minutes=1)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
periods = st.integers(60, 86_400)


@pytest.fixture
def done():
    """What the entry of these tests has done; an exception in it is raised by the next run."""
    return []


@pytest.fixture
def task(done):
    """An entry of the clock of its own."""

    @current_app.task(name="tests.entry")
    @runs.entry
    def entry():
        done.append(1)
        if len(done) == 2:
            raise ValueError("no more than once\nand a line that is left out")
        return {"found": len(done)}

    runs._tallies.clear()
    yield entry
    runs._tallies.clear()
    current_app.tasks.unregister("tests.entry")


def run(task, **headers):
    """As a worker does it with a message of these headers."""
    _task_stack.push(task)
    task.push_request(hostname="upkeep@here", **headers)
    try:
        task.run()
    finally:
        task.pop_request()
        _task_stack.pop()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.task)
def test_every_entry_of_the_clock_has_its_bracket(entry):
    current_app.loader.import_default_modules()
    assert getattr(current_app.tasks[entry.task].run, "is_entry", False)


@given(moments, periods, st.floats(0, 0.9))
def test_a_beat_never_sends_twice_within_an_occurrence(start, every_s, late):
    """However late within its life each message is worked on."""
    sent = [start + timedelta(seconds=every_s * number) for number in range(5)]
    found = [runs.occurrence(at + timedelta(seconds=late * every_s), every_s, at.timestamp()) for at in sent]
    assert len(set(found)) == len(sent)


@given(moments, periods, st.floats(0, 1, exclude_max=True))
def test_beats_that_send_at_any_phase_name_the_same_occurrence(start, every_s, phase):
    """Two beats: what they send within one period of the epoch is one occurrence."""
    bound = datetime.fromtimestamp(start.timestamp() // every_s * every_s, UTC)
    at = bound + timedelta(seconds=phase * (every_s - 0.001))
    assert runs.occurrence(at, every_s, at.timestamp()) == bound


def test_a_machine_whose_clock_is_wrong_by_more_than_a_period_is_not_believed():
    right, wrong = NOON, NOON + timedelta(hours=1)
    assert runs.occurrence(right, 60, wrong.timestamp()) == NOON
    assert runs.occurrence(right + timedelta(seconds=20), 60, None) == NOON


@pytest.mark.django_db
def test_an_entry_of_a_minute_has_a_row_for_each_occurrence(task, done):
    before = clock.now()
    run(task, every_s=60, sent_at=before.timestamp())

    row = Run.objects.get()
    assert (row.name, row.runs, row.failures, row.result) == ("tests.entry", 1, 0, {"found": 1})
    assert row.instant == runs.occurrence(before, 60, before.timestamp())
    assert before <= row.started_at <= row.finished_at
    assert row.worker == "upkeep@here"
    assert row.error == ""


@pytest.mark.django_db
def test_an_occurrence_that_is_taken_is_not_done_again(task, done):
    sent_at = clock.now().timestamp()
    for _ in range(3):
        run(task, every_s=600, sent_at=sent_at)

    assert len(done) == 1
    assert Run.objects.get().runs == 1


@pytest.mark.django_db
def test_an_occurrence_of_a_calendar_is_done_once_whenever_it_is_sent(task, done):
    for late in (0, 3, 4000):
        run(task, due_at=NOON.timestamp(), sent_at=NOON.timestamp() + late)

    assert len(done) == 1
    assert [row.instant for row in Run.objects.all()] == [NOON]


@pytest.mark.django_db
@pytest.mark.parametrize("every_s", [1, 600])
def test_what_comes_after_its_life_is_left_to_the_next(task, done, every_s):
    good_for_s = schedule.life_s(every_s)
    run(task, every_s=every_s, good_for_s=good_for_s, sent_at=clock.now().timestamp() - good_for_s - 5)
    assert done == []

    run(task, every_s=every_s, good_for_s=good_for_s, sent_at=clock.now().timestamp())
    assert done == [1]


@pytest.mark.django_db
@pytest.mark.parametrize("apart_s", [-3600, -65, 70, 3600])
def test_an_age_that_no_message_can_have_is_the_clocks_fault(task, done, apart_s):
    """The database's clock was set since the message was sent: better a tick too many than silence."""
    run(task, every_s=1, good_for_s=2, sent_at=clock.now().timestamp() - apart_s)

    assert done == [1]


@pytest.mark.django_db(transaction=True)
def test_beats_at_once_do_an_occurrence_once(task, done):
    sent_at, gate = clock.now().timestamp(), threading.Barrier(4)

    def one_of_them():
        try:
            gate.wait()
            run(task, every_s=600, sent_at=sent_at)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one_of_them) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(done) == 1
    assert Run.objects.count() == 1


@pytest.mark.django_db
def test_what_an_entry_raises_is_written_and_raised_again(task, done):
    done.append(1)
    with pytest.raises(ValueError, match="no more than once"):
        run(task, every_s=60)

    row = Run.objects.get()
    assert (row.runs, row.failures) == (1, 1)
    assert row.error == "ValueError: no more than once"
    assert row.finished_at is not None


@pytest.mark.django_db
def test_an_entry_of_seconds_shares_a_row_for_a_minute(task, done, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOON + timedelta(seconds=20))
    done += [1, 1]
    for _ in range(10):
        run(task, every_s=1)
    assert not Run.objects.exists()  # counted, and written every few seconds

    runs.write_all("upkeep@here")
    run(task, every_s=1)
    runs.write_all("upkeep@here")
    runs.write_all("upkeep@here")

    row = Run.objects.get()
    assert (row.instant, row.runs, row.failures, row.result) == (NOON, 11, 0, {"found": 13})
    assert row.longest_ms <= row.busy_ms
    assert NOON <= row.started_at <= row.finished_at <= NOON + timedelta(seconds=20)


@pytest.mark.django_db
def test_a_failure_of_an_entry_of_seconds_is_written_at_once(task, done):
    run(task, every_s=1)
    with pytest.raises(ValueError, match="no more than once"):
        run(task, every_s=1)

    row = Run.objects.get()
    assert (row.runs, row.failures, row.error) == (2, 1, "ValueError: no more than once")
    assert row.result == {"found": 1}


@pytest.mark.django_db
def test_counting_costs_the_planner_no_query(task, done, django_assert_num_queries):
    done += [1, 1]
    run(task, every_s=1)
    with django_assert_num_queries(0):
        run(task, every_s=1)


@pytest.mark.django_db
def test_a_person_s_wish_is_a_run_of_its_own(task, done):
    for _ in range(2):
        done += [1, 1]
        run(task, by="ada")

    assert [row.result["by"] for row in Run.objects.all()] == ["ada", "ada"]


@pytest.mark.django_db
def test_runs_are_forgotten_by_age():
    for days in (40, 31, 29, 0):
        Run.objects.create(name="videos.tidy", instant=NOON - timedelta(days=days), runs=1)

    assert runs.forget(NOON - timedelta(days=30)) == 2
    assert Run.objects.filter(instant__gte=NOON - timedelta(days=30)).count() == 2
