"""One contract for all sources: what every one of them must do with a camera that behaves."""

import logging
import os
import subprocess
import time
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from cameras.sources import LoginRefused, SourceError, SourceKind, SourceSettings, open_source
from tests import misbehaving_cameras as bad
from tests.replayed_cameras import Recording, replay
from timelapser.demo.background import InBackground
from timelapser.demo.clock import read_clock
from timelapser.demo.feed import Feed, JpegEncoder
from timelapser.demo.http_camera import HttpCamera
from timelapser.demo.login import Login
from timelapser.demo.rtsp_server import Mount, RtspServer
from timelapser.demo.scene import Scene

RTSP, HTTP, MJPEG, FILES = SourceKind.RTSP, SourceKind.HTTP, SourceKind.MJPEG, SourceKind.FILES
SIZE = (640, 360)
USERNAME, PASSWORD = "ädmin@/", "p@s:s/?#% wörd"
LOGIN = {"username": USERNAME, "password": PASSWORD}

# name: (kind, address within the servers below, further settings)
OPEN = {
    "rtsp-tcp": (RTSP, "rtsp/h264", {}),
    "rtsp-udp": (RTSP, "rtsp/h264", {"transport": "udp"}),
    "rtsp-mjpeg-tcp": (RTSP, "rtsp/jpeg", {}),
    "rtsp-mjpeg-udp": (RTSP, "rtsp/jpeg", {"transport": "udp"}),
    "rtsps": (RTSP, "rtsps/h264", {"verify_tls": False}),
    "http-jpeg": (HTTP, "http/snapshot.jpg", {}),
    "http-png": (HTTP, "http/snapshot.png", {}),
    "https": (HTTP, "https/snapshot.jpg", {"verify_tls": False}),
    "mjpeg": (MJPEG, "http/stream.mjpg", {}),
    "file": (FILES, "files/new.jpg", {}),
    "folder": (FILES, "files", {}),
}
LOCKED = {
    "rtsp-basic": (RTSP, "rtsp/basic", LOGIN),
    "rtsp-basic-udp": (RTSP, "rtsp/basic", LOGIN | {"transport": "udp"}),
    "rtsp-digest": (RTSP, "rtsp/digest", LOGIN),
    "rtsp-digest-qop": (RTSP, "rtsp/digest-qop", LOGIN),
    "http-basic": (HTTP, "http-basic/snapshot.jpg", LOGIN),
    "http-digest": (HTTP, "http-digest/snapshot.jpg", LOGIN),
    "http-digest-qop": (HTTP, "http-digest-qop/snapshot.jpg", LOGIN),
    "mjpeg-basic": (MJPEG, "http-basic/stream.mjpg", LOGIN),
    "mjpeg-digest": (MJPEG, "http-digest/stream.mjpg", LOGIN),
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """What stands at the first part of the addresses above, as real addresses."""
    folder = tmp_path_factory.mktemp("certificate")
    tls, _ = bad.self_signed(folder)
    scene = Scene(*SIZE)
    logins = {
        "basic": Login(USERNAME, PASSWORD, "basic"),
        "digest": Login(USERNAME, PASSWORD),
        "digest-qop": Login(USERNAME, PASSWORD, has_qop=True),
    }
    video = Feed(scene, fps=10)
    mounts = {"/h264": Mount(video), "/jpeg": Mount(Feed(scene, JpegEncoder, fps=10))}
    mounts |= {f"/{name}": Mount(video, login) for name, login in logins.items()}
    running = {
        "rtsp": RtspServer(mounts),
        "rtsps": RtspServer({"/h264": Mount(Feed(scene, fps=10))}, tls=tls),
        "http": HttpCamera(scene),
        "https": HttpCamera(scene, tls=tls),
        **{f"http-{name}": HttpCamera(scene, login=login) for name, login in logins.items()},
    }
    with InBackground(*running.values()):
        yield {name: server.address("") for name, server in running.items()}


@pytest.fixture
def pictures(tmp_path):
    """A folder: the newest picture is neither the last by name nor the last written."""
    scene = Scene(*SIZE)
    now = datetime.now(UTC)
    ages = {"new.jpg": 0, "old.jpg": 60, "z-older.jpg": 120, ".hidden.jpg": -60, "note.txt": -60}
    for name, age_s in ages.items():
        moment = now - timedelta(seconds=age_s)
        (tmp_path / name).write_bytes(bad.make_picture(scene, moment))
        os.utime(tmp_path / name, (moment.timestamp(),) * 2)
    return tmp_path


def make_settings(case, servers, pictures, **changes):
    kind, place, settings = (OPEN | LOCKED)[case]
    server, _, path = place.partition("/")
    address = str(pictures / path) if kind == FILES else f"{servers[server]}/{path}"
    settings = {"allow_loopback": True, "folders": (pictures,)} | settings | changes
    return SourceSettings(kind=kind, address=address, **settings)


def pixels_of(still):
    if still.pixels is not None:
        return still.pixels
    return cv2.imdecode(np.frombuffer(still.encoded, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize("case", [*OPEN, *LOCKED])
def test_source_reads_a_still_of_now(case, servers, pictures):
    before = datetime.now(UTC)
    still = open_source(make_settings(case, servers, pictures)).read()
    after = datetime.now(UTC)
    pixels = pixels_of(still)
    assert (still.width, still.height) == SIZE
    assert (pixels.shape, pixels.dtype) == ((SIZE[1], SIZE[0], 3), np.uint8)
    assert (still.encoded is None) != (still.pixels is None)
    # A stream that others watch too may give a picture begun just before we asked.
    assert before - timedelta(seconds=1) <= read_clock(pixels) <= after
    assert 0 < still.elapsed_s <= (after - before).total_seconds()


@pytest.mark.parametrize("case", [*OPEN, *LOCKED])
def test_source_reads_again_and_time_goes_on(case, servers, pictures):
    source = open_source(make_settings(case, servers, pictures))
    first, second = (read_clock(pixels_of(source.read())) for _ in range(2))
    assert second > first or (source.settings.kind == FILES and second == first)


def test_camera_bytes_are_handed_on_untouched(servers, pictures):
    still = open_source(make_settings("file", servers, pictures)).read()
    assert still.encoded == (pictures / "new.jpg").read_bytes()


@pytest.mark.parametrize(
    ("case", "codec"),
    [("rtsp-tcp", "h264"), ("rtsp-mjpeg-tcp", "mjpeg"), ("http-png", "png"), ("mjpeg", "mjpeg")],
)
def test_codec_is_told(case, codec, servers, pictures):
    assert open_source(make_settings(case, servers, pictures)).read().codec == codec


@pytest.mark.parametrize("password", ["wrong", ""])
@pytest.mark.parametrize("case", LOCKED)
def test_wrong_password_is_refused_and_told_nowhere(case, password, servers, pictures, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    secret = password and f"{password}-s3cr3t@"
    source = open_source(make_settings(case, servers, pictures, password=secret))
    with pytest.raises(LoginRefused) as caught:
        source.read()
    output = capfd.readouterr()
    trace = "".join(traceback.format_exception(caught.value))
    told = f"{trace} {caught.value!r} {source.settings!r} {caplog.text} {output.out} {output.err}"
    assert "s3cr3t" not in told


@pytest.mark.parametrize("case", LOCKED)
def test_right_password_is_told_nowhere(case, servers, pictures, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    source = open_source(make_settings(case, servers, pictures))
    still = source.read()
    output = capfd.readouterr()
    told = f"{still!r} {source!r} {source.settings!r} {caplog.text} {output.out} {output.err}"
    assert "wörd" not in told
    assert "w%C3%B6rd" not in told


@pytest.mark.parametrize(
    ("kind", "scheme"), [(RTSP, "rtsp"), (RTSP, "rtsps"), (HTTP, "http"), (HTTP, "https"), (MJPEG, "http")]
)
def test_deadline_holds_against_a_silent_peer(kind, scheme):
    silent = bad.RawServer(bad.stay_silent)
    with InBackground(silent):
        settings = SourceSettings(
            kind=kind,
            address=f"{scheme}://127.0.0.1:{silent.port}/x",
            allow_loopback=True,
            verify_tls=False,
            deadline_s=0.6,
        )
        started = time.monotonic()
        with pytest.raises(SourceError):
            open_source(settings).read()
        assert time.monotonic() - started < 0.6 + 0.5


@pytest.fixture(scope="module")
def gstreamer():
    """The ports of GStreamer's server; see tests/gst_rtsp_server.py for the packages it needs."""
    python = "/usr/bin/python3"
    check = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if not Path(python).exists() or subprocess.run([python, "-c", check], capture_output=True).returncode:
        reason = "GStreamer's RTSP server is not installed (apt: gir1.2-gst-rtsp-server-1.0 python3-gi ...)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    script = Path(__file__).with_name("gst_rtsp_server.py")
    child = subprocess.Popen(
        [python, str(script), "geheim"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        yield dict(pair.split("=") for pair in child.stdout.readline().split())
        child.stdin.close()
        child.wait(20)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("server", ["open", "basic", "digest"])
@pytest.mark.parametrize(("path", "codec"), [("/h264", "h264"), ("/h265", "hevc"), ("/mjpeg", "mjpeg")])
def test_server_that_others_wrote_gives_a_still(gstreamer, server, path, codec, transport):
    settings = SourceSettings(
        RTSP,
        f"rtsp://127.0.0.1:{gstreamer[server]}{path}",
        username="" if server == "open" else "admin",
        password="" if server == "open" else "geheim",
        transport=transport,
        allow_loopback=True,
    )
    still = open_source(settings).read()
    assert (still.width, still.height, still.codec) == (*SIZE, codec)


@pytest.mark.parametrize("server", ["basic", "digest"])
def test_server_that_others_wrote_refuses_a_wrong_password(gstreamer, server):
    address = f"rtsp://127.0.0.1:{gstreamer[server]}/h264"
    settings = SourceSettings(RTSP, address, username="admin", password="falsch", allow_loopback=True)
    with pytest.raises(LoginRefused):
        open_source(settings).read()


# make: recorded (DESCRIBE, SETUP, PLAY)
MAKES = {
    "anpviz": ("anpviz_sdp", None, None),
    "bunny": ("bunny_describe", "bunny_setup", "bunny_play"),
    "bunny-bad-time": ("bunny_describe", "bunny_setup", "bad_rtptime"),
    "dahua": ("dahua_describe_h264_aac_onvif", "dahua_setup", "dahua_play"),
    "foscam": ("foscam_describe", None, None),
    "geovision": ("geovision_sdp", None, None),
    "gw-main": ("gw_main_describe", "gw_main_setup_video", "gw_main_play"),
    "gw-sub": ("gw_sub_describe", "gw_sub_setup", "gw_sub_play"),
    "h264dvr": ("h264dvr_describe", None, "h264dvr_play"),
    "hikvision": ("hikvision_describe", "hikvision_setup", "hikvision_play"),
    "hikvision-space": ("hikvision_describe", "hikvision_setup_ssrc_space", "hikvision_play"),
    "ipcam": ("ipcam_describe", None, None),
    "laureii": ("hikvision_describe", None, "laureii_play"),
    "luckfox": ("missing_content_type_describe", "luckfox_rkipc_setup_tcp", None),
    "macrovideo": ("macrovideo_describe", None, None),
    "reolink": ("reolink_describe", "reolink_setup", "reolink_play"),
    "reolink-order": ("reolink_describe_control_first", "reolink_setup", "reolink_play"),
    "ubiquiti": ("ubiquiti_sdp", None, None),
    "vstarcam": ("vstarcam_describe", None, None),
}


@pytest.fixture(scope="session")
def recorded_answers():
    folder = Path(os.environ.get("TIMELAPSER_REAL_MEDIA", "")) / "f2_rtsp_answers"
    if not folder.is_dir():
        pytest.skip("recorded answers of real cameras need TIMELAPSER_REAL_MEDIA")
    return folder


@pytest.fixture(scope="module")
def video():
    return Feed(Scene(*SIZE), fps=10)


def read_replayed(recording, video, deadline_s=5.0):
    server = bad.RawServer(replay(recording, video))
    with InBackground(server):
        address = f"rtsp://127.0.0.1:{server.port}/stream"
        settings = SourceSettings(RTSP, address, allow_loopback=True, deadline_s=deadline_s)
        return open_source(settings).read()


@pytest.mark.parametrize("make", MAKES)
def test_answers_of_a_real_make_lead_to_a_still(make, recorded_answers, video):
    still = read_replayed(Recording.load(recorded_answers, *MAKES[make]), video)
    assert (still.width, still.height) == SIZE
    assert read_clock(still.pixels) is not None


@pytest.mark.parametrize("describe", ["anjvision_describe", "dahua_describe_h265_pcma", "tplink_sdp"])
def test_make_that_promises_h265_and_sends_h264_is_an_error_in_time(describe, recorded_answers, video):
    recording = Recording.load(recorded_answers, describe, "dahua_setup", "dahua_play")
    started = time.monotonic()
    with pytest.raises(SourceError):
        read_replayed(recording, video, deadline_s=1.0)
    assert time.monotonic() - started < 3


def test_make_with_an_incomplete_challenge_refuses_the_login(recorded_answers, video):
    with pytest.raises(LoginRefused):
        read_replayed(Recording.load(recorded_answers, "longse_unauthorized"), video)
