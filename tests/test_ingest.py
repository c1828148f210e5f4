import asyncio
import hashlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import islice

import pytest
import time_machine
from django.db import DataError, connection, connections
from PIL import Image

from cameras import seats
from captures import coverage, dispatch, filing, ingest, reasons, settlement
from captures.models import Capture, Timelapse
from media_jobs import clock, files
from media_jobs.models import Event, MediaJob
from tests.campaigns import claim, faults, running
from tests.factories import make_camera, make_capture, make_timelapse
from tests.misbehaving_cameras import closed_port, http_routes, make_picture
from timelapser.demo.background import InBackground
from timelapser.demo.feed import Feed
from timelapser.demo.http_camera import HttpCamera, send_answer
from timelapser.demo.login import Login
from timelapser.demo.rtsp_server import Mount, RtspServer
from timelapser.demo.scene import Scene
from timelapser.queues import POOLS

pytestmark = pytest.mark.django_db(transaction=True)
SECOND = timedelta(seconds=1)
JPEG = make_picture(Scene(160, 120), datetime(2026, 5, 4, 12, tzinfo=UTC))


@pytest.fixture(scope="module")
def server():
    """A real snapshot camera, with misbehaving paths, and /fixed.jpg that always gives the same bytes."""
    scene = Scene(320, 240)
    camera = HttpCamera(scene)
    http_routes(camera, make_picture(scene, datetime(2026, 5, 4, 12, tzinfo=UTC)))

    async def fixed(request, writer):
        await send_answer(writer, 200, JPEG, "image/jpeg")

    camera.routes["/fixed.jpg"] = fixed
    with InBackground(camera):
        yield camera


@pytest.fixture(autouse=True)
def _loopback(settings):
    settings.ALLOW_LOOPBACK_CAMERAS = True
    settings.MIN_FREE_BYTES = 0


def owed(address, *, timelapse=None, slot=None, **kw):
    timelapse = timelapse or running(
        camera=make_camera(
            kind=kw.pop("kind", "http"), address=address, deadline_s=2, connect_timeout_s=1, **kw
        ),
        interval_s=3600,
    )
    slot = slot or clock.now()
    return make_capture(timelapse=timelapse, slot=slot, give_up_at=clock.now() + 30 * SECOND, origin="person")


def taken(capture):
    ingest.take(capture.pk, worker="w1")
    capture.refresh_from_db()
    return capture


def everything_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_take_stores_the_cameras_own_bytes_and_every_fact(server, settings):
    slot = clock.now() - 2 * SECOND
    capture = taken(owed(server.address("/fixed.jpg"), slot=slot))

    assert (capture.state, capture.reason) == ("stored", "")
    assert files.read(capture.file) == JPEG
    assert capture.checksum == hashlib.sha256(JPEG).hexdigest()
    assert (capture.width, capture.height, capture.bytes, capture.codec) == (160, 120, len(JPEG), "mjpeg")
    assert slot < capture.taken_at <= clock.now() + SECOND
    assert 2000 <= capture.lateness_ms < 60_000
    assert capture.duration_ms >= 0
    assert (capture.worker, capture.attempt, capture.day_number) == ("w1", 1, 1)
    assert capture.lease_until is None
    assert everything_in(settings.MEDIA_ROOT) == [settings.MEDIA_ROOT / capture.file]
    timelapse = Timelapse.objects.select_related("camera").get()
    assert (timelapse.image_count, timelapse.camera.image_count, timelapse.latest_capture_id) == (
        1,
        1,
        capture.pk,
    )
    assert (timelapse.camera.health, timelapse.camera.last_success_at is not None) == ("online", True)
    assert MediaJob.objects.get().args == {"capture": capture.pk}
    assert faults(timelapse) == []


def test_file_lies_below_its_timelapse_in_the_folder_of_its_local_day():
    timelapse = make_timelapse(time_zone="Asia/Tokyo")
    slot = datetime(2026, 5, 4, 15, 30, 0, 250_000, tzinfo=UTC)
    capture = make_capture(timelapse=timelapse, slot=slot, attempt=1)
    folder = f"cameras/{timelapse.camera_id}/timelapses/{timelapse.pk}/frames/2026-05-05"
    name = f"{folder}/20260504T153000.250000Z_{capture.pk}"

    assert filing.frame_name(capture, "jpg") == f"{name}.jpg"
    capture.attempt = 2
    assert filing.frame_name(capture, "png") == f"{name}-2.png"


def test_take_of_png_keeps_png(server):
    capture = taken(owed(server.address("/snapshot.png")))

    assert capture.file.endswith(".png")
    assert Image.open(BytesIO(files.read(capture.file))).size == (320, 240) == (capture.width, capture.height)


def test_take_from_rtsp_encodes_once():
    server = RtspServer({"/live": Mount(Feed(Scene(320, 240)))})
    with InBackground(server):
        capture = taken(owed(server.address("/live"), kind="rtsp"))

    assert (capture.state, capture.codec, capture.width, capture.height) == ("stored", "h264", 320, 240)
    assert Image.open(BytesIO(files.read(capture.file))).format == "JPEG"


