"""Sites: whatever touches a camera waits in its site's queue; and asking cameras how they are."""

from datetime import timedelta

import pytest

from cameras import connection, probing
from cameras.models import Camera, Site
from captures import dispatch, ledger, settlement
from captures.models import Capture
from media_jobs import clock
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
    capture = ledger.request_capture(running(camera=make_camera(site=garden)), by="otto")

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
    heard(make_camera(), failure_ago=MINUTE, health="offline")
    gone = heard(make_camera(), failure_ago=11 * MINUTE, health="offline")
    heard(make_camera(is_enabled=False))

    assert probing.due(clock.now()) == [fresh, gone, long_ago, failing]


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
