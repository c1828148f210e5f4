"""The pages say how a camera is, what alarms, and what it offers; a stream is chosen without JavaScript, too."""

from datetime import timedelta

import pytest

from cameras import alerts, detection, health
from cameras.models import Alert, Camera
from captures.models import Capture
from media_jobs import clock
from media_jobs.models import MediaJob
from tests.factories import make_camera, make_job, make_timelapse

pytestmark = pytest.mark.django_db
OFFER = {
    "kind": "rtsp",
    "address": "rtsp://192.0.2.7/Streaming/Channels/101",
    "transport": "tcp",
    "width": 2560,
    "height": 1440,
    "codec": "hevc",
    "elapsed_ms": 1210,
    "bytes": 700_000,
    "found_by": "ONVIF, main",
    "is_main": True,
    "is_recommended": True,
    "note": "The largest.",
}
FOUND = {"ok": True, "message": "2 streams answer.", "tried": 4, "elapsed_ms": 900, "is_complete": True}
FOUND |= {"offers": [OFFER, OFFER | {"address": "rtsp://192.0.2.7/sub", "is_recommended": False}]}


def fail(camera, times):
    for _ in range(times):
        health.note_failure(camera.pk, clock.now(), code="login_refused", message="It refused the login.")


def search(topic="camera.new", **kw):
    return make_job(**{"task": detection.TASK, "topic": topic, "state": "done", "result": FOUND} | kw)


def test_the_camera_s_page_says_what_is_wrong_what_helps_and_when_it_is_asked_next(pages, viewer):
    camera = make_camera()
    fail(camera, 6)
    alerts.raise_alert(camera.pk, Alert.Kind.MOVED, clock.now(), reason="moved", words="It looks elsewhere.")
    alerts.clear(camera.pk, Alert.Kind.MOVED, clock.now(), by="ada")

    page = pages(viewer).get(f"/cameras/{camera.pk}/").content.decode()

    for words in ("Offline</b>", "It refused the login.", "failures lock accounts", "6 times without"):
        assert words in page
    assert "Asked next" in page
    assert page.index("Offline</b> <time") < page.index("Moved</b>")
    assert "(ada)" in page
    assert 'id="find-streams"' not in page  # for those who operate
    Camera.objects.update(is_enabled=False)
    parts = pages(viewer).get(f"/cameras/{camera.pk}/parts/?part=health").content.decode()
    assert "Switched off here" in parts
    assert "Asked next" not in parts


def test_thirty_days_are_drawn_from_the_ledger_with_outages(pages, viewer):
    camera, now = make_camera(), clock.now()
    timelapse = make_timelapse(camera=camera, time_zone="UTC")
    for days, state, reason in ((3, "stored", ""), (2, "failed", "camera_refused"), (1, "stored", "")):
        kept = {"file": "f", "bytes": 1, "checksum": "c"} if state == "stored" else {}
        slot = now - timedelta(days=days)
        Capture.objects.create(
            timelapse=timelapse, slot=slot, give_up_at=slot, state=state, reason=reason, **kept
        )

    part = pages(viewer).get(f"/cameras/{camera.pk}/parts/?part=uptime").content.decode()

    assert [part.count(f'<g class="{code}">') for code in ("whole", "none", "nothing")] == [2, 1, 27]
    assert "answered 66\u00a0%, kept 66\u00a0%" in part
    assert "for 24\u00a0h" in part
    assert health.words_for("camera_refused") in part


def test_the_dashboard_lists_the_open_alerts_of_the_fleet_with_constant_queries(
    pages, viewer, django_assert_max_num_queries
):
    browser = pages(viewer)
    browser.get("/")  # what is asked once
    fail(make_camera(name="Gate"), 5)
    with django_assert_max_num_queries(40) as few:
        page = browser.get("/").content.decode()
    assert "One alert" in page
    assert "Gate</b></a>: offline" in page
    for _ in range(12):
        fail(make_camera(), 5)
    with django_assert_max_num_queries(len(few)):
        page = browser.get("/").content.decode()
    assert "13 alerts" in page
    assert "and 5 more" in page
    assert "13 alerts" in browser.get("/parts/?part=alerts").content.decode()


def test_a_stream_is_found_and_chosen_on_the_camera_s_page(pages, operator, admin):
    camera = make_camera(notes="North", transport="udp")
    here = f"/cameras/{camera.pk}/"
    asked = pages(operator).post(f"{here}streams/")
    job = MediaJob.objects.get(task=detection.TASK)
    assert (asked.status_code, asked["Location"]) == (302, f"{here}?streams={job.pk}#streams")
    page = pages(operator).get(f"{here}?streams={job.pk}").content.decode()
    assert "See the result" in page
    MediaJob.objects.update(state="done", result=FOUND)
    part = pages(operator).get(f"/streams/{job.pk}/?camera={camera.pk}").content.decode()
    assert "2560 × 1440" in part
    assert "Recommended" in part
    assert "Use it" not in part
    assert OFFER["address"] not in part
    browser = pages(admin)
    assert "Use it" in browser.get(f"{here}?streams={job.pk}").content.decode()

    assert browser.post(f"{here}streams/choose/", {"choose": f"{job.pk}:0"}).status_code == 302

    camera.refresh_from_db()
    assert (camera.kind, camera.address, camera.transport) == ("rtsp", OFFER["address"], "tcp")
    assert camera.notes == "North"
    assert "in use" in browser.get(f"{here}?streams={job.pk}").content.decode()
    for wrong in (f"{job.pk}:7", "nonsense", f"{search().pk}:0"):
        browser.post(f"{here}streams/choose/", {"choose": wrong})
    assert Camera.objects.get().address == OFFER["address"]
    assert pages(operator).post(f"{here}streams/choose/", {"choose": f"{job.pk}:1"}).status_code == 403


def test_a_new_camera_s_form_looks_for_streams_and_takes_one(pages, admin):
    browser = pages(admin)
    form = {"name": "Gate", "kind": "http", "address": "http://192.0.2.7/", "transport": "tcp"}
    form |= {"connect_timeout_s": "5", "deadline_s": "10", "is_enabled": "on", "username": "eve"}

    looking = browser.post("/cameras/add/", form | {"streams": "1", "password": "geheim"})
    job = MediaJob.objects.get(task=detection.TASK)
    assert 'name="look_streams"' in looking.content.decode()
    assert (job.args["host"], job.args["username"], "geheim" in str(job.args)) == ("192.0.2.7", "eve", False)
    MediaJob.objects.update(state="done", result=FOUND)
    shown = browser.post("/cameras/add/", form | {"look_streams": str(job.pk)}).content.decode()
    assert f'value="{job.pk}:0"' in shown
    filled = browser.post("/cameras/add/", form | {"choose": f"{job.pk}:0"}).content.decode()
    assert f'value="{OFFER["address"]}"' in filled
    assert '<option value="rtsp" selected>' in filled
    assert not Camera.objects.exists()
    refused = browser.post(
        "/cameras/add/", form | {"streams": "1", "kind": "files"}, headers={"HX-Request": "true"}
    )
    assert "not ready for a search" in refused.content.decode()
