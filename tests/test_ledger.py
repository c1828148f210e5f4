import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from cameras.models import Camera
from captures import campaign, coverage, ledger, orders, reasons, settlement
from captures.coverage import Coverage
from captures.exceptions import CameraOff, NotRunning
from captures.ledger import StoredPicture
from captures.models import Capture, Gap, Timelapse
from media_jobs import clock
from media_jobs.models import Event, MediaJob
from tests.campaigns import claim, faults, plan_until, running, slots_of
from tests.factories import make_camera, make_capture, make_timelapse

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def owed(**kw):
    now = clock.now()
    return make_capture(**{"slot": now, "give_up_at": now + 30 * SECOND} | kw)


def picture(name="cameras/1/x.jpg"):
    return StoredPicture(
        file=name,
        bytes=1234,
        width=640,
        height=480,
        codec="mjpeg",
        checksum="ab" * 32,
        taken_at=clock.now(),
    )


def claimed(**kw):
    return claim(owed(**kw).pk, worker="w1")


def test_claim_takes_an_owed_capture_once():
    capture = owed()

    first = claim(capture.pk, worker="w1")
    second = claim(capture.pk, worker="w2")

    assert (first.worker, first.attempt, second) == ("w1", 1, None)
    first.refresh_from_db()
    assert first.lease_until > clock.now()


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "stored", "bytes": 1, "file": "f", "checksum": "c"},
        {"state": "missed", "reason": "no_worker"},
        {"state": "skipped", "reason": "timelapse_paused"},
        {"give_up_at": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
)
def test_claim_leaves_what_is_settled_or_too_late(fields):
    capture = owed(**fields)

    assert claim(capture.pk, worker="w") is None
    capture.refresh_from_db()
    assert capture.attempt == 0


def test_claim_takes_over_when_the_lease_has_run_out():
    capture = claimed()
    Capture.objects.update(lease_until=clock.now() - SECOND)

    again = claim(capture.pk, worker="w2")

    assert (again.attempt, again.worker) == (2, "w2")
    assert not ledger.store(capture, picture("straggler.jpg"))
    assert not ledger.fail(capture, "unexpected")
    assert not ledger.miss(capture, "camera_busy")
    assert ledger.store(again, picture("second.jpg"))
    again.refresh_from_db()
    assert (again.state, again.file) == ("stored", "second.jpg")


def test_store_writes_row_counters_event_and_thumbnail_job():
    capture = claimed(timelapse=running())

    assert ledger.store(capture, picture())

    capture.refresh_from_db()
    timelapse = Timelapse.objects.select_related("camera").get(pk=capture.timelapse_id)
    job = MediaJob.objects.get(task="captures.make_thumbnails")
    event = Event.objects.get(type="capture_stored")
    assert (capture.state, capture.width, capture.height, capture.bytes) == ("stored", 640, 480, 1234)
    assert (timelapse.image_count, timelapse.camera.image_count) == (1, 1)
    assert timelapse.latest_capture_id == capture.pk
    assert timelapse.camera.health == "online"
    assert (job.args, job.is_quiet) == ({"capture": capture.pk}, True)
    assert event.topic == timelapse.topic
    assert event.payload["image_count"] == event.payload["camera_image_count"] == 1
    assert event.payload["capture"] == capture.pk


def test_older_picture_stored_later_is_not_the_latest():
    timelapse = running()
    now = clock.now()
    old = claimed(timelapse=timelapse, slot=now - 10 * SECOND)
    new = claimed(timelapse=timelapse, slot=now)
    ledger.store(new, picture("new.jpg"))

    ledger.store(old, picture("old.jpg"))

    timelapse.refresh_from_db()
    assert (timelapse.latest_capture_id, timelapse.image_count) == (new.pk, 2)


def test_total_of_the_camera_goes_on_over_timelapses():
    first = running()
    ledger.store(claimed(timelapse=first), picture("1.jpg"))
    second = make_timelapse(camera=first.camera)
    campaign.start(second, by="otto", complete_active=True)

    ledger.store(claimed(timelapse=second), picture("2.jpg"))

    second.refresh_from_db()
    first.camera.refresh_from_db()
    assert (second.image_count, first.camera.image_count) == (1, 2)


