import threading
from datetime import timedelta

import pytest
from django.db import connection, connections

from media_jobs import clock, housekeeping, lifecycle, recovery
from media_jobs.kinds import JITTER
from media_jobs.lifecycle import Wish
from media_jobs.models import Event, MediaJob
from tests.factories import make_job
from tests.jobs import ECHO, QUEUE, now_of, record, take

pytestmark = pytest.mark.django_db(transaction=True)
State = MediaJob.State
SECOND = timedelta(seconds=1)


def claimed(key="k", worker="w1", **kw):
    return take(record(key, **kw)[0], worker=worker)


def waiting_for(*keys, key="film"):
    film = claimed(key)
    needs = [record(name)[0] for name in keys]
    lifecycle.wait(film, needs)
    return film, needs


def finish(job, worker="w2"):
    lifecycle.finish(take(job, worker=worker), {})


def at_once(count, work):
    """Runs `work(number)` in threads that begin together; what they returned."""
    gate, found = threading.Barrier(count), [None] * count

    def run(number):
        gate.wait()
        try:
            found[number] = work(number)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_record_sends_after_the_commit(broker):
    job, is_new = record(requested_by="otto", total=7)

    assert is_new
    assert [(message.task, message.argument) for message in broker.messages("capture")] == [
        ("media_jobs.work", "capture")
    ]
    assert now_of(job).sent_at is not None
    assert Event.objects.get().payload["state"] == "queued"


def test_record_of_the_same_wish_is_the_same_job():
    job, _ = record()
    again, is_new = record(priority=MediaJob.Priority.HIGH)

    assert (again.pk, is_new) == (job.pk, False)
    assert now_of(job).priority == MediaJob.Priority.HIGH
    finish(job)
    assert record()[1]


def test_record_by_many_at_once_is_one_job(broker):
    found = at_once(6, lambda _: record())

    assert len({job.pk for job, _ in found}) == 1
    assert sorted(is_new for _, is_new in found) == [False] * 5 + [True]
    assert len(broker.messages("capture")) == 1


def test_claim_by_many_at_once_is_won_by_one():
    job, _ = record()

    found = at_once(6, lambda number: take(job, worker=f"w{number}"))

    winners = [claim for claim in found if claim]
    assert len(winners) == 1
    assert (now_of(job).state, now_of(job).attempt, now_of(job).worker) == ("running", 1, winners[0].worker)


def test_claim_is_refused_before_the_time_and_after_the_end():
    later = make_job(run_after=clock.now() + timedelta(minutes=1))
    done = make_job(state=State.DONE)

    assert take(later, worker="w") is None
    assert take(done, worker="w") is None
    assert lifecycle.claim("00000000-0000-0000-0000-000000000000", worker="w") is None


def test_finish_notes_the_result():
    job = claimed(total=5)

    assert lifecycle.finish(job, {"frames": 5})

    ended = now_of(job)
    assert (ended.state, ended.result, ended.progress_done, ended.percent) == ("done", {"frames": 5}, 5, 100)
    assert ended.finished_at is not None
    assert ended.lease_until is None


def test_straggler_can_end_nothing():
    straggler = claimed()
    MediaJob.objects.update(lease_until=clock.now() - SECOND)
    assert recovery.reap(clock.now()) == 1
    holder = take(straggler, worker="w2")

    assert not lifecycle.renew(straggler, done=1, total=2)
    assert not lifecycle.finish(straggler, {"by": "straggler"})
    assert not lifecycle.fail(straggler, "x", code="x")
    assert not lifecycle.fail(straggler, "x", code="x", is_passing=True)
    assert not lifecycle.end_cancelled(straggler)
    lifecycle.wait(straggler, [])
    lifecycle.remember(straggler, by="straggler")
    assert (now_of(straggler).state, now_of(straggler).worker, now_of(straggler).result) == (
        "running",
        "w2",
        {},
    )
    assert lifecycle.finish(holder, {"by": "w2"})


def test_renew_lengthens_the_lease_and_notes_the_progress():
    job = claimed()
    MediaJob.objects.update(lease_until=clock.now() + SECOND)

    assert lifecycle.renew(job, done=3, total=10)

    renewed = now_of(job)
    assert renewed.lease_until > clock.now() + 50 * SECOND
    assert (renewed.progress_done, renewed.progress_total, renewed.percent) == (3, 10, 30)
    assert recovery.reap(clock.now()) == 0


