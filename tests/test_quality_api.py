import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from cameras.models import Camera
from captures import degraded
from captures.models import Capture, JudgedPicture
from media_jobs import clock, files
from tests.factories import make_capture, make_jpeg, make_stored_capture, make_timelapse
from tests.test_quality_report import judged

pytestmark = pytest.mark.django_db


def test_evaluations_are_listed_and_narrowed(viewer, api):
    capture = make_capture(timelapse=make_timelapse())
    camera, now = capture.timelapse.camera, clock.now()
    reading = {
        "detector": "smear",
        "value": 0.4,
        "is_found": True,
        "penalty": 60,
        "elapsed_ms": 1,
        "error": "",
    }
    bad = judged(camera, 20, now, capture=capture, readings=[reading])
    judged(camera, 95, now)
    judged(make_timelapse().camera, 10, now, action="retried")
    client = api(viewer)

    def found(query):
        answer = client.get(f"/api/v1/evaluations/?{query}")
        assert answer.status_code == 200, answer.content
        return [row["id"] for row in answer.json()["results"]]

    row = client.get(f"/api/v1/evaluations/{bad.pk}/").json()
    assert (row["camera"], row["timelapse"], row["capture"]) == (camera.pk, capture.timelapse_id, capture.pk)
    assert (row["score"], row["verdict"], row["action"], row["readings"]) == (
        20,
        "smear",
        "flagged",
        [reading],
    )
    assert found(f"camera={camera.pk}&is_bad=true") == [bad.pk]
    assert found(f"timelapse={capture.timelapse_id}") == found(f"capture={capture.pk}") == [bad.pk]
    assert found("verdict=smear&action=flagged") == [bad.pk]
    assert found(f"until={(now).isoformat().replace('+00:00', 'Z')}") == []
    assert len(found("since=2026-01-01T00:00:00Z&page_size=2")) == 2


def test_report_of_a_camera_and_of_all(viewer, api):
    camera = make_timelapse().camera
    judged(camera, 20, clock.now())
    client = api(viewer)

    report = client.get(f"/api/v1/cameras/{camera.pk}/quality/").json()

    assert (report["count"], report["bad"], report["score_average"]) == (1, 1, 20)
    assert report["bands"] == {"excellent": 0, "good": 0, "acceptable": 0, "poor": 0, "critical": 1}
    assert report["last_failures"][0]["verdict"] == "smear"
    fleet = client.get("/api/v1/quality/").json()
    assert (fleet["healthy"], fleet["cameras"][0]["camera"], fleet["cameras"][0]["lately"]["bad"]) == (
        1,
        camera.pk,
        1,
    )
    wrong = client.get(
        f"/api/v1/cameras/{camera.pk}/quality/?since=2026-05-04T12:00Z&until=2026-05-04T11:00Z"
    )
    assert (wrong.status_code, [*wrong.json()["errors"]]) == (400, ["until"])


def test_degraded_mode_is_left_by_hand(operator, viewer, api):
    camera = make_timelapse().camera
    Camera.objects.update(is_degraded=True, degraded_since=clock.now(), bad_in_row=12)
    address = f"/api/v1/cameras/{camera.pk}/leave-degraded/"

    assert api(viewer).post(address).status_code == 403
    assert api(operator).post(address).json() == {"has_left": True}

    camera.refresh_from_db()
    assert (camera.is_degraded, camera.bad_in_row) == (False, 0)
    assert not degraded.leave(camera, by="otto")


def test_flag_is_set_and_cleared(operator, viewer, api):
    capture = make_stored_capture()
    address = f"/api/v1/captures/{capture.pk}/flag/"

    assert api(viewer).post(address, {"is_flagged": True}).status_code == 403
    assert api(operator).post(address, {}).status_code == 400
    shown = api(operator).post(address, {"is_flagged": True, "reason": "a spider"}).json()

    assert (shown["is_flagged"], shown["flagged_by"]) == (True, "otto")
    found = api(viewer).get("/api/v1/captures/?is_flagged=true").json()["results"]
    assert [row["id"] for row in found] == [capture.pk]
    assert api(viewer).get(f"/api/v1/timelapses/{capture.timelapse_id}/").json()["flagged_count"] == 1
    missed = make_capture(state="missed", reason="no_worker")
    refused = api(operator).post(f"/api/v1/captures/{missed.pk}/flag/", {"is_flagged": True})
    assert (refused.status_code, refused.json()["code"]) == (409, "no_picture")


def test_discarded_picture_is_restored_once(operator, api):
    capture = make_stored_capture()
    Capture.objects.update(
        state="discarded", reason="smear", score=20, quarantine_until=clock.now().replace(year=2200)
    )
    address = f"/api/v1/captures/{capture.pk}/restore/"
    listed = api(operator).get("/api/v1/captures/?state=discarded&score_until=70").json()["results"]
    assert [row["reason"] for row in listed] == ["smear"]
    type(capture.timelapse).objects.update(discarded_count=1)

    assert api(operator).post(address).json()["state"] == "stored"

    capture.refresh_from_db()
    assert files.exists(capture.file)
    again = api(operator).post(address)
    assert (again.status_code, again.json()["code"]) == (409, "not_restorable")


def test_picture_of_ones_own_is_judged_and_kept_nowhere(operator, viewer, api, settings):
    def send(user, data, **kw):
        form = {"picture": SimpleUploadedFile("mine.jpg", data, "image/jpeg")}
        return api(user).post("/api/v1/quality/test/", form, format="multipart", **kw)

    assert send(viewer, make_jpeg()).status_code == 403
    found = send(operator, make_jpeg(320, 240)).json()
    refused = send(operator, b"no picture at all")
    too_large = send(operator, make_jpeg(), CONTENT_LENGTH=60 * 2**20)

    assert (found["width"], found["height"], found["recommended"] in {"save", "retry"}) == (320, 240, True)
    assert {reading["detector"] for reading in found["readings"]} >= {"file", "smear"}
    assert (refused.status_code, [*refused.json()["errors"]]) == (400, ["picture"])
    assert too_large.status_code == 413
    assert api(operator).post("/api/v1/quality/test/", {}, format="json").status_code == 415
    assert not JudgedPicture.objects.exists()
    assert not [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()]
