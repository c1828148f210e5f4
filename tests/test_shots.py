"""Test shots and connection tests: what they show, and what they never show."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from cameras import connection, hiding, shots
from cameras.geometry import Geometry
from cameras.models import Camera
from media_jobs import files, tracked
from media_jobs.models import MediaJob
from tests.factories import make_camera
from tests.jobs import take

pytestmark = pytest.mark.django_db(transaction=True)
SAVED = [[0, 0], [0.25, 0], [0.25, 0.5], [0, 0.5]]
DRAWN = [[0.75, 0], [1, 0], [1, 0.5], [0.75, 0.5]]


@pytest.fixture
def folder(settings, tmp_path):
    """Where the camera's only picture lies: white, 400 x 200."""
    settings.CAMERA_FOLDERS = [tmp_path]
    settings.MIN_FREE_BYTES = 0
    picture = np.full((200, 400, 3), 255, np.uint8)
    (tmp_path / "picture.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    return tmp_path


def camera_of(folder, **kw):
    return make_camera(kind="files", address=str(folder), **kw)


def run(job, broker):
    broker.work_off("capture")
    job = MediaJob.objects.get(pk=job.pk)
    assert job.state == "done", job.error
    return job.result


def corners(name):
    """Whether the corners are dark: upper left, upper right, lower right, lower left."""
    pixels = np.asarray(Image.open(BytesIO(files.read(name))).convert("L"))
    return [bool(pixels[y, x] < 40) for y, x in ((4, 4), (4, -5), (-5, -5), (-5, 4))]


def test_shot_shows_the_picture_before_and_after_with_all_masks(folder, broker, operator, pages):
    camera = camera_of(folder, geometry={"masks": [SAVED]})
    wanted = Geometry.from_document(
        {"masks": [DRAWN], "rotate": 90, "aspect": {"ratio": "1:1", "mode": "crop"}}
    )

    job = shots.request(camera, wanted, by="otto")
    assert shots.newest(camera) is None
    result = run(job, broker)

    assert (result["ok"], result["source"], result["width"], result["height"]) == (True, [400, 200], 200, 200)
    assert corners(result["before"]) == [True, True, False, False]
    assert Image.open(BytesIO(files.read(result["before"]))).size == (400, 200)
    # Turned, the masks lie right; the square is cut from the middle, beyond both.
    assert corners(result["preview"]) == [False] * 4
    assert shots.newest(camera).pk == job.pk
    assert Camera.objects.get().geometry == {"masks": [SAVED]}
    for which in ("preview", "before"):
        answer = pages(operator).get(f"/media/jobs/{job.pk}/{which}.jpg")
        assert (answer.getvalue(), answer["Cache-Control"]) == (
            files.read(result[which]),
            "private, no-store",
        )


def test_shot_of_a_camera_that_does_not_answer_says_what_helps(folder, broker):
    (folder / "picture.jpg").unlink()

    result = run(shots.request(camera_of(folder), Geometry(), by="otto"), broker)

    assert (result["ok"], result["code"], result["before"], result["preview"]) == (False, "not_found", "", "")


@pytest.mark.parametrize("with_camera", [True, False])
def test_connection_test_hides_what_a_saved_mask_hides(folder, broker, with_camera):
    camera = camera_of(folder, geometry={"masks": [SAVED]})
    camera_of("/elsewhere", geometry={"masks": [DRAWN]})
    if with_camera:
        job = connection.request_camera_test(camera, by="otto")
    else:  # the same address in a form
        job = connection.request_test(
            kind="files", address=str(folder), transport="tcp", username="", password="", verify_tls=True,
            connect_timeout_s=1, deadline_s=5, by="otto",
        )  # fmt: skip

    assert corners(run(job, broker)["preview"]) == [True, False, False, False]


def test_nothing_is_shown_of_a_camera_whose_masks_cannot_be_read(folder, broker):
    camera = camera_of(folder, geometry={"masks": 5})

    for job in (
        connection.request_camera_test(camera, by="otto"),
        shots.request(camera, Geometry(), by="otto"),
    ):
        assert run(job, broker)["code"] == "geometry_unreadable"
    assert files.names_in(hiding.PREVIEWS) == []


def test_test_of_a_form_hides_what_any_camera_of_the_host_hides():
    make_camera(address="rtsp://192.0.2.7:554/1", geometry={"masks": [SAVED]})
    make_camera(address="rtsp://192.0.2.8/1", geometry={"masks": [SAVED, DRAWN]})
    make_camera(address="rtsp://192.0.2.7/2", geometry={"rotate": 90})
    make_camera(address="http://192.0.2.7/3.jpg", geometry={"masks": [DRAWN], "rotate": 90})

    found = hiding.masks_at("http://192.0.2.7:8000/snapshot.jpg").to_document()

    assert sorted(found["masks"]) == [SAVED, DRAWN]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("known", "tested", "is_hidden"),
    [
        ("rtsp://localhost:554/1", "http://127.0.0.1:8000/1.jpg", True),
        ("rtsp://127.0.0.1/1", "http://localhost/1.jpg", True),
        ("rtsp://192.0.2.7/1", "rtsp://[::ffff:192.0.2.7]/1", True),
        ("rtsp://nowhere.invalid/1", "rtsp://192.0.2.7/1", True),  # it may be that one
        ("rtsp://192.0.2.7/1", "rtsp://nowhere.invalid/1", True),
        ("rtsp://192.0.2.7/1", "rtsp://192.0.2.8/1", False),
        ("rtsp://192.0.2.7/1", "http://localhost/1.jpg", False),
        ("/uploads/garden", "http://nowhere.invalid/1.jpg", False),
        ("/uploads/garden", "/uploads/garden", True),
    ],
)
def test_host_is_known_by_its_ip_addresses_too(known, tested, is_hidden):
    make_camera(address=known, geometry={"masks": [SAVED]})

    assert hiding.masks_at(tested).has_masks is is_hidden


def test_mask_that_is_saved_while_the_picture_is_read_counts(folder):
    camera = camera_of(folder)
    job = take(shots.request(camera, Geometry(), by="otto"))
    asked = []

    def masks():
        asked.append(hiding.masks_of(camera.pk))
        Camera.objects.update(geometry={"masks": [SAVED]})
        return asked[-1]

    with pytest.raises(hiding.MasksChanged):
        hiding.keep_previews(job, np.full((20, 40, 3), 255, np.uint8), {"preview": Geometry()}, masks)

    assert len(asked) == 2
    assert files.names_in(hiding.PREVIEWS) == []


def test_shot_reports_its_steps(folder):
    job = take(shots.request(camera_of(folder), Geometry(), by="otto"))

    tracked.do(job, shots.run)

    job.refresh_from_db()
    assert (job.state, job.progress_done, job.progress_total) == ("done", 3, 3)
    assert job.result["is_unchanged"]