def test_fail_and_miss_say_why_in_row_and_event():
    failed, missed = claimed(), claimed()

    ledger.fail(failed, "login_refused", "The camera did not accept it.")
    ledger.miss(missed, "camera_busy")

    failed.refresh_from_db()
    missed.refresh_from_db()
    assert (failed.state, failed.reason, failed.detail) == (
        "failed",
        "login_refused",
        "The camera did not accept it.",
    )
    assert (missed.state, missed.reason, missed.detail) == (
        "missed",
        "camera_busy",
        reasons.REASONS["camera_busy"],
    )
    messages = {event.type: event.payload["message"] for event in Event.objects.all()}
    assert messages == {
        "capture_failed": "The camera did not accept it.",
        "capture_missed": reasons.REASONS["camera_busy"],
    }


def test_database_refuses_a_loss_without_reason_and_a_picture_without_file():
    for fields in ({"state": "missed"}, {"state": "stored"}, {"state": "stored", "file": "x", "bytes": 1}):
        with pytest.raises(IntegrityError), transaction.atomic():
            owed(**fields)


@pytest.mark.django_db(transaction=True)
def test_request_capture_is_a_slot_of_this_instant_and_is_sent(broker):
    timelapse = running(interval_s=3600)
    before = clock.now()

    capture = orders.request_capture(timelapse, by="otto")

    assert before <= capture.slot <= clock.now()
    assert (capture.origin, capture.requested_by, capture.state) == ("person", "otto", "owed")
    message = broker.messages("capture")[0]
    assert (message.task, message.argument, message.expires) == (
        "captures.take",
        capture.pk,
        capture.give_up_at + 60 * SECOND,
    )
    assert faults(timelapse) == []


@pytest.mark.parametrize("move", [None, campaign.pause, campaign.complete])
def test_request_capture_needs_a_running_timelapse(move):
    timelapse = running() if move else make_timelapse()
    if move:
        move(timelapse, by="otto")

    with pytest.raises(NotRunning):
        orders.request_capture(timelapse, by="otto")

    assert not timelapse.captures.exists()


def test_request_capture_goes_by_the_row_and_not_by_a_stale_object():
    timelapse = running()
    stale = Timelapse.objects.get(pk=timelapse.pk)
    campaign.pause(timelapse, by="otto")

    with pytest.raises(NotRunning):
        orders.request_capture(stale, by="vera")

    assert not timelapse.captures.exists()


def test_request_capture_of_a_camera_that_is_switched_off_is_refused():
    timelapse = running()
    Camera.objects.update(is_enabled=False)

    with pytest.raises(CameraOff):
        orders.request_capture(timelapse, by="otto")

    assert not timelapse.captures.exists()


@pytest.mark.django_db(transaction=True)
def test_sweep_gives_up_what_is_too_late_and_says_who_was_to_blame(broker):
    now = clock.now()
    late = {"slot": now - 60 * SECOND, "give_up_at": now - SECOND}
    timelapse = running()
    unsent = owed(**late, timelapse=timelapse)
    sent = owed(**late | {"slot": now - 61 * SECOND}, sent_at=now - 60 * SECOND, timelapse=timelapse)
    lost = owed(
        **late | {"slot": now - 62 * SECOND},
        sent_at=now,
        lease_until=now - SECOND,
        attempt=1,
        worker="w",
        timelapse=timelapse,
    )
    at_work = owed(
        **late | {"slot": now - 63 * SECOND},
        sent_at=now,
        lease_until=now + 60 * SECOND,
        attempt=1,
        timelapse=timelapse,
    )

    assert settlement.sweep(now) == (3, 0)

    reasons = {
        capture.pk: (capture.state, capture.reason) for capture in Capture.objects.filter(timelapse=timelapse)
    }
    assert reasons == {
        unsent.pk: ("missed", "not_sent_in_time"),
        sent.pk: ("missed", "no_worker"),
        lost.pk: ("failed", "worker_lost"),
        at_work.pk: ("owed", ""),
    }
    assert broker.messages("capture") == []


