"""What each door of the API does, seen in the rows and jobs that follow."""

from datetime import timedelta

import pytest

from cameras import sealing
from cameras.models import Camera
from captures import campaign
from captures.intervalometer import every
from captures.models import Capture, Timelapse
from media_jobs import clock
from media_jobs.models import Event, MediaJob, Pulse
from tests.factories import (
    NOON,
    make_camera,
    make_capture,
    make_job,
    make_recipe,
    make_stored_capture,
    make_timelapse,
    make_video,
)
from timelapser.queues import QUEUES
from videos.models import Recipe, Video

CAMERA = {"name": "Garden", "kind": "http", "address": "HTTP://192.0.2.9/snap.jpg", "username": "eva"}


@pytest.fixture
def client(admin, api):
    return api(admin)


def post(client, path, body=None, *, expect):
    answer = client.post(f"/api/v1/{path}", body or {})
    assert answer.status_code == expect, answer.content
    return answer.json()


def test_camera_is_made_changed_and_deleted(client):
    made = post(client, "cameras/", CAMERA | {"password": "one"}, expect=201)
    camera = Camera.objects.get()
    assert (made["has_password"], made["address"], made["health"]) == (
        True,
        "http://192.0.2.9/snap.jpg",
        "unknown",
    )
    assert "password" not in made

    client.patch(f"/api/v1/cameras/{camera.pk}/", {"notes": "pond"})
    camera.refresh_from_db()
    assert (camera.notes, sealing.unseal(camera.sealed_password)) == ("pond", "one")

    client.patch(f"/api/v1/cameras/{camera.pk}/", {"password": " two "})
    camera.refresh_from_db()
    assert sealing.unseal(camera.sealed_password) == " two "

    client.patch(f"/api/v1/cameras/{camera.pk}/", {"password": ""})
    camera.refresh_from_db()
    assert not camera.has_password

    assert client.delete(f"/api/v1/cameras/{camera.pk}/").status_code == 204
    assert not Camera.objects.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "rtsp"}, "must begin with rtsp://"),
        ({"address": "http://localhost/"}, "this machine itself"),
        ({"address": "http://169.254.169.254/"}, "never a camera"),
        ({"address": "http://eva:pw@192.0.2.9/"}, "their own fields"),
        ({"kind": "files"}, "whole path"),
    ],
)
def test_addresses_are_checked_on_every_write(client, change, words):
    camera = make_camera(kind="http", address="http://192.0.2.9/")

    answers = [
        client.post("/api/v1/cameras/", CAMERA | change),
        client.patch(f"/api/v1/cameras/{camera.pk}/", change),
        client.put(f"/api/v1/cameras/{camera.pk}/", CAMERA | change),
        client.post("/api/v1/cameras/test/", CAMERA | change),
    ]

    assert [answer.status_code for answer in answers] == [400] * 4
    assert all(words in answer.json()["errors"]["address"][0] for answer in answers)


def test_a_camera_with_timelapses_stays(client):
    camera = make_timelapse().camera

    answer = client.delete(f"/api/v1/cameras/{camera.pk}/")

    assert (answer.status_code, answer.json()["code"]) == (409, "camera_in_use")
    assert "timelapses" in answer.json()["detail"]
    assert Camera.objects.filter(pk=camera.pk).exists()


def test_testing_a_saved_camera_is_one_job_until_it_ends(client):
    camera = make_camera()

    first = client.post(f"/api/v1/cameras/{camera.pk}/test/")
    second = post(client, f"cameras/{camera.pk}/test/", expect=202)

    assert (first.status_code, first.json()["id"]) == (202, second["id"])
    assert client.get(first["Location"]).json()["task"] == "cameras.test_connection"
    assert MediaJob.objects.get().requested_by == "ada"


def test_a_stored_password_is_used_for_a_test_by_those_who_set_up_cameras_only(admin, operator, api):
    camera = make_camera(password="pw")
    wish = {"kind": "rtsp", "address": "rtsp://192.0.2.66/", "camera": camera.pk}

    answers = [api(who).post("/api/v1/cameras/test/", wish).status_code for who in (operator, admin)]

    assert answers == [403, 202]
    assert sealing.unseal(MediaJob.objects.get().args["sealed_password"]) == "pw"