def test_message_that_comes_twice_takes_one_picture(server, settings):
    capture = owed(server.address("/fixed.jpg"))

    for _ in range(3):
        taken(capture)

    assert (capture.attempt, Timelapse.objects.get().image_count) == (1, 1)
    assert len(everything_in(settings.MEDIA_ROOT)) == 1


def test_message_that_comes_too_late_takes_nothing(server):
    capture = owed(server.address("/fixed.jpg"))
    Capture.objects.update(give_up_at=clock.now() - SECOND)

    assert (taken(capture).state, capture.attempt) == ("owed", 0)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/nothing-here", "not_found"),
        ("/html", "not_a_picture"),
        ("/drip", "read_timed_out"),
        ("/to-metadata", "address_refused"),
    ],
)
def test_fault_of_the_camera_is_a_failed_capture_with_code_and_words(server, settings, path, code):
    capture = taken(owed(server.address(path)))

    camera = capture.timelapse.camera
    camera.refresh_from_db()
    event = Event.objects.get(type="capture_failed")
    assert (capture.state, capture.reason) == ("failed", code)
    assert len(capture.detail) > 20
    assert (event.payload["reason"], event.payload["message"]) == (code, capture.detail)
    assert (camera.health, camera.last_error_code, camera.consecutive_failures) == ("degraded", code, 1)
    assert everything_in(settings.MEDIA_ROOT) == []
    assert capture.duration_ms is not None


def test_camera_that_is_away_and_comes_back(server):
    timelapse = running(camera=make_camera(kind="http", address=server.address("/fixed.jpg")))
    with closed_port() as port:
        timelapse.camera.address = f"http://127.0.0.1:{port}/x.jpg"
        timelapse.camera.save()
        for _ in range(5):
            assert taken(owed("", timelapse=timelapse)).reason == "camera_refused"
    timelapse.camera.refresh_from_db()
    assert timelapse.camera.health == "offline"
    timelapse.camera.address = server.address("/fixed.jpg")
    timelapse.camera.save()

    assert taken(owed("", timelapse=timelapse)).state == "stored"

    timelapse.camera.refresh_from_db()
    assert (timelapse.camera.health, timelapse.camera.consecutive_failures) == ("online", 0)
    changes = [
        event.payload["health"] for event in Event.objects.filter(type="camera_health_changed").order_by("id")
    ]
    assert changes == ["degraded", "offline", "online"]


def test_login_is_used_and_a_wrong_one_is_refused():
    camera = HttpCamera(Scene(320, 240), login=Login("eve", "geheim"))
    with InBackground(camera):
        right = owed(camera.address("/snapshot.jpg"), username="eve", password="geheim")
        wrong = owed(camera.address("/snapshot.jpg"), username="eve", password="falsch")

        assert taken(right).state == "stored"
        assert taken(wrong).reason == "login_refused"
    assert "falsch" not in wrong.detail


def test_password_that_was_sealed_with_another_key(server, settings):
    capture = owed(server.address("/fixed.jpg"), username="eve", password="geheim")
    settings.SEALING_KEYS = ["YW5vdGhlciBrZXkgZm9yIHRoZSB0ZXN0cyBvbmx5ISE="]

    assert (taken(capture).state, capture.reason) == ("failed", "password_unreadable")
    assert capture.detail == reasons.REASONS["password_unreadable"]


def test_folder_that_cannot_be_written(server, settings):
    settings.MEDIA_ROOT.mkdir()
    (settings.MEDIA_ROOT / "cameras").write_text("a file where a folder should be")

    capture = taken(owed(server.address("/fixed.jpg")))

    assert (capture.state, capture.reason) == ("failed", "storage_unwritable")
    assert [path.name for path in everything_in(settings.MEDIA_ROOT)] == ["cameras"]


def test_disk_that_is_full(server, settings):
    settings.MIN_FREE_BYTES = 2**60

    capture = taken(owed(server.address("/fixed.jpg")))

    assert (capture.state, capture.reason) == ("failed", "disk_full")
    assert "MB are free" in capture.detail
    assert everything_in(settings.MEDIA_ROOT) == []
    capture.timelapse.camera.refresh_from_db()
    assert capture.timelapse.camera.health == "unknown"  # not the camera's fault


def test_straggler_removes_its_own_file_and_no_other(settings):
    """The first worker's camera answers only when the second one has stored its picture."""
    answer_now, first_asked = threading.Event(), threading.Event()
    asked = []

    async def slow_once(request, writer):
        asked.append(1)
        if len(asked) == 1:
            first_asked.set()
            await asyncio.to_thread(answer_now.wait, 20)
        await send_answer(writer, 200, JPEG, "image/jpeg")

    camera = HttpCamera(Scene(64, 64))
    camera.routes["/slow.jpg"] = slow_once
    with InBackground(camera):
        capture = owed(camera.address("/slow.jpg"))
        capture.timelapse.camera.deadline_s = 30
        capture.timelapse.camera.save()
        straggler = threading.Thread(target=_take_in_thread, args=(capture.pk,))
        straggler.start()
        assert first_asked.wait(20)
        Capture.objects.update(lease_until=clock.now() - SECOND)
        taken(capture)
        answer_now.set()
        straggler.join(30)

    capture.refresh_from_db()
    assert (capture.state, capture.attempt, len(asked)) == ("stored", 2, 2)
    assert everything_in(settings.MEDIA_ROOT) == [settings.MEDIA_ROOT / capture.file]
    assert files.read(capture.file) == JPEG
    assert Timelapse.objects.get().image_count == 1


