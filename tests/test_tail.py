import threading
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from captures.models import Timelapse
from media_jobs import events, tail
from media_jobs.events import EventType, emit
from media_jobs.models import Event
from media_jobs.tail import Tail
from tests.factories import make_timelapse
from tests.stack import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def one_database_for_many():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")


def tell(n=0, topic="camera.1"):
    emit(EventType.CAPTURE_STORED, topic, {"n": n})


def begun():
    """At the end of a table that is not empty."""
    tell()
    found = Tail()
    found.look()
    return found


def numbers(look):
    found, is_all = look
    assert is_all
    return [event.payload["n"] for event in found]


@contextmanager
def slow_transaction(*, fails=False):
    """Somebody has written an event and not yet committed, until the block ends."""
    written, end = threading.Event(), threading.Event()

    def write():
        try:
            with transaction.atomic():
                tell(1)
                written.set()
                end.wait(30)
                transaction.set_rollback(fails)
        finally:
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    assert written.wait(30)
    try:
        yield
    finally:
        end.set()
        thread.join()


def test_look_gives_what_is_new_once():
    reader = begun()
    assert numbers(reader.look()) == []
    tell(1)
    tell(2)
    assert numbers(reader.look()) == [1, 2]
    assert numbers(reader.look()) == []
    assert reader.safe == Event.objects.latest("id").pk


def test_first_look_begins_at_the_end():
    tell(1)
    assert Tail().look() == ([], False)


def test_more_than_can_be_told_begins_anew(monkeypatch):
    reader = begun()
    monkeypatch.setattr(tail, "MOST_AT_ONCE", 3)
    for number in range(4):
        tell(number)
    assert reader.look() == ([], False)
    assert reader.safe == Event.objects.latest("id").pk


def test_another_database_in_its_place_begins_anew():
    tell(1)
    reader = begun()
    reader.newest += 1000
    assert reader.look() == ([], False)
    assert reader.newest == Event.objects.latest("id").pk


def test_who_commits_behind_a_higher_id_is_told_late_and_not_lost(one_database_for_many):
    reader = begun()
    with slow_transaction():
        tell(2)
        assert numbers(reader.look()) == [2]
        before = Event.objects.latest("id").pk - 1
        assert reader.gaps == [before]
        assert (reader.safe, events.latest()) == (before - 1, before - 1)
    assert numbers(reader.look()) == [1]
    assert (reader.gaps, reader.safe) == ([], before + 1)


def test_what_was_rolled_back_is_waited_for_no_longer_than_it_can_come(one_database_for_many):
    reader = begun()
    with slow_transaction(fails=True):
        tell(2)
        assert numbers(reader.look()) == [2]
        assert len(reader.gaps) == 1
    wait_for(lambda: reader.look() and not reader.gaps, within_s=20, what="the gap to be given up")
    assert reader.safe == Event.objects.latest("id").pk


def test_a_gap_stays_as_long_as_its_transaction(one_database_for_many, monkeypatch):
    monkeypatch.setattr(tail, "SETTLE_S", 0.0)
    reader = begun()
    with slow_transaction():
        tell(2)
        for _ in range(5):
            reader.look()
        assert len(reader.gaps) == 1


def test_a_gap_is_given_up_after_a_minute(one_database_for_many, monkeypatch):
    reader = begun()
    with slow_transaction():
        tell(2)
        reader.look()
        monkeypatch.setattr(tail, "GIVEN_UP_AFTER_S", 0.0)
        reader.look()
        assert reader.gaps == []


def write_much(timelapses, count, failures):
    """As workers do: the row first, the event after it, then some time until the commit; a few are rolled back."""
    try:
        for number in range(count):
            pk = timelapses[number % len(timelapses)].pk
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE captures_timelapse SET image_count = image_count + 1 WHERE id = %s"
                    " RETURNING image_count",
                    [pk],
                )
                tell(cursor.fetchone()[0], f"timelapse.{pk}")
                cursor.execute("SELECT pg_sleep(random() * 0.01)")
                transaction.set_rollback(number % 11 == 3)
    except BaseException as error:
        failures.append(error)
        raise
    finally:
        connection.close()


def test_many_writers_at_once_nothing_is_lost_doubled_or_out_of_order(one_database_for_many):
    timelapses = [make_timelapse() for _ in range(3)]
    reader, failures = begun(), []
    # One follows all the time, one is away after each look and comes back with what it was told to come back with.
    told, came_back, place = [], [], events.latest()
    writers = [
        threading.Thread(target=write_much, args=(timelapses[n % 3 :] + timelapses[: n % 3], 60, failures))
        for n in range(6)
    ]
    for writer in writers:
        writer.start()
    late = 0
    while True:
        is_over = not any(writer.is_alive() for writer in writers)
        highest = told[-1].pk if told else 0
        found, is_all = reader.look()
        assert is_all
        late += sum(event.pk < highest for event in found)
        told += found
        next_place = events.latest()
        missed, is_complete = events.since(place, ["fleet"])
        assert is_complete
        came_back += [event for event in missed if event.pk not in {seen.pk for seen in came_back}]
        place = next_place
        if is_over and not reader.gaps:
            break
    for writer in writers:
        writer.join()

    assert failures == []
    everything = set(Event.objects.filter(topic__startswith="timelapse").values_list("pk", flat=True))
    assert len(told) == len({event.pk for event in told})
    assert {event.pk for event in told} == everything
    assert {event.pk for event in came_back} >= everything
    for timelapse in timelapses:
        counts = [event.payload["n"] for event in told if event.topic == timelapse.topic]
        assert counts == list(range(1, Timelapse.objects.get(pk=timelapse.pk).image_count + 1))
    assert late > 0, "no id came behind a higher one: the test has shown nothing"
