"""What a camera offers: ONVIF's messages, the paths of the makes, measured at real servers, chosen by a click."""

import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cameras import detection, seats, stream_search
from cameras.models import Camera
from cameras.sources import LoginRefused, SourceKind, offers, onvif
from media_jobs import lifecycle, tracked
from media_jobs.models import Decision, Event, MediaJob
from tests.factories import make_camera, make_jpeg
from tests.jobs import take
from tests.misbehaving_cameras import SilentDescribe
from tests.onvif_camera import OnvifCamera
from timelapser.demo.background import InBackground
from timelapser.demo.feed import Feed, H264Encoder
from timelapser.demo.http_camera import HttpCamera
from timelapser.demo.login import Login
from timelapser.demo.rtsp_server import Mount, RtspServer
from timelapser.demo.scene import Scene

RECORDED = Path(os.environ.get("TIMELAPSER_REAL_MEDIA") or "/nonexistent") / "f3_onvif_answers"
USER, PASSWORD = "eve", "geheim&groß"
MAIN, SUB = "/Streaming/Channels/101", "/Streaming/Channels/102"
SNAPSHOT = "/ISAPI/Streaming/channels/101/picture"


class CountingLogin(Login):
    refused = 0

    def accepts(self, method, authorization):
        is_right = super().accepts(method, authorization)
        self.refused += bool(authorization) and not is_right
        return is_right


def feed(width, height):
    return Feed(Scene(width, height), lambda: H264Encoder(width, height, 10), fps=10)


@pytest.fixture(scope="module")
def devices():
    """A camera with two streams and snapshots behind a login; one with ONVIF; one that is silent."""
    login = CountingLogin(USER, PASSWORD)
    big, small = feed(1280, 720), feed(640, 360)
    rtsp = RtspServer({MAIN: Mount(big, login), SUB: Mount(small, login), "/inner": Mount(big)})
    web = HttpCamera(Scene(640, 360), login=login)
    web.routes = {SNAPSHOT: web.routes["/snapshot.jpg"]}
    same = RtspServer(Everywhere(Mount(small)))
    silent = RtspServer(Everywhere(SilentDescribe(small)))
    profiles = [
        ("main", 1280, 720, "rtsp://192.168.68.111:9/inner", "http://192.168.68.111/onvif-snapshot?camera=1"),
        ("cheap", 640, 360, f"rtsp://192.168.68.111/user={USER}_password=abc_channel=1", None),
    ]
    speaking = OnvifCamera(USER, PASSWORD, profiles, make_jpeg(320, 240))
    with InBackground(rtsp, web, same, silent, speaking):
        yield {"rtsp": rtsp, "web": web, "same": same, "silent": silent, "onvif": speaking, "login": login}


class Everywhere(dict):
    """Mounts of which every path finds the same."""

    def __init__(self, mount):
        super().__init__()
        self.mount = mount

    def get(self, path, default=None):
        return self.mount


@pytest.fixture(autouse=True)
def _loopback(settings):
    settings.ALLOW_LOOPBACK_CAMERAS = True


def ask(device, **kw):
    given = {
        "kind": "rtsp",
        "address": f"rtsp://127.0.0.1:{device.port}/",
        "username": USER,
        "password": PASSWORD,
        "verify_tls": True,
        "by": "otto",
        "web_port": 1,  # closed
    }
    return detection.request(**given | kw)


def found(job, broker):
    broker.work_off("capture")
    job.refresh_from_db()
    assert job.state == "done", job.error
    return job.result


# --- values ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not RECORDED.is_dir(), reason="TIMELAPSER_REAL_MEDIA is not set: f3_onvif_answers")
def test_recorded_answers_of_onvif_are_understood():
    def body(name):
        return onvif.read_answer((RECORDED / f"{name}.xml").read_bytes())

    assert onvif.camera_time(body("GetSystemDateAndTime")) == datetime(2014, 12, 24, 19, 14, 37, tzinfo=UTC)
    assert onvif.media_address(body("GetCapabilities")) == "http://192.168.68.111/onvif/services"
    assert onvif.profiles(body("GetProfiles")) == [onvif.Profile("main", "main", "H264", 1920, 1080)]
    assert onvif.address(body("GetStreamUri")) == "rtsp://192.168.68.111/h264main"
    assert "image.cgi?resolution=800x600&compression=20" in onvif.address(body("GetSnapshotUri"))
    with pytest.raises(onvif.NotOnvif):
        body("Error")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html><body>hello</body></html>",
        b"\xff\xd8\xff",
        b"<Envelope/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><Envelope><Body>&b;</Body></Envelope>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a><Envelope><Body/></Envelope>'.encode("utf-16"),
        b"<Envelope><Body><Fault><Text>no such thing</Text></Fault></Body></Envelope>",
    ],
)
def test_what_is_no_answer_of_onvif_is_refused(answer):
    with pytest.raises(onvif.NotOnvif):
        onvif.read_answer(answer)