def test_sweep_gives_up_many_with_one_event_for_each_timelapse_and_reason(monkeypatch):
    monkeypatch.setattr(settlement, "BATCH", 7)
    now = clock.now()
    timelapses = [running(interval_s=3600) for _ in range(3)]
    for timelapse in timelapses:
        for k in range(1, 9):
            late = {"timelapse": timelapse, "slot": now - k * 60 * SECOND, "give_up_at": now - SECOND}
            owed(**late, sent_at=None if k == 8 else now)
    newest = [timelapse.captures.order_by("slot").last() for timelapse in timelapses]

    with CaptureQueriesContext(connection) as queries:
        assert settlement.sweep(now) == (24, 0)

    assert set(Capture.objects.values_list("state", "reason", "detail")) == {
        ("missed", reason, reasons.REASONS[reason]) for reason in ("no_worker", "not_sent_in_time")
    }
    assert len([query for query in queries if query["sql"].startswith("UPDATE")]) <= 5
    events = Event.objects.filter(type="capture_missed")
    counts = Counter()
    for event in events:
        counts[event.topic, event.payload["reason"]] += event.payload.get("count", 1)
    assert counts == Counter(
        {(timelapse.topic, "no_worker"): 7 for timelapse in timelapses}
        | {(timelapse.topic, "not_sent_in_time"): 1 for timelapse in timelapses}
    )
    several = events.get(topic=timelapses[0].topic, payload__reason="no_worker")
    assert several.payload == {
        "capture": newest[0].pk,
        "timelapse": timelapses[0].pk,
        "camera": timelapses[0].camera_id,
        "slot": newest[0].slot.isoformat(),
        "reason": "no_worker",
        "message": reasons.REASONS["no_worker"],
        "count": 7,
        "from": (now - 7 * 60 * SECOND).isoformat(),
    }


def test_account_writes_the_newest_slots_first_and_shrinks_the_gap_from_its_end():
    timelapse = running(interval_s=10)
    schedule = timelapse.schedules.get()
    first = schedule.timetable.first_from(schedule.from_at - timedelta(hours=1))
    slots = [first + k * 10 * SECOND for k in range(10)]
    schedule.from_at = first
    schedule.save()
    Timelapse.objects.update(next_slot_at=slots[-1] + 10 * SECOND)
    Gap.objects.create(
        timelapse=timelapse,
        schedule=schedule,
        from_at=first,
        until_at=slots[-1] + SECOND,
        reason="scheduler_was_down",
    )

    assert settlement.account(batch=3, limit=4) == 4

    assert slots_of(timelapse) == slots[6:]
    assert (Gap.objects.get().from_at, Gap.objects.get().until_at) == (first, slots[6])
    assert faults(timelapse) == []
    assert settlement.account(batch=3) == 6
    assert slots_of(timelapse) == slots
    assert not Gap.objects.exists()
    assert faults(timelapse) == []


@pytest.mark.django_db(transaction=True)
def test_sweep_sends_again_what_was_lost_within_its_grace(broker):
    now = clock.now()
    timelapse = running()
    kept = {"timelapse": timelapse, "give_up_at": now + 20 * SECOND}
    unsent = owed(**kept, slot=now - 5 * SECOND)
    lost = owed(**kept, slot=now - 4 * SECOND, sent_at=now - 4 * SECOND)
    abandoned = owed(
        **kept, slot=now - 3 * SECOND, sent_at=now - 4 * SECOND, lease_until=now - SECOND, attempt=1
    )
    owed(**kept, slot=now - 2 * SECOND, sent_at=now - SECOND)  # just sent
    owed(**kept, slot=now - 9 * SECOND, sent_at=now - 9 * SECOND, lease_until=now + SECOND)  # at work
    owed(**kept, slot=now + SECOND)  # not due

    assert settlement.sweep(now) == (0, 3)

    messages = broker.messages("capture")
    assert [message.argument for message in messages] == [unsent.pk, lost.pk, abandoned.pk]
    assert {message.expires for message in messages} == {kept["give_up_at"] + 60 * SECOND}
    unsent.refresh_from_db()
    assert unsent.sent_at == now