def test_failure_that_may_pass_is_tried_again_as_its_kind_says_and_not_for_ever():
    job, _ = record()
    waits = []
    for _ in range(4):
        MediaJob.objects.update(run_after=clock.now())
        running = take(job)
        before = clock.now()
        lifecycle.fail(running, "Busy.", code="busy", is_passing=True)
        waits.append((now_of(job).run_after - before).total_seconds())

    for promised, waited in zip((30, 120, 300), waits, strict=False):
        assert promised <= waited <= promised * (1 + JITTER) + 1
    ended = now_of(job)
    assert (ended.state, ended.error, ended.error_code, ended.attempt) == ("failed", "Busy.", "busy", 4)


def test_jobs_that_failed_together_do_not_come_back_together():
    for number in range(20):
        lifecycle.fail(claimed(str(number)), "Busy.", code="busy", is_passing=True)

    moments = sorted(MediaJob.objects.values_list("run_after", flat=True))
    assert (moments[-1] - moments[0]).total_seconds() > 30 * JITTER / 4


def test_failure_is_told_no_sooner_than_the_work_wants():
    job = claimed()
    lifecycle.fail(job, "Full.", code="disk_full", is_passing=True, at_least_s=60)

    assert (now_of(job).run_after - clock.now()).total_seconds() > 55


def test_quiet_job_that_ends_badly_is_told():
    lifecycle.fail(claimed(is_quiet=True), "No.", code="no")

    assert [event.payload["error"] for event in Event.objects.all()] == ["No."]


def test_failure_that_cannot_be_helped_ends_the_job():
    job = claimed()

    lifecycle.fail(job, "No.", code="no")

    assert (now_of(job).state, now_of(job).attempt) == ("failed", 1)


def test_cancel_of_a_queued_job_ends_it():
    job, _ = record()

    assert lifecycle.cancel(job)

    assert now_of(job).state == "cancelled"
    assert take(job, worker="w") is None
    assert not lifecycle.cancel(job)
    assert [event.payload["state"] for event in Event.objects.order_by("pk")] == ["queued", "cancelled"]


def test_cancel_of_a_running_job_asks_it_to_stop():
    job = claimed()

    assert lifecycle.cancel(now_of(job))

    assert now_of(job).state == "running"
    assert not lifecycle.renew(job, done=1, total=2)
    assert lifecycle.end_cancelled(job)
    assert now_of(job).state == "cancelled"


def test_wish_right_after_the_cancel_is_a_new_job_and_the_old_one_still_ends():
    dying = claimed(args={"n": 1})
    lifecycle.cancel(now_of(dying))

    fresh, is_new = record()

    assert (is_new, fresh.pk != dying.pk) == (True, True)
    assert record() == (fresh, False)
    assert not lifecycle.renew(dying, done=1, total=2)
    assert take(fresh, worker="w2")
    assert lifecycle.end_cancelled(dying)
    assert [(now_of(job).state, now_of(job).key) for job in (dying, fresh)] == [
        ("cancelled", "k"),
        ("running", "k"),
    ]
    assert lifecycle.retry(now_of(dying), by="otto") == fresh


def test_worker_of_a_cancelled_job_is_lost_while_the_same_wish_waits():
    dying = claimed()
    lifecycle.cancel(now_of(dying))
    fresh, _ = record()
    MediaJob.objects.filter(pk=dying.pk).update(lease_until=clock.now() - SECOND)

    recovery.reap(clock.now())

    assert [(now_of(job).state, now_of(job).key) for job in (dying, fresh)] == [
        ("cancelled", "k"),
        ("queued", "k"),
    ]


def test_wish_of_many_at_once_right_after_the_cancel_is_one_new_job():
    lifecycle.cancel(now_of(claimed()))

    found = at_once(6, lambda _: record())

    assert len({job.pk for job, _ in found}) == 1
    assert sorted(is_new for _, is_new in found) == [False] * 5 + [True]


def test_cancel_says_who_did_it():
    queued, running = record("queued")[0], claimed("running")
    for job in (queued, running):
        lifecycle.cancel(now_of(job), by="ada")
    lifecycle.end_cancelled(running)

    assert {now_of(job).error for job in (queued, running)} == {"Cancelled by ada."}


def test_cancel_before_a_retry_ends_the_job():
    job = claimed()
    lifecycle.cancel(now_of(job))

    lifecycle.fail(job, "Busy.", code="busy", is_passing=True)

    assert now_of(job).state == "cancelled"


