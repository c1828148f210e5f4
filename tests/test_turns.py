import threading

import pytest
from django.db import connection, connections

from media_jobs import clock, lifecycle
from media_jobs.lifecycle import Wish
from media_jobs.models import MediaJob
from tests.jobs import ECHO, PART, QUEUE, now_of, record, take

pytestmark = pytest.mark.django_db(transaction=True)
HIGH, MEDIUM, LOW = MediaJob.Priority.values


def crowd(count, *, topic="timelapse.1", priority=LOW, first=0):
    wishes = [Wish(f"{topic} {n}", topic, "Crowd", {"n": n}) for n in range(first, first + count)]
    return lifecycle.record_many(ECHO, wishes, priority=priority, queue=QUEUE).jobs


def served(count, *, queue=QUEUE):
    """The keys in the order in which workers get them."""
    claimed = (lifecycle.claim(queue, worker="w") for _ in range(count))
    return [job.key for job in claimed if job]


def test_within_a_topic_first_come_is_first_served():
    for number in range(5):
        record(str(number))

    assert served(9) == ["0", "1", "2", "3", "4"]


def test_priority_comes_before_age():
    for name, priority in (("backfill", LOW), ("follows", MEDIUM), ("person", HIGH)):
        record(name, priority=priority)

    assert served(3) == ["person", "follows", "backfill"]


def test_crowd_of_one_topic_delays_another_by_one_job():
    crowd(200)
    assert len(served(50)) == 50
    record("mine", topic="timelapse.2", priority=LOW)
    record("mine too", topic="timelapse.2", priority=LOW)

    order = served(10)

    assert order.index("mine") <= 1
    assert order.index("mine too") <= 3


def test_topics_take_turns():
    for topic in ("a", "b", "c"):
        crowd(5, topic=topic)

    order = [key.split()[0] for key in served(15)]

    for start in range(0, 15, 3):
        assert sorted(order[start : start + 3]) == ["a", "b", "c"]


def test_topic_that_asks_for_one_at_a_time_does_not_overtake_for_ever():
    crowd(100, topic="a")
    order = []
    for number in range(20):
        record(f"b {number}", topic="b", priority=LOW)
        order += served(1)

    assert 8 <= sum(key.startswith("a") for key in order) <= 12


def test_job_that_waits_for_its_next_try_lets_nobody_overtake():
    crowd(20, topic="a")
    early = lifecycle.claim(QUEUE, worker="w")
    lifecycle.fail(early, "Busy.", code="busy", is_passing=True)
    served(10)
    for number in range(5):
        record(f"b {number}", topic="b", priority=LOW)

    assert {key.split()[0] for key in served(4)} == {"a", "b"}


def test_many_are_recorded_in_few_statements(django_assert_max_num_queries):
    with django_assert_max_num_queries(
        12 if connection.vendor == "postgresql" else 30
    ):  # SQLite takes 30 rows each
        found = crowd(400)

    assert len(found) == 400
    assert [job.key for job in found[:2]] == ["timelapse.1 0", "timelapse.1 1"]
    assert crowd(400) != []
    assert MediaJob.objects.count() == 400


def test_many_again_are_the_same_jobs_and_hastened():
    before = crowd(5)

    again = lifecycle.record_many(
        ECHO,
        [Wish(f"timelapse.1 {n}", "timelapse.1", "Crowd", {}) for n in range(8)],
        priority=HIGH,
        queue=QUEUE,
    )

    assert (again.new, len(again.jobs)) == (3, 8)
    assert {job.pk for job in before} < {job.pk for job in again.jobs}
    assert set(MediaJob.objects.values_list("priority", flat=True)) == {HIGH}


def test_many_by_several_at_once_are_recorded_once():
    found, gate = [], threading.Barrier(3)

    def run():
        gate.wait()
        try:
            found.append(crowd(50))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [len(jobs) for jobs in found] == [50] * 3
    assert MediaJob.objects.count() == 50


def test_person_hastens_what_is_asked_for_already_and_what_it_waits_for(broker):
    crowd(10, topic="a", priority=MEDIUM)
    film = take(record("film", priority=LOW, is_quiet=True)[0])
    parts = [record(f"part {n}", task=PART, priority=LOW)[0] for n in range(2)]
    lifecycle.wait(film, parts)

    hastened, is_new = record("film", priority=HIGH)

    assert (hastened.pk, is_new) == (film.pk, False)
    assert {now_of(job).priority for job in (film, *parts)} == {HIGH}
    assert not now_of(film).is_quiet
    assert served(2) == ["part 0", "part 1"]


def test_need_that_is_recorded_while_somebody_hastens_is_as_urgent_as_the_one_who_waits():
    film = take(record("film", priority=LOW)[0])
    part, _ = record("part", task=PART, priority=LOW)
    record("film", priority=HIGH)  # a person, between the two

    lifecycle.wait(film, [part])

    assert now_of(part).priority == HIGH


def test_claim_waits_for_a_row_that_somebody_is_just_changing():
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets one writer in at a time")
    from django.db import transaction

    job, _ = record()
    holds, found = threading.Event(), []

    def change():
        with transaction.atomic():
            MediaJob.objects.filter(pk=job.pk).update(priority=HIGH)
            holds.set()
            threading.Event().wait(0.3)
        connections.close_all()

    changing = threading.Thread(target=change)
    changing.start()
    holds.wait(10)
    found.append(lifecycle.claim(QUEUE, worker="w"))
    changing.join(10)

    assert [claimed.pk for claimed in found] == [job.pk]


def test_many_claims_at_once_get_a_job_each():
    crowd(40)
    gate, found = threading.Barrier(4), []

    def run():
        gate.wait()
        try:
            found.extend(job.pk for _ in range(10) if (job := lifecycle.claim(QUEUE, worker="w")))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(found) == len(set(found)) == 40


def test_claim_in_a_line_of_ten_thousand_reads_few_rows():
    if connection.vendor == "sqlite":
        pytest.skip("the plan is PostgreSQL's")
    moment = clock.now()
    MediaJob.objects.bulk_create(
        MediaJob(
            task=ECHO, queue=QUEUE, key=str(n), topic=f"timelapse.{n % 7}", title="x", priority=LOW, turn=n,
            requested_at=moment, run_after=moment,
        )
        for n in range(10_000)
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE media_jobs_mediajob")
    line = MediaJob.objects.due(moment).filter(queue=QUEUE).order_by("priority", "turn", "requested_at")

    assert "media_jobs_line" in line[:1].explain()
    assert lifecycle.claim(QUEUE, worker="w").key == "0"
    assert "rows=1 " in line[:1].explain(analyze=True)