def test_the_result_of_a_test_is_told_with_its_picture(client):
    job = make_job(state="done", result={"ok": True, "width": 64, "preview": "previews/x.jpg"})

    told = client.get(f"/api/v1/jobs/{job.pk}/").json()

    assert told["result"] == {"ok": True, "width": 64}
    assert told["preview_url"] == f"http://testserver/media/jobs/{job.pk}/preview.jpg"
    assert "args" not in told


def test_timelapse_is_made_moved_and_archived(client):
    camera = make_camera()
    made = post(client, "timelapses/", {"camera": camera.pk, "name": "Summer", "plan": every(60)}, expect=201)
    assert (made["state"], made["camera_name"], made["time_zone"]) == ("created", camera.name, "UTC")

    moves = ["start", "pause", "resume", "complete", "archive"]
    states = [post(client, f"timelapses/{made['id']}/{move}/", expect=200)["state"] for move in moves]

    assert states == ["running", "paused", "running", "completed", "archived"]


def test_a_move_that_the_state_forbids_is_a_conflict(client):
    timelapse = make_timelapse()

    problem = post(client, f"timelapses/{timelapse.pk}/resume/", expect=409)

    assert problem["code"] == "move_refused"
    assert Timelapse.objects.get().state == "created"


def test_a_second_start_says_who_is_running_and_can_complete_it(client):
    first = make_timelapse()
    second = make_timelapse(camera=first.camera)
    post(client, f"timelapses/{first.pk}/start/", expect=200)

    problem = post(client, f"timelapses/{second.pk}/start/", expect=409)
    assert (problem["code"], problem["active_timelapse"]) == ("camera_busy", first.pk)
    assert first.name in problem["detail"]

    post(client, f"timelapses/{second.pk}/start/", {"complete_active": True}, expect=200)
    assert dict(Timelapse.objects.values_list("pk", "state")) == {first.pk: "completed", second.pk: "running"}


def test_a_new_timelapse_is_made_beside_a_running_one(client):
    running = make_timelapse(state="running")

    post(client, "timelapses/", {"camera": running.camera_id, "name": "Next"}, expect=201)


def test_changing_the_interval_of_a_running_timelapse_reschedules_it(client):
    timelapse = make_timelapse(interval_s=600)
    campaign.start(timelapse, by="ada")

    answer = client.patch(f"/api/v1/timelapses/{timelapse.pk}/", {"plan": every(10)}, format="json")

    assert answer.json()["plan"] == every(10)
    assert [version.words for version in timelapse.schedules.all()] == ["every 10 min", "every 10 s"]


def test_a_timelapse_stays_with_its_camera_and_its_start(client):
    timelapse = make_timelapse()
    campaign.start(timelapse, by="ada")
    path = f"/api/v1/timelapses/{timelapse.pk}/"

    other = client.patch(path, {"camera": make_camera().pk})
    start = client.patch(path, {"start_at": "2027-01-01T00:00:00Z"})

    assert (other.status_code, list(other.json()["errors"])) == (400, ["camera"])
    assert (start.status_code, start.json()["code"]) == (409, "move_refused")


def test_state_and_counters_cannot_be_written(client):
    timelapse = make_timelapse()

    client.patch(f"/api/v1/timelapses/{timelapse.pk}/", {"state": "running", "image_count": 9, "name": "New"})

    timelapse.refresh_from_db()
    assert (timelapse.state, timelapse.image_count, timelapse.name) == ("created", 0, "New")


def test_a_timelapse_with_pictures_is_not_deleted(client):
    full, empty = make_stored_capture().timelapse, make_capture().timelapse

    answers = [client.delete(f"/api/v1/timelapses/{row.pk}/").status_code for row in (full, empty)]

    assert answers == [409, 204]
    assert Timelapse.objects.get() == full


def test_capture_now_is_a_slot_of_the_running_timelapse(client):
    timelapse = make_timelapse()
    path = f"cameras/{timelapse.camera_id}/capture-now/"

    assert post(client, path, expect=409)["code"] == "not_running"
    campaign.start(timelapse, by="ada")
    asked = post(client, path, expect=202)

    capture = Capture.objects.get()
    assert (asked["id"], asked["state"], asked["pictures"]) == (capture.pk, "owed", None)
    assert (capture.origin, capture.requested_by) == ("person", "ada")
    campaign.pause(timelapse, by="ada")
    assert post(client, path, expect=409)["code"] == "not_running"


