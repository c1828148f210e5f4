"""Sites: whatever touches a camera waits in its site's queue; and asking cameras how they are."""

import contextlib
import socket
import time
from datetime import timedelta

import pytest

from cameras import connection, health, probing, seats
from cameras.models import Camera, Site
from captures import dispatch, orders, settlement
from captures.models import Capture
from media_jobs import clock, workers
from media_jobs.models import MediaJob
from media_jobs.tracked import Running
from tests.campaigns import running
from tests.factories import make_camera, make_capture, make_jpeg
from timelapser.queues import POOLS, capture_queue, site_pool, worker_command

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def garden(db):
    return Site.objects.create(name="Garden", slug="garden")


@pytest.fixture
def folder(settings, tmp_path):
    """A folder that cameras may read."""
    settings.CAMERA_FOLDERS = [tmp_path]
    return tmp_path


def heard(camera, *, success_ago=None, failure_ago=None, **fields):
    now = clock.now()
    times = {
        "last_success_at": None if success_ago is None else now - success_ago,
        "last_failure_at": None if failure_ago is None else now - failure_ago,
    }
    Camera.objects.filter(pk=camera.pk).update(**times, **fields)
    return camera


def probe_job():
    return MediaJob.objects.get(task="cameras.ask")


# --- where work waits -----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_slots_of_a_site_s_camera_are_sent_to_its_workers_alone(broker, garden):
    here, there = running(), running(camera=make_camera(site=garden))
    now = clock.now()
    ours, theirs = (
        make_capture(timelapse=timelapse, slot=now - timedelta(seconds=1), give_up_at=now + MINUTE)
        for timelapse in (here, there)
    )

    dispatch.plan()

    assert ours.pk in [message.argument for message in broker.messages("capture")]
    assert theirs.pk in [message.argument for message in broker.messages("capture.garden")]
    assert theirs.pk not in [message.argument for message in broker.messages("capture")]


@pytest.mark.django_db(transaction=True)
def test_what_was_lost_is_sent_again_to_the_site(broker, garden):
    now = clock.now()
    capture = make_capture(
        timelapse=running(camera=make_camera(site=garden)),
        slot=now - timedelta(seconds=5),
        give_up_at=now + MINUTE,
        sent_at=now - timedelta(seconds=5),
    )

    settlement.sweep(now)

    assert capture.pk in [message.argument for message in broker.messages("capture.garden")]
    assert broker.messages("capture") == []


@pytest.mark.django_db(transaction=True)
def test_capture_now_goes_to_the_site(broker, garden):
    capture = orders.request_capture(running(camera=make_camera(site=garden)), by="otto")

    assert [message.argument for message in broker.messages("capture.garden")] == [capture.pk]


def test_a_camera_that_moves_to_a_site_is_taken_there_from_the_next_slot_on(garden):
    timelapse = running()
    Camera.objects.filter(pk=timelapse.camera_id).update(site=garden)
    now = clock.now()
    capture = make_capture(timelapse=timelapse, slot=now, give_up_at=now + MINUTE)

    orders = dispatch._unsent(now + MINUTE, now, after=0)

    assert [order.site for order in orders if order.capture_id == capture.pk] == ["garden"]


def test_tests_of_a_site_s_camera_wait_for_its_workers(garden):
    values = {"kind": "http", "address": "http://192.0.2.1/a.jpg", "transport": "tcp", "username": ""}
    values |= {"password": "", "verify_tls": True, "connect_timeout_s": 1, "deadline_s": 2, "by": "ada"}

    saved = connection.request_camera_test(make_camera(site=garden), by="ada")
    unsaved = connection.request_test(**values, site=garden)
    elsewhere = connection.request_test(**values)

    assert [job.queue for job in (saved, unsaved, elsewhere)] == [
        "capture.garden",
        "capture.garden",
        "capture",
    ]


def test_a_site_s_workers_serve_its_queue_and_no_other():
    command = worker_command(site_pool("garden"))

    assert command[command.index("--queues") + 1] == capture_queue("garden") == "capture.garden"
    assert command[command.index("--hostname") + 1] == "capture.garden@%h"
    assert command[command.index("--concurrency") + 1] == str(POOLS["capture"].concurrency)


# --- in the API, the admin and the form -----------------------------------------------------------------------------