def test_cancel_of_a_lost_job_ends_it_at_the_reaping():
    job = claimed()
    lifecycle.cancel(now_of(job))
    MediaJob.objects.update(lease_until=clock.now() - SECOND)

    recovery.reap(clock.now())

    assert now_of(job).state == "cancelled"


def test_cancel_of_a_waiting_job_takes_what_only_it_waits_for():
    film, (own, shared) = waiting_for("own", "shared")
    waiting_for("shared", key="other film")

    assert lifecycle.cancel(now_of(film))

    assert [now_of(job).state for job in (film, own, shared)] == ["cancelled", "cancelled", "queued"]


def test_cancel_that_comes_before_the_wait_is_not_forgotten():
    film = claimed("film")
    lifecycle.cancel(now_of(film))
    own, shared = record("own")[0], record("shared")[0]
    waiting_for("shared", key="other film")

    lifecycle.wait(film, [own, shared])

    assert [now_of(job).state for job in (film, own, shared)] == ["cancelled", "cancelled", "queued"]


def test_cancel_and_wait_at_once_never_leave_a_job_that_nobody_can_claim():
    for round_ in range(10):
        film = claimed(f"film {round_}")
        need = record(f"need {round_}")[0]
        ask = now_of(film)
        work = [lambda f=film, n=need: lifecycle.wait(f, [n]), lambda a=ask: lifecycle.cancel(a)]
        at_once(2, lambda number, work=work: work[number]())

        assert (now_of(film).state, now_of(need).state) == ("cancelled", "cancelled")


def test_wait_is_over_when_the_last_need_has_ended(broker):
    film, (first, second) = waiting_for("a", "b")
    broker.empty()
    assert now_of(film).state == "waiting"

    finish(first)
    assert now_of(film).state == "waiting"
    lifecycle.fail(take(second, worker="w"), "No.", code="no")

    assert now_of(film).state == "queued"
    assert "capture" in [message.argument for message in broker.messages("capture")]
    again = take(film, worker="w3")
    assert (again.attempt, again.failed_count) == (2, 0)  # the wait was no failed try
    assert not lifecycle.finish(film, {})  # whoever held it before it waited holds it no more


def test_end_of_a_wait_is_told():
    film, (need,) = waiting_for("a")
    Event.objects.all().delete()

    finish(need)

    told = [(event.type, event.payload["state"]) for event in Event.objects.filter(payload__id=str(film.pk))]
    assert told == [("job_queued", "queued")]


def test_wait_for_what_has_ended_is_no_wait():
    film, need = claimed("film"), record("need")[0]
    finish(need)

    lifecycle.wait(film, [need])

    assert now_of(film).state == "queued"


def test_wake_up_is_never_lost_when_the_need_ends_while_the_wait_begins():
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets one writer in at a time: there is no race to lose")
    lost = []
    for round_ in range(40):
        film, need = claimed(f"film {round_}"), claimed(f"need {round_}", worker="w2")
        work = [lambda f=film, n=need: lifecycle.wait(f, [n]), lambda n=need: lifecycle.finish(n, {})]
        at_once(2, lambda number, work=work: work[number]())
        if now_of(film).state != "queued":
            lost.append(round_)

    assert lost == []


def test_two_needs_that_end_at_once_wake_the_film():
    for round_ in range(15):
        film = claimed(f"film {round_}")
        needs = [claimed(f"{round_} {number}", worker="w2") for number in range(3)]
        lifecycle.wait(film, needs)
        at_once(3, lambda number, needs=needs: lifecycle.finish(needs[number], {}))

        assert now_of(film).state == "queued"


def test_need_whose_end_waits_for_an_outer_commit_wakes_the_film_later():
    from django.db import transaction

    film, need = claimed("film"), claimed("need", worker="w2")
    with transaction.atomic():
        lifecycle.finish(need, {})
    lifecycle.wait(film, [need])

    assert now_of(film).state == "queued"


def test_progress_of_a_waiting_job_is_that_of_its_needs():
    film = claimed("film")
    lifecycle.renew(film, done=100, total=160)  # a hundred frames are there already
    needs = [record(name, total=30)[0] for name in ("a", "b")]
    lifecycle.wait(film, needs)
    first, second = (take(need, worker="w2") for need in needs)

    lifecycle.renew(first, done=12, total=30)
    assert now_of(film).progress_done == 112
    lifecycle.finish(first, {})
    assert now_of(film).progress_done == 130
    lifecycle.finish(second, {})
    assert (now_of(film).progress_done, now_of(film).state) == (160, "queued")


