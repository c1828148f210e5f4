"""One id from the click to the ffmpeg line."""

import re

import pytest
from django.test import Client

from captures import dispatch
from captures.models import Capture
from media_jobs import audit, clock, correlation
from media_jobs.models import Decision, Event, MediaJob
from tests.campaigns import running
from tests.factories import NOON, make_camera
from tests.misbehaving_cameras import make_picture
from tests.stack import wait_for
from timelapser.demo.scene import Scene
from timelapser.logs import keep_the_deed_alone

ID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.mark.django_db
def test_every_answer_has_an_id_of_its_own():
    paths = ("/login/", "/login/", "/api/v1/jobs/", "/nowhere")
    found = [Client().get(path).headers["X-Correlation-ID"] for path in paths]
    assert all(re.fullmatch(ID, each) for each in found)
    assert len(set(found)) == len(paths)


@pytest.mark.django_db
def test_an_id_that_a_client_invents_is_not_taken():
    answer = Client().get("/login/", headers={"X-Request-ID": "mine", "X-Correlation-ID": "mine"})
    assert answer.headers["X-Correlation-ID"] != "mine"


@pytest.mark.django_db
def test_a_request_leaves_nothing_behind_in_the_context():
    Client().get("/login/")
    assert correlation.current() == ""


def test_a_message_carries_the_deed_and_nothing_of_the_request():
    context = {"correlation_id": "a-deed", "request_id": "r", "user_id": 3, "ip": "192.0.2.7"}
    keep_the_deed_alone(context=context)
    assert context == {"correlation_id": "a-deed"}


@pytest.fixture
def timelapse(settings, tmp_path):
    settings.CAMERA_FOLDERS, settings.MIN_FREE_BYTES = [tmp_path], 0
    seen = make_picture(Scene(160, 120), NOON)  # with something to see in it
    (tmp_path / "yard.jpg").write_bytes(seen)
    return running(camera=make_camera(kind="files", address=str(tmp_path / "yard.jpg")))


@pytest.mark.django_db(transaction=True)
def test_a_picture_asked_for_carries_the_click_to_its_thumbnails(api, operator, broker, timelapse):
    answer = api(operator).post(f"/api/v1/cameras/{timelapse.camera_id}/capture-now/")
    deed = answer.headers["X-Correlation-ID"]
    broker.work_off("capture", "thumbnail")

    told = Event.objects.filter(correlation_id=deed).order_by("id").values_list("type", flat=True)
    assert list(told) == [
        "capture_now_requested",
        "camera_health_changed",
        "capture_stored",
        "thumbnail_ready",
    ]
    assert Decision.objects.get(correlation_id=deed).by == "otto"
    assert MediaJob.objects.get(correlation_id=deed).task == "captures.make_thumbnails"
    kinds = [(step.kind, step.what) for step in audit.thread(deed)]
    assert kinds.index(("capture", "stored")) < kinds.index(("job", "done"))


@pytest.mark.django_db(transaction=True)
def test_each_picture_of_the_clock_is_a_deed_of_its_own(timelapse):
    now = clock.now()
    dispatch.claim(now + 3 * timelapse.interval, now)
    deeds = list(Capture.objects.values_list("correlation_id", flat=True))
    assert len(deeds) == len(set(deeds)) >= 2
    assert all(re.fullmatch(ID, each) for each in deeds)


@pytest.mark.e2e
@pytest.mark.timeout(400)
def test_the_click_on_render_is_found_at_the_ffmpeg_lines_of_its_segments(stack):
    if stack.database_url.startswith("sqlite"):
        pytest.skip("end to end needs PostgreSQL")
    timelapse = stack.add_timelapse("http", stack.http_address, name="correlation", seconds=4, follows=False)
    with stack.logged_in() as api:
        wait_for(
            lambda: api.get(f"/api/v1/timelapses/{timelapse}/").json()["image_count"] >= 2,
            within_s=150,
            what="pictures",
        )
        recipe = api.get("/api/v1/recipes/").json()["results"][0]["id"]
        film = {"timelapse": timelapse, "recipe": recipe, "name": "correlation"}
        video = api.post("/api/v1/videos/", json=film).json()["id"]
        asked = api.post(f"/api/v1/videos/{video}/render/")
        deed = asked.headers["X-Correlation-ID"]
        wait_for(
            lambda: api.get(f"/api/v1/jobs/{asked.json()['id']}/").json()["state"] == "done",
            within_s=150,
            what="the film",
        )
        steps = api.get(f"/api/v1/audit/threads/{deed}/").json()["steps"]

    lines = [line for line in stack.log("video").splitlines() if "ffmpeg" in line and deed in line]
    assert any("segment.mp4" in line and "libx264" in line for line in lines), lines
    jobs = {step["facts"]["task"] for step in steps if step["kind"] == "job"}
    assert jobs == {"videos.render", "videos.encode_segment"}
    assert ("decision", "video_requested") in {(step["kind"], step["what"]) for step in steps}
    assert ("event", "video_ready") in {(step["kind"], step["what"]) for step in steps}