def test_sites_are_made_and_named_in_the_api(api, admin):
    client = api(admin)
    made = client.post("/api/v1/sites/", {"name": "Garden", "slug": "garden"}).json()
    camera = make_camera()

    answer = client.patch(
        f"/api/v1/cameras/{camera.pk}/", {"site": made["id"], "latitude": 48.2, "longitude": 16.4}
    )

    assert made["capture_queue"] == "capture.garden"
    assert (answer.status_code, answer.json()["site"]) == (200, made["id"])
    assert client.patch(f"/api/v1/sites/{made['id']}/", {"slug": "other"}).json()["errors"].keys() == {"slug"}
    assert client.delete(f"/api/v1/sites/{made['id']}/").json()["code"] == "site_in_use"
    client.patch(f"/api/v1/cameras/{camera.pk}/", {"site": None})
    assert client.delete(f"/api/v1/sites/{made['id']}/").status_code == 204


@pytest.mark.parametrize("given", [{"latitude": 48.2}, {"longitude": 16.4}, {"latitude": 91, "longitude": 0}])
def test_half_a_place_is_refused(api, admin, given):
    camera = make_camera()

    assert api(admin).patch(f"/api/v1/cameras/{camera.pk}/", given).status_code == 400
    camera.refresh_from_db()
    assert (camera.latitude, camera.longitude) == (None, None)


def test_the_form_has_the_place_and_the_site_where_there_are_some(pages, admin, garden):
    camera = make_camera(kind="http", address="http://192.0.2.1/a.jpg")
    browser, address = pages(admin), f"/cameras/{camera.pk}/edit/"
    form = {"name": "x", "kind": "http", "address": camera.address, "transport": "tcp"}
    form |= {"connect_timeout_s": "5", "deadline_s": "10", "is_enabled": "on", "site": garden.pk}

    half = browser.post(address, form | {"latitude": "48.2"})
    whole = browser.post(address, form | {"latitude": "48.2", "longitude": "16.4"})

    assert "A place is a latitude and a longitude." in half.content.decode()
    assert whole.status_code == 302
    camera.refresh_from_db()
    assert (camera.site, camera.latitude, camera.longitude) == (garden, 48.2, 16.4)
    assert 'name="site"' in browser.get(address).content.decode()


# --- asking cameras ---------------------------------------------------------------------------------------------


def test_cameras_that_no_capture_has_heard_of_are_due():
    fresh = make_camera()
    long_ago = heard(make_camera(), success_ago=6 * MINUTE, health="online")
    heard(make_camera(), success_ago=MINUTE, health="online")  # a running timelapse tells of it
    failing = heard(make_camera(), success_ago=9 * MINUTE, failure_ago=MINUTE, health="degraded")
    now = clock.now()
    heard(make_camera(), failure_ago=MINUTE, health="offline", probe_after=now + MINUTE)
    gone = heard(make_camera(), failure_ago=11 * MINUTE, health="offline", probe_after=now - MINUTE)
    heard(make_camera(is_enabled=False))

    assert probing.due(clock.now()) == [long_ago, fresh, failing, gone]


def test_one_quiet_job_asks_for_each_queue_whoever_wishes_it_again(garden):
    ours, theirs = [make_camera(), make_camera()], make_camera(site=garden)

    assert probing.request(clock.now()) == 3
    assert probing.request(clock.now()) == 0

    jobs = MediaJob.objects.filter(task="cameras.ask").order_by("queue")
    assert [(job.queue, job.args["cameras"]) for job in jobs] == [
        ("capture", [camera.pk for camera in ours]),
        ("capture.garden", [theirs.pk]),
    ]
    assert {(job.priority, job.is_quiet) for job in jobs} == {(MediaJob.Priority.LOW, True)}


def test_a_pool_with_room_asks_by_a_quarter_of_its_threads(garden):
    now = clock.now()
    workers.write("capture@here", now, {"queues": ["capture"], "concurrency": 16})
    workers.write("capture.garden@there", now, {"queues": ["capture.garden"], "concurrency": 3})
    cameras = [make_camera() for _ in range(50)]
    make_camera(site=garden)

    assert probing.request(now) == 51
    assert probing.request(now) == 0

    jobs = MediaJob.objects.filter(task="cameras.ask")
    assert jobs.filter(queue="capture.garden").count() == 1
    shares = [job.args["cameras"] for job in jobs.filter(queue="capture")]
    assert sorted(map(len, shares)) == [12, 12, 13, 13]
    assert sorted(pk for share in shares for pk in share) == [camera.pk for camera in cameras]