def _take_in_thread(pk):
    try:
        ingest.take(pk, worker="straggler")
    finally:
        connections.close_all()


def test_seats_of_one_host_are_counted_and_forgotten(settings):
    settings.CAPTURES_PER_HOST = 2
    host = "rtsp://seats-test.example/"
    with (
        seats.seat(host + "1") as first,
        seats.seat(host + "2") as second,
        seats.seat(host + "3") as third,
        seats.seat("rtsp://other.example/") as other,
    ):
        assert (first, second, third, other) == (True, True, False, True)
        assert seats.taken() == {"seats-test.example": 2, "other.example": 1}
    with seats.seat(host) as again:
        assert again
    assert seats.taken() == {}


def test_busy_host_turns_a_capture_away_unclaimed_and_it_is_sent_again(server, settings, broker):
    settings.CAPTURES_PER_HOST = 1
    capture = owed(server.address("/fixed.jpg"))
    Capture.objects.update(sent_at=clock.now())
    with seats.seat(capture.timelapse.camera.address) as is_seated:
        assert is_seated
        taken(capture)

    assert (capture.state, capture.reason, capture.attempt) == ("owed", "camera_busy", 0)
    assert (capture.sent_at, capture.lease_until) == (None, None)
    assert coverage.coverage(capture.timelapse, capture.slot, clock.now()).reasons == {}
    dispatch.plan()
    assert capture.pk in {message.argument for message in broker.messages("capture")}
    assert taken(capture).state == "stored"
    assert (capture.reason, capture.attempt, capture.sent_at is not None) == ("", 1, True)


def test_busy_host_is_a_missed_capture_with_its_reason_once_the_grace_has_passed(server, settings):
    settings.CAPTURES_PER_HOST = 1
    capture = owed(server.address("/fixed.jpg"))
    with seats.seat(capture.timelapse.camera.address):
        taken(capture)

    settlement.sweep(capture.give_up_at + SECOND)

    capture.refresh_from_db()
    assert (capture.state, capture.reason, capture.detail) == (
        "missed",
        "camera_busy",
        reasons.REASONS["camera_busy"],
    )


def test_message_that_comes_twice_leaves_alone_what_is_being_taken(server, settings):
    settings.CAPTURES_PER_HOST = 1
    capture = owed(server.address("/fixed.jpg"))
    claimed = claim(capture.pk, worker="w0")
    with seats.seat(claimed.timelapse.camera.address):
        taken(capture)

    assert (capture.reason, capture.worker, capture.lease_until is not None) == ("", "w0", True)


def test_dead_recorder_starves_no_healthy_camera(server, settings):
    """As many captures behind one silent host as the pool has threads, then a camera that is well."""
    silent = socket.create_server(("127.0.0.2", 0), backlog=64)  # accepts, and never says a word
    with (
        ThreadPoolExecutor(POOLS["capture"].concurrency) as pool,
        silent,
    ):  # closed first, which ends the wait
        address = "http://127.0.0.2:{}/{}.jpg"
        dead = [owed(address.format(silent.getsockname()[1], number)) for number in range(24)]
        well = owed(server.address("/fixed.jpg"))
        for camera in [capture.timelapse.camera for capture in dead]:
            camera.deadline_s = camera.connect_timeout_s = 30
            camera.save()
        waits = [pool.submit(_take_in_thread, capture.pk) for capture in dead]
        pool.submit(_take_in_thread, well.pk).result(timeout=20)
        turned_away = list(islice(as_completed(waits, timeout=20), len(dead) - settings.CAPTURES_PER_HOST))
        assert [wait.exception() for wait in turned_away if wait.exception()] == []
        well.refresh_from_db()
        assert well.state == "stored"
        assert Capture.objects.filter(reason="camera_busy", state="owed").count() == len(turned_away)


def test_take_keeps_no_file_where_the_row_could_not_be_written(server, settings):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite's integers do not overflow, which is how the row is made to fail here")
    capture = owed(server.address("/fixed.jpg"))
    Timelapse.objects.update(image_count=2**31 - 1)

    with pytest.raises(DataError):
        ingest.take(capture.pk, worker="w1")

    capture.refresh_from_db()
    assert (capture.state, capture.reason) == ("failed", "unexpected")
    assert everything_in(settings.MEDIA_ROOT) == []


def test_picture_is_dated_by_the_databases_clock_where_the_machines_is_wrong(server):
    with time_machine.travel(clock.now() + timedelta(hours=1), tick=True):
        capture = taken(owed(server.address("/fixed.jpg"), slot=clock.now() - SECOND))

        assert capture.state == "stored"
        assert abs(capture.taken_at - clock.now()) < timedelta(minutes=1)