def test_a_fault_of_the_login_is_told_apart():
    fault = b"<Envelope><Body><Fault><Value>ter:NotAuthorized</Value></Fault></Body></Envelope>"
    with pytest.raises(LoginRefused):
        onvif.read_answer(fault)


def test_the_login_is_that_of_onvif_s_programmer_s_guide():
    import base64

    nonce = base64.b64decode("LKqI6G/AikKCQrN0zqZFlg==")
    text = onvif.security("user", "userpassword", datetime(2010, 9, 16, 7, 50, 45, tzinfo=UTC), nonce)
    assert ">tuOSpGlFlIXsozq4HFNeeGeFLEI=<" in text
    assert "<Username>&lt;x&gt;" in onvif.security("<x>", "", datetime.now(UTC), nonce)


def test_the_largest_quick_picture_of_the_main_stream_is_recommended():
    plain = offers.Offer("rtsp", "rtsp://a/1", "tcp", 1920, 1080, "h264", 900, 1, "x", is_main=True)
    slow = replace(plain, width=3840, height=2160, elapsed_ms=offers.QUICK_MS + 1)
    sub = replace(plain, is_main=False, elapsed_ms=100)
    small = replace(plain, width=640, height=360, elapsed_ms=50)

    ranked = offers.ranked([small, slow, sub, plain])

    assert [offer.elapsed_ms for offer in ranked] == [900, 100, 50, 3001]
    assert [offer.is_recommended for offer in ranked] == [True, False, False, False]
    assert ranked[1:] == [
        replace(sub, note="As large."),
        replace(small, note="Smaller."),
        replace(slow, note="Slow: each picture would be late."),
    ]
    assert offers.ranked([]) == []


def test_what_a_camera_names_is_taken_at_the_host_that_was_asked_for_and_never_with_a_login():
    def at(address, port=None):
        return offers.as_asked(SourceKind.RTSP, address, "cam.example", port, allow_loopback=False)

    assert at("rtsp://10.0.0.3:8554/a?b=c") == "rtsp://cam.example:8554/a?b=c"
    assert at("rtsp://eve:pw@169.254.169.254/a", 1554) == "rtsp://cam.example:1554/a"
    assert at("http://10.0.0.3/a") is None
    assert at("rtsp://10.0.0.3:99999/a") is None
    assert offers.holds_login("rtsp://a/user=admin_password=x_channel=1")
    assert offers.holds_login("http://a/x?loginuse=1&Pwd=2")
    assert offers.holds_login("http://a/geheim%26gro%C3%9F/x", PASSWORD)
    for path, _ in (*offers.STREAMS, *offers.SNAPSHOTS):
        assert not offers.holds_login(f"http://a{path}")


# --- at real servers ----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_streams_are_found_by_the_paths_of_the_makes_measured_and_the_best_recommended(
    devices, broker, caplog
):
    job = ask(devices["rtsp"], web_port=devices["web"].port)
    result = found(job, broker)

    assert (result["ok"], result["message"]) == (True, "3 streams answer.")
    best, *others = result["offers"]
    assert (best["kind"], best["transport"], best["codec"]) == ("rtsp", "tcp", "h264")
    assert (best["width"], best["height"], best["address"]) == (1280, 720, devices["rtsp"].address(MAIN))
    assert best["is_recommended"]
    assert "Hikvision" in best["found_by"]
    assert {(one["kind"], one["width"], one["codec"]) for one in others} == {
        ("rtsp", 640, "h264"),
        ("http", 640, "mjpeg"),
    }
    assert all(one["bytes"] > 1000 and one["elapsed_ms"] >= 0 for one in result["offers"])
    assert all(one["note"] for one in result["offers"])
    rows = [list(MediaJob.objects.values("args", "result", "title")), list(Event.objects.values("payload"))]
    assert "geheim" not in json.dumps(rows) + caplog.text
    assert "sealed_password" not in MediaJob.objects.get().args


@pytest.mark.django_db(transaction=True)
def test_a_camera_that_speaks_onvif_is_believed_but_not_led_astray(devices, broker):
    speaking = devices["onvif"]
    wish = {"rtsp_port": devices["rtsp"].port, "web_port": speaking.port}
    refused = speaking.refused
    result = found(ask(speaking, kind="http", address=f"http://127.0.0.1:{speaking.port}/", **wish), broker)

    assert [(one["address"], one["width"]) for one in result["offers"]] == [
        (devices["rtsp"].address("/inner"), 1280),
        (f"http://127.0.0.1:{speaking.port}/onvif-snapshot?camera=1", 320),
    ]
    assert result["offers"][0]["found_by"] == "ONVIF, main"
    assert (result["tried"], result["withheld"], speaking.refused - refused) == (2, 1, 0)
    assert set(speaking.paths) == {
        "/onvif/device_service",
        "/onvif/media",
        "/onvif-snapshot?camera=1",
    }