def test_release_ends_the_leases_of_a_former_process():
    mine, other = claimed(), owed()
    claim(other.pk, worker="w2")

    assert settlement.release("w1") == 1

    assert claim(mine.pk, worker="w1").attempt == 2
    assert claim(other.pk, worker="w1") is None


def test_coverage_adds_up_rows_and_gaps():
    timelapse = running(interval_s=10)
    start = timelapse.schedules.get().timetable.first_from(clock.now() - timedelta(hours=2))
    slots = [start + k * 10 * SECOND for k in range(10)]
    for slot in slots[:4]:
        ledger.store(claimed(timelapse=timelapse, slot=slot), picture(f"{slot}.jpg"))
    ledger.fail(claimed(timelapse=timelapse, slot=slots[4]), "login_refused", "x")
    ledger.miss(claimed(timelapse=timelapse, slot=slots[5]), "no_worker")
    owed(timelapse=timelapse, slot=slots[6])
    owed(timelapse=timelapse, slot=slots[7], state="skipped", reason="timelapse_paused")
    Gap.objects.create(
        timelapse=timelapse,
        schedule=timelapse.schedules.get(),
        from_at=slots[8],
        until_at=slots[9] + 50 * SECOND,
        reason="scheduler_was_down",
    )

    found = coverage.coverage(timelapse, start, slots[9] + SECOND)

    assert found == Coverage(
        owed_total=10,
        stored=4,
        failed=1,
        missed=3,
        skipped=1,
        pending=1,
        reasons={"scheduler_was_down": 2, "login_refused": 1, "no_worker": 1, "timelapse_paused": 1},
    )
    assert found.ratio == pytest.approx(4 / 8)  # what is skipped on purpose lowers nothing
    settlement.account()
    assert coverage.coverage(timelapse, start, slots[9] + SECOND) == found
    assert coverage.coverage(timelapse, slots[1], slots[3]).owed_total == 2


def test_coverage_of_nothing_is_whole():
    timelapse = running()
    assert coverage.coverage(timelapse, clock.now(), clock.now()).ratio == 1


def test_a_cameras_counter_is_the_sum_of_its_timelapses():
    whole, wrong = make_camera(image_count=5), make_camera(name="Yard", image_count=4)
    for camera in (whole, wrong):
        for count in (2, 3):
            make_timelapse(camera=camera, image_count=count)
    make_camera()

    (fault,) = coverage.faults_of_cameras()

    assert "“Yard”: its timelapses have 5 pictures, its counter says 4" in fault
    Timelapse.objects.update(image_count=0)  # so that they have no faults of their own
    Camera.objects.exclude(pk=wrong.pk).update(image_count=0)
    with pytest.raises(CommandError, match="1 faults"):
        call_command("check_ledger", stdout=StringIO())


def test_faults_finds_a_row_that_is_gone_and_a_counter_that_is_wrong():
    timelapse = running(interval_s=1)
    plan_until(clock.now() + 5 * SECOND)
    assert faults(timelapse) == []

    timelapse.captures.first().delete()
    assert len(faults(timelapse)) == 1
    Timelapse.objects.update(image_count=7)
    assert len(faults(timelapse)) == 2
    assert len(faults(timelapse, clock.now() + timedelta(hours=1))) == 3


def test_every_reason_has_words_of_its_own():
    assert len(set(reasons.REASONS.values())) == len(reasons.REASONS)
    assert reasons.words_of("camera_refused") == "Camera refused."


def test_stores_at_once_count_each_picture(transactional_db):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite lets one writer in at a time: there is no race to lose")
    timelapse = running()
    now = clock.now()
    captures = [claimed(timelapse=timelapse, slot=now - k * SECOND) for k in range(8)]
    gate = threading.Barrier(len(captures))

    def store(capture):
        gate.wait()
        try:
            ledger.store(capture, picture(f"{capture.pk}.jpg"))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=store, args=(capture,)) for capture in captures]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    timelapse.refresh_from_db()
    timelapse.camera.refresh_from_db()
    assert (timelapse.image_count, timelapse.camera.image_count) == (8, 8)
    assert timelapse.latest_capture_id == captures[0].pk