def test_the_newest_picture_of_a_camera_is_the_newest_of_all_its_timelapses(client):
    camera = make_camera()
    path = f"/api/v1/cameras/{camera.pk}/pictures/latest/"
    assert client.get(path).status_code == 404
    for days in (1, 3, 2):
        timelapse = make_timelapse(camera=camera, state="completed")
        capture = make_stored_capture(timelapse=timelapse, slot=NOON + timedelta(days=days))
        Timelapse.objects.filter(pk=timelapse.pk).update(latest_capture=capture)

    newest = client.get(path).json()

    assert newest["slot"] == "2026-05-07T12:00:00Z"
    assert b"".join(client.get(newest["pictures"]["thumbnail"]))[:2] == b"\xff\xd8"


def test_captures_are_narrowed(client):
    berlin = make_timelapse(time_zone="Europe/Berlin")
    late = make_capture(timelapse=berlin, slot=NOON.replace(hour=23))  # 01:00 of the next day in Berlin
    early = make_capture(timelapse=berlin, slot=NOON.replace(hour=21), state="missed", reason="no_worker")
    other = make_capture(slot=NOON)

    def found(path="captures/", **query):
        return [row["id"] for row in client.get(f"/api/v1/{path}", query).json()["results"]]

    assert found() == [late.pk, early.pk, other.pk]
    assert found(ordering="slot") == [other.pk, early.pk, late.pk]
    refused = client.get("/api/v1/captures/", {"ordering": "-slot,bogus"})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["ordering"])
    assert found(timelapse=berlin.pk) == [late.pk, early.pk]
    assert found(camera=other.timelapse.camera_id) == [other.pk]
    assert found(state="missed") == found(reason="no_worker") == [early.pk]
    assert found(slot_from="2026-05-04T21:00:00Z", slot_until="2026-05-04T23:00:00Z") == [early.pk]
    assert found(timelapse=berlin.pk, day="2026-05-04") == [early.pk]
    assert found(f"timelapses/{berlin.pk}/captures/", day="2026-05-05") == [late.pk]
    assert client.get("/api/v1/captures/", {"day": "2026-05-05"}).status_code == 400


def test_coverage_adds_up_and_says_why(client):
    timelapse = make_timelapse()
    make_stored_capture(timelapse=timelapse)
    for _ in range(2):
        make_capture(timelapse=timelapse, state="missed", reason="no_worker")
    make_capture(timelapse=timelapse, state="failed", reason="disk_full")
    make_capture(timelapse=timelapse)
    span = {"start": "2026-05-04T00:00:00Z", "end": "2026-05-05T00:00:00Z"}

    told = client.get(f"/api/v1/timelapses/{timelapse.pk}/coverage/", span).json()

    assert {
        name: told[name] for name in ("owed_total", "stored", "failed", "missed", "skipped", "pending")
    } == {
        "owed_total": 5,
        "stored": 1,
        "failed": 1,
        "missed": 2,
        "skipped": 0,
        "pending": 1,
    }
    assert told["ratio"] == 0.25
    assert [(reason["code"], reason["count"]) for reason in told["reasons"]] == [
        ("no_worker", 2),
        ("disk_full", 1),
    ]
    assert told["reasons"][1]["words"] == "The disk was full."
    assert client.get(f"/api/v1/timelapses/{timelapse.pk}/coverage/").json()["owed_total"] == 0


def test_a_recipe_in_use_stays(client):
    used, unused = make_video().recipe, make_recipe()

    answers = [client.delete(f"/api/v1/recipes/{recipe.pk}/") for recipe in (used, unused)]

    assert [answer.status_code for answer in answers] == [409, 204]
    assert answers[0].json()["code"] == "recipe_in_use"
    assert Recipe.objects.get() == used


def test_a_film_is_made_renamed_rendered_once_cancelled_and_deleted(client):
    timelapse = make_stored_capture().timelapse
    wish = {"timelapse": timelapse.pk, "recipe": make_recipe().pk, "name": "All"}
    made = post(client, "videos/", wish, expect=201)
    path = f"/api/v1/videos/{made['id']}/"
    assert (made["state"], made["film"]) == ("new", None)

    changed = client.patch(path, {"name": "May", "throttle_s": 60, "follows": True, "timelapse": 0}).json()
    assert (changed["name"], changed["throttle_s"], changed["follows"]) == ("May", 60, False)

    first = client.post(f"{path}render/")
    second = client.post(f"{path}render/")
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    assert client.get(path).json()["state"] == "rendering"
    assert client.delete(path).json()["code"] == "film_in_use"

    assert client.post(f"{path}cancel/").json()["state"] == "cancelled"
    assert MediaJob.objects.get().state == "cancelled"
    assert client.delete(path).status_code == 204
    assert not Video.objects.exists()