@pytest.mark.django_db(transaction=True)
def test_a_wrong_login_is_tried_once_and_with_onvif_once(devices, broker):
    before, speaking = devices["login"].refused, devices["onvif"]
    asked, refused = len(speaking.paths), speaking.refused

    result = found(ask(devices["rtsp"], password="falsch", web_port=speaking.port), broker)

    assert (result["ok"], result["code"], result["offers"]) == (False, "login_refused", [])
    assert "lock accounts" in result["advice"]
    assert devices["login"].refused - before == 1
    assert (speaking.refused - refused, len(speaking.paths) - asked) == (1, 2)


@pytest.mark.django_db(transaction=True)
def test_a_silent_host_costs_no_more_than_its_time(devices, broker, monkeypatch):
    monkeypatch.setattr(stream_search, "STILL_S", 0.3)
    begun = time.monotonic()
    result = found(ask(devices["silent"]), broker)

    assert (result["ok"], result["code"], result["tried"]) == (False, "read_timed_out", 2)
    monkeypatch.setattr(stream_search, "STILL_S", 30)
    monkeypatch.setattr(stream_search, "TOTAL_S", 0.5)
    result = found(ask(devices["silent"]), broker)
    assert (result["code"], result["is_complete"]) == ("read_timed_out", False)
    assert time.monotonic() - begun < 20


@pytest.mark.django_db(transaction=True)
def test_no_seat_is_taken_from_pictures(devices, broker, settings):
    settings.CAPTURES_PER_HOST = 1
    with seats.seat(devices["rtsp"].address(MAIN)):
        result = found(ask(devices["rtsp"]), broker)

    assert (result["ok"], result["tried"], result["is_complete"]) == (False, 0, False)
    assert "no seat left" in result["message"]


@pytest.mark.django_db(transaction=True)
def test_what_gives_the_same_at_every_path_is_not_asked_for_all_of_them(devices, broker):
    result = found(ask(devices["same"]), broker)

    assert [one["found_by"] for one in result["offers"]] == ["answers at every path"]
    assert result["tried"] < 8


@pytest.mark.django_db(transaction=True)
def test_a_search_can_be_cancelled(devices, monkeypatch):
    monkeypatch.setattr(tracked, "LOOK_EVERY_S", 0)
    job = take(ask(devices["rtsp"]))
    lifecycle.cancel(MediaJob.objects.get(pk=job.pk), by="otto")

    tracked.do(job, detection.run)

    job = MediaJob.objects.get(pk=job.pk)
    assert (job.state, job.result) == ("cancelled", {})
    assert "sealed_password" not in job.args


# --- asked for, and chosen ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_click_chooses_a_stream_and_all_else_remains(devices, broker, api, operator, admin, viewer):
    camera = make_camera(
        kind="http",
        address=f"http://127.0.0.1:{devices['web'].port}/old.jpg",
        username=USER,
        password=PASSWORD,
        notes="North",
        deadline_s=7,
        said={"offline_after": 3},
    )
    address = f"/api/v1/cameras/{camera.pk}"
    assert api(viewer).post(f"{address}/detect/").status_code == 403
    asked = api(operator).post(f"{address}/detect/")
    job = MediaJob.objects.get(pk=asked.json()["id"])
    assert asked.status_code == 202
    assert found(job, broker)["offers"][0]["address"] == devices["web"].address(SNAPSHOT)

    wish = {"job": str(job.pk), "number": 0}
    assert api(operator).post(f"{address}/choose/", wish).status_code == 403
    assert api(admin).post(f"{address}/choose/", wish | {"number": 1}).status_code == 409
    chosen = api(admin).post(f"{address}/choose/", wish)

    assert (chosen.status_code, chosen.json()["address"]) == (200, devices["web"].address(SNAPSHOT))
    now = Camera.objects.get()
    assert (now.kind, now.username, now.sealed_password) == ("http", USER, camera.sealed_password)
    assert (now.notes, now.deadline_s, now.said) == ("North", 7, {"offline_after": 3})
    decision = Decision.objects.get(action="camera_updated")
    assert (decision.by, decision.facts["changed"]) == ("ada", ["address"])
    other = make_camera()
    refused = api(admin).post(f"/api/v1/cameras/{other.pk}/choose/", wish)
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_to_choose")


@pytest.mark.django_db
def test_addresses_are_checked_and_stored_passwords_are_for_those_who_set_up(api, operator, admin, settings):
    camera = make_camera(password="geheim")
    wish = {"kind": "rtsp", "address": "rtsp://192.0.2.9/", "camera": camera.pk}
    ask_for = "/api/v1/cameras/detect/"
    assert api(operator).post(ask_for, wish).status_code == 403
    assert api(admin).post(ask_for, wish).status_code == 202
    settings.ALLOW_LOOPBACK_CAMERAS = False
    refused = api(operator).post(ask_for, {"kind": "rtsp", "address": "rtsp://127.0.0.1/"})
    assert (refused.status_code, "address" in refused.json()["errors"]) == (400, True)
    folder = make_camera(kind="files", address="/srv/pictures")
    assert api(admin).post(f"/api/v1/cameras/{folder.pk}/detect/").json()["code"] == "not_on_network"