def test_what_was_well_does_not_wait_for_what_is_dead():
    for _ in range(50):
        heard(make_camera(), failure_ago=30 * MINUTE, health="offline")
    well = heard(make_camera(), success_ago=6 * MINUTE, health="online")

    probing.request(clock.now())

    assert probe_job().args["cameras"][0] == well.pk


def test_a_camera_whose_machine_is_gone_costs_two_seconds(settings):
    """Nobody refuses: what is sent there is lost, as from a machine without current. Fifty of them, four at once."""
    settings.ALLOW_LOOPBACK_CAMERAS = True
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, contextlib.ExitStack() as callers:
        for _ in range(3):  # until its line is full
            caller = callers.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(server.getsockname())
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.jpg"
        camera = make_camera(kind="http", address=address, connect_timeout_s=30, deadline_s=60)
        probing.request(clock.now())
        begun = time.monotonic()

        assert probing.ask(Running(probe_job())) == {"well": 0, "failing": 1, "left": 0}

        took_s = time.monotonic() - begun
    camera.refresh_from_db()
    assert camera.last_error_code == "connect_timed_out"
    assert took_s < 10
    at_once = POOLS["capture"].concurrency // probing.SHARE_OF_POOL
    assert 50 * probing.CONNECT_WITHIN_S / at_once < probing.SPEND_S  # within one tick


def test_asking_leaves_a_seat_at_each_host_for_pictures(folder, settings):
    settings.CAPTURES_PER_HOST = 2
    (folder / "picture.jpg").write_bytes(make_jpeg())
    camera = make_camera(kind="files", address=str(folder / "picture.jpg"))
    probing.request(clock.now())

    with seats.seat(camera.address):
        assert probing.ask(Running(probe_job())) == {"well": 0, "failing": 0, "left": 1}
    camera.refresh_from_db()
    assert (camera.health, camera.last_failure_at) == ("unknown", None)

    assert probing.ask(Running(probe_job())) == {"well": 1, "failing": 0, "left": 0}


def test_where_one_seat_is_all_it_is_taken_when_nobody_sits(settings):
    settings.CAPTURES_PER_HOST = 1
    with (
        seats.seat("rtsp://a.example/", leave=1) as first,
        seats.seat("rtsp://a.example/", leave=1) as second,
    ):
        assert (first, second) == (True, False)


def test_what_was_heard_of_since_it_was_asked_for_is_not_asked(folder):
    (folder / "picture.jpg").write_bytes(make_jpeg())
    camera = make_camera(kind="files", address=str(folder / "picture.jpg"))
    probing.request(clock.now())
    health.note_failure(camera.pk, clock.now(), code="x", message="by a capture")

    assert probing.ask(Running(probe_job())) == {"well": 0, "failing": 0, "left": 1}


def test_asking_writes_each_camera_s_health(folder):
    (folder / "picture.jpg").write_bytes(make_jpeg())
    well = make_camera(kind="files", address=str(folder / "picture.jpg"))
    broken = make_camera(kind="files", address=str(folder / "missing.jpg"))
    off = make_camera(kind="files", address=str(folder / "picture.jpg"))
    probing.request(clock.now())
    Camera.objects.filter(pk=off.pk).update(is_enabled=False)

    told = probing.ask(Running(probe_job()))

    assert told == {"well": 1, "failing": 1, "left": 1}
    for camera in (well, broken, off):
        camera.refresh_from_db()
    assert (well.health, broken.health, off.health) == ("online", "degraded", "unknown")
    assert broken.last_error
    assert not Capture.objects.exists()


def test_a_dead_camera_becomes_offline_within_five_ticks(folder):
    camera = make_camera(kind="files", address=str(folder / "missing.jpg"))
    for tick in range(5):
        now = clock.now()
        MediaJob.objects.all().delete()
        assert probing.request(now) == 1, tick
        probing.ask(Running(probe_job()))
        Camera.objects.update(last_failure_at=now - MINUTE)

    camera.refresh_from_db()
    assert camera.health == "offline"
    assert probing.request(clock.now()) == 0


def test_asking_stops_when_its_time_is_over(folder, monkeypatch):
    (folder / "picture.jpg").write_bytes(make_jpeg())
    for _ in range(3):
        make_camera(kind="files", address=str(folder / "picture.jpg"))
    probing.request(clock.now())
    monkeypatch.setattr(probing, "SPEND_S", -1)

    assert probing.ask(Running(probe_job())) == {"well": 0, "failing": 0, "left": 3}