def test_quiet_job_emits_nothing():
    job = claimed(is_quiet=True)
    lifecycle.renew(job, done=1, total=2)
    lifecycle.finish(job, {})
    lifecycle.cancel(record("other", is_quiet=True)[0])

    assert not Event.objects.exists()


def test_retry_is_a_new_job_with_the_same_wish():
    job = claimed(args={"camera": 3}, total=4)
    lifecycle.fail(job, "No.", code="no")

    again = lifecycle.retry(now_of(job), by="otto")

    assert again.pk != job.pk
    assert (again.key, again.args, again.requested_by, again.priority) == (
        job.key,
        {"camera": 3},
        "otto",
        MediaJob.Priority.HIGH,
    )
    assert now_of(job).state == "failed"


def test_prune_forgets_the_old_and_the_quiet_that_went_well():
    now = clock.now()
    day = timedelta(days=1)
    make_job(state=State.DONE, finished_at=now - 40 * day)
    make_job(state=State.DONE, finished_at=now - day, is_quiet=True)
    kept = [
        make_job(state=State.FAILED, finished_at=now - day, is_quiet=True, error="x"),
        make_job(state=State.DONE, finished_at=now - day),
        make_job(state=State.QUEUED, requested_at=now - 90 * day),
    ]

    assert housekeeping.prune_jobs(now - 30 * day, quiet_before=now - timedelta(hours=1)) == 2

    assert set(MediaJob.objects.values_list("pk", flat=True)) == {job.pk for job in kept}


def test_eta_and_percent():
    now = clock.now()
    job = make_job(state=State.RUNNING, started_at=now - 10 * SECOND, progress_done=25, progress_total=100)

    assert (job.percent, job.eta_s(now)) == (25, 30)
    job.result = {"had": 20}  # what was there before says nothing about the pace
    assert job.eta_s(now) == 150
    assert make_job().eta_s(now) is None
    assert make_job(state=State.RUNNING, progress_done=9, progress_total=9).percent == 99


def test_finished_need_counts_for_the_job_that_waits_though_it_never_told_its_progress(broker):
    film = claimed("film", total=30)
    needs = [record(name, total=15)[0] for name in ("a", "b")]
    lifecycle.wait(film, needs)
    finish(needs[0])
    assert now_of(film).progress_done == 15


def test_what_a_job_remembers_is_known_to_its_next_claim_and_not_to_the_same_wish_made_anew():
    job = claimed()
    lifecycle.remember(job, until="noon")
    lifecycle.fail(job, "x", code="x", is_passing=True)
    MediaJob.objects.update(run_after=clock.now())

    assert take(job, worker="w2").result == {"until": "noon"}
    MediaJob.objects.filter(pk=job.pk).update(state="failed")
    assert lifecycle.retry(now_of(job), by="ada").result == {}


def test_cancel_all_ends_what_waits_stops_what_runs_and_leaves_others_alone():
    waiting, needs = waiting_for("a", "b", key="film")
    running = claimed("running")
    crowd = lifecycle.record_many(
        ECHO, [Wish(f"quiet {n}", "camera.1", "Quiet", {}) for n in range(30)], queue=QUEUE
    ).jobs
    other, _ = record("other", topic="camera.2")

    assert lifecycle.cancel_all("camera.1", by="ada") == 34

    for job in (waiting, *needs, *crowd):
        assert now_of(job).state == "cancelled"
    assert (now_of(running).state, now_of(running).cancel_requested) == ("running", True)
    assert now_of(other).state == "queued"
    assert {now_of(job).error for job in crowd} == {"Cancelled by ada."}


def test_cancel_all_wakes_those_of_others_who_waited():
    film = claimed("film", topic="camera.2")
    lifecycle.wait(film, [record("need")[0]])

    lifecycle.cancel_all("camera.1")

    assert now_of(film).state == "queued"


def test_cancel_all_and_claims_at_once_leave_nothing_that_goes_on():
    lifecycle.record_many(ECHO, [Wish(str(n), "camera.1", "Quiet", {}) for n in range(60)], queue=QUEUE)

    def work(number):
        if number == 0:
            return lifecycle.cancel_all("camera.1")
        return [lifecycle.claim(QUEUE, worker="w") for _ in range(10)]

    at_once(4, work)
    lifecycle.cancel_all("camera.1")

    left = MediaJob.objects.exclude(state="cancelled")
    assert set(left.values_list("state", "cancel_requested")) <= {("running", True)}
