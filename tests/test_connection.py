import json
from io import BytesIO

import pytest
from PIL import Image

from cameras import connection
from media_jobs import files, lifecycle, recovery
from media_jobs.exceptions import NotRepeatable
from media_jobs.models import Event, MediaJob
from tests.factories import make_camera, make_jpeg
from tests.jobs import take
from tests.misbehaving_cameras import closed_port
from timelapser.demo.background import InBackground
from timelapser.demo.http_camera import HttpCamera
from timelapser.demo.login import Login
from timelapser.demo.scene import Scene

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def server():
    camera = HttpCamera(Scene(1280, 720), login=Login("eve", "geheim"))
    with InBackground(camera):
        yield camera


@pytest.fixture(autouse=True)
def _loopback(settings):
    settings.ALLOW_LOOPBACK_CAMERAS = True


def request(address, **kw):
    given = {
        "kind": "http",
        "address": address,
        "transport": "tcp",
        "username": "eve",
        "password": "geheim",
        "verify_tls": True,
        "connect_timeout_s": 2,
        "deadline_s": 5,
        "by": "otto",
    }
    return connection.request_test(**given | kw)


def result_of(job, broker):
    broker.work_off("capture")
    job = MediaJob.objects.get(pk=job.pk)
    assert job.state == "done", job.error
    return job.result


def test_test_says_what_was_read_and_shows_it(server, broker):
    result = result_of(request(server.address("/snapshot.jpg")), broker)

    assert result["ok"] is True
    assert (result["width"], result["height"], result["codec"]) == (1280, 720, "mjpeg")
    assert result["bytes"] > 1000
    assert result["elapsed_ms"] > 0
    assert Image.open(BytesIO(files.read(result["preview"]))).size == (800, 450)


def test_test_of_a_camera_that_refuses_is_a_done_job_with_advice(broker):
    with closed_port() as port:
        result = result_of(request(f"http://127.0.0.1:{port}/x.jpg"), broker)

    assert (result["ok"], result["code"], result["preview"]) == (False, "camera_refused", "")
    assert "Check the port" in result["advice"]


def test_password_is_nowhere_in_job_events_and_messages(server, broker):
    job = request(server.address("/snapshot.jpg"), password="falsch")
    messages = broker.client.lrange("capture", 0, -1)
    result = result_of(job, broker)

    assert result["code"] == "login_refused"
    everything = json.dumps(
        [list(MediaJob.objects.values("args", "result", "title")), list(Event.objects.values("payload"))]
    )
    assert "falsch" not in everything
    assert all(b"falsch" not in message for message in messages)


@pytest.mark.parametrize("path", ["/snapshot.jpg", "/nothing.jpg"])
def test_password_does_not_stay_in_a_test_that_has_ended(server, broker, path):
    job = request(server.address(path))
    assert MediaJob.objects.get(pk=job.pk).args["sealed_password"]

    result_of(job, broker)

    assert "sealed_password" not in MediaJob.objects.get(pk=job.pk).args
    with pytest.raises(NotRepeatable):  # it would be without its password
        lifecycle.retry(MediaJob.objects.get(pk=job.pk), by="otto")
    MediaJob.objects.update(state="failed")
    again = lifecycle.retry(MediaJob.objects.get(pk=job.pk), by="otto")
    assert result_of(again, broker)["advice"] == "Enter the password again."


def test_password_does_not_stay_in_a_test_that_was_cancelled_or_lost(server):
    cancelled, lost = request(server.address("/a.jpg")), request(server.address("/b.jpg"))

    lifecycle.cancel(cancelled)
    take(lost, worker="capture@gone")
    for _ in range(3):
        recovery.release("capture@gone")
        take(MediaJob.objects.get(pk=lost.pk), worker="capture@gone")

    ended = {job.pk: job for job in MediaJob.objects.all()}
    assert (ended[cancelled.pk].state, ended[lost.pk].state) == ("cancelled", "parked")
    assert all("sealed_password" not in job.args for job in ended.values())


def test_test_without_a_password_can_be_repeated(server, broker):
    job = request(server.address("/snapshot.jpg"), username="", password="")
    lifecycle.cancel(job)

    again = lifecycle.retry(MediaJob.objects.get(pk=job.pk), by="otto")
    assert result_of(again, broker)["code"] == "login_refused"


def test_empty_password_stands_for_the_saved_one(server, broker):
    camera = make_camera(kind="http", address=server.address("/old.jpg"), password="geheim")

    result = result_of(request(server.address("/snapshot.jpg"), password="", camera=camera), broker)

    assert result["ok"] is True


def test_saved_camera_is_tested_as_it_is(server, broker):
    camera = make_camera(
        kind="http", address=server.address("/snapshot.jpg"), username="eve", password="geheim"
    )

    job = connection.request_camera_test(camera, by="otto")

    assert connection.request_camera_test(camera, by="vera").pk == job.pk  # one at a time
    assert result_of(job, broker)["ok"] is True
    assert job.topic == camera.topic


def test_password_sealed_with_another_key_is_said(server, broker, settings):
    camera = make_camera(kind="http", address=server.address("/snapshot.jpg"), password="geheim")
    job = connection.request_camera_test(camera, by="otto")
    settings.SEALING_KEYS = ["YW5vdGhlciBrZXkgZm9yIHRoZSB0ZXN0cyBvbmx5ISE="]

    result = result_of(job, broker)

    assert (result["ok"], result["code"]) == (False, "password_unreadable")


def test_camera_that_was_deleted_meanwhile(broker):
    camera = make_camera()
    job = connection.request_camera_test(camera, by="otto")
    camera.delete()

    assert result_of(job, broker)["code"] == "gone"


def test_loopback_is_refused_where_the_settings_do_not_allow_it(server, broker, settings):
    settings.ALLOW_LOOPBACK_CAMERAS = False

    assert result_of(request(server.address("/snapshot.jpg")), broker)["code"] == "address_refused"


def test_files_only_below_the_folders_that_are_allowed(broker, settings, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(make_jpeg())
    (tmp_path / "secret.jpg").write_bytes(make_jpeg())
    settings.CAMERA_FOLDERS = [tmp_path / "in"]

    inside = request(str(tmp_path / "in"), kind="files", username="", password="")
    outside = request(str(tmp_path / "in" / ".." / "secret.jpg"), kind="files", username="", password="")

    assert result_of(inside, broker)["ok"] is True
    assert result_of(outside, broker)["code"] == "address_refused"