def test_a_film_of_no_pictures_is_refused(client):
    video = make_video()

    assert post(client, f"videos/{video.pk}/render/", expect=409)["code"] == "too_few_pictures"
    assert not MediaJob.objects.exists()


def test_one_film_follows_and_others_are_made_beside_it(client):
    following = make_video(follows=True)
    wish = {"timelapse": following.timelapse_id, "recipe": following.recipe_id, "name": "Other"}

    post(client, "videos/", wish, expect=201)
    problem = post(client, "videos/", wish | {"follows": True}, expect=400)

    assert problem["errors"] == {"follows": ["This timelapse has a following film already."]}


def test_a_finished_film_says_where_it_is(client):
    video = make_video(file="a.mp4", poster="a.jpg", revision=3, state="ready")

    film = client.get(f"/api/v1/videos/{video.pk}/").json()["film"]

    base = f"http://testserver/media/videos/{video.pk}/3"
    assert film == {
        "play": f"{base}/film.mp4",
        "download": f"{base}/film.mp4?download=1",
        "poster": f"{base}/poster.jpg",
    }


def test_jobs_are_cancelled_and_done_again(client):
    waiting, failed = make_job(), make_job(state="failed")

    cancelled = post(client, f"jobs/{waiting.pk}/cancel/", expect=202)
    again = post(client, f"jobs/{failed.pk}/retry/", expect=202)

    assert cancelled["state"] == "cancelled"
    assert (again["state"], again["requested_by"], again["id"] != str(failed.pk)) == ("queued", "ada", True)
    assert post(client, f"jobs/{waiting.pk}/cancel/", expect=409)["code"] == "job_ended"
    assert post(client, f"jobs/{again['id']}/retry/", expect=409)["code"] == "job_active"
    done = make_job(state="done")
    assert post(client, f"jobs/{done.pk}/retry/", expect=409)["code"] == "not_repeatable"


def test_jobs_are_narrowed(client):
    queued, done = make_job(topic="timelapse.3"), make_job(state="done", is_quiet=True)

    def found(**query):
        return [row["id"] for row in client.get("/api/v1/jobs/", query).json()["results"]]

    assert (
        found(topic="timelapse.3") == found(is_active="true") == found(is_quiet="false") == [str(queued.pk)]
    )
    assert found(state="done") == found(is_active="false") == [str(done.pk)]


def test_events_are_told_since_the_last_one(client):
    rows = [
        Event.objects.create(topic=topic, type="video_ready", payload={"n": n}, created_at=NOON)
        for n, topic in enumerate(["timelapse.1", "timelapse.2", "timelapse.1"])
    ]
    last = rows[-1].pk

    assert client.get("/api/v1/events/").json() == {"latest": last, "complete": True, "events": []}
    fleet = client.get("/api/v1/events/", {"since": rows[0].pk}).json()
    one = client.get("/api/v1/events/", {"since": rows[0].pk, "topics": "timelapse.1,camera.2"}).json()

    assert [event["payload"]["n"] for event in fleet["events"]] == [1, 2]
    assert [event["payload"]["n"] for event in one["events"]] == [2]
    assert (one["latest"], one["complete"]) == (last, True)


def test_events_that_are_forgotten_are_not_complete(client):
    rows = [Event.objects.create(topic="camera.1", type="x", payload={}, created_at=NOON) for _ in range(3)]
    Event.objects.filter(pk__lt=rows[2].pk).delete()

    assert client.get("/api/v1/events/", {"since": rows[0].pk - 1}).json()["complete"] is False


def test_the_system_says_who_serves_what(client):
    now = clock.now()
    for name, at in (("alive", now), ("gone", now - timedelta(minutes=5))):
        Pulse.objects.create(name=name, kind="worker", at=at, facts={"queues": ["video"]})

    queues, workers, told = (
        client.get(f"/api/v1/{name}/").json() for name in ("queues", "workers", "system")
    )

    serving = {queue["name"]: queue["workers"] for queue in queues}
    assert serving == {queue: [] for queue in QUEUES} | {"video": ["alive"]}
    assert [(worker["name"], worker["is_alive"]) for worker in workers] == [("alive", True), ("gone", False)]
    assert told["is_well"] is False
    assert "The scheduler is silent: no pictures are planned." in told["faults"]
    assert told["scheduler_silent_s"] is None
