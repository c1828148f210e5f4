"""Every fault gives its own error, and always before the deadline, whatever the peer does."""

import logging
import os
import pickle
import time
from datetime import UTC, datetime

import pytest

import captures.imaging.pictures
from cameras.sources import (
    AddressRefused,
    BrokenPicture,
    CameraRefused,
    ConnectTimedOut,
    LoginRefused,
    NameNotFound,
    NoKeyFrame,
    NotAPicture,
    NotAVideo,
    NotFound,
    ReadTimedOut,
    SourceError,
    SourceKind,
    SourceSettings,
    TlsRefused,
    TooLarge,
    Unreachable,
    errors,
    open_source,
    pictures,
)
from tests import misbehaving_cameras as bad
from tests.test_imaging_pictures import jpeg_of_size, png_header
from timelapser.demo.background import InBackground
from timelapser.demo.feed import Feed, H264Encoder
from timelapser.demo.http_camera import HttpCamera
from timelapser.demo.login import Login
from timelapser.demo.rtsp_server import Mount, RtspServer
from timelapser.demo.scene import Scene

DEADLINE_S = 1.2
MARGIN_S = 0.5
SECRET = "s3cr3t-in-no-output"


@pytest.fixture(scope="module")
def scene():
    return Scene(640, 360)


@pytest.fixture(scope="module")
def rtsp(scene):
    feed = Feed(scene, lambda: H264Encoder(640, 360, 10, crf=10), fps=10)
    lossy = Feed(scene, lambda: H264Encoder(640, 360, 10, crf=10), fps=10, key_every_s=0.3)
    slow = Feed(scene, fps=10, key_every_s=8, joins_at_key=False)
    soon = Feed(scene, fps=10, key_every_s=0.6, joins_at_key=False)
    mounts = {
        "/fine": Mount(feed),
        "/locked": Mount(feed, Login("admin", "right")),
        "/silent-describe": bad.SilentDescribe(feed),
        "/silent-setup": bad.SilentSetup(feed),
        "/no-packets": bad.NoPackets(feed),
        "/stall": bad.Stalling(feed),
        "/close": bad.Closing(feed),
        "/audio": bad.AudioOnly(feed),
        "/odd-name": bad.OddlyNamed(feed),
        "/garbage-sdp": bad.GarbageSdp(feed),
        "/garbage-payload": bad.GarbagePayload(feed),
        "/loss-5": bad.Lossy(lossy, 0.05),
        "/loss-20": bad.Lossy(lossy, 0.20),
        "/key-in-8-s": bad.LateKeyFrame(slow),
        "/key-in-0.6-s": bad.LateKeyFrame(soon),
        "/403": bad.Refusing(feed, 403),
        "/503": bad.Refusing(feed, 503),
        "/453": bad.Refusing(feed, 453),
    }
    server = RtspServer(mounts)
    with InBackground(server):
        yield server


@pytest.fixture(scope="module")
def http(scene):
    camera = HttpCamera(scene)
    bad.http_routes(camera, bad.make_picture(scene, datetime.now(UTC)))
    with InBackground(camera):
        yield camera


@pytest.fixture(scope="module")
def raw():
    talks = (bad.stay_silent, bad.close_at_once, bad.talk_garbage, bad.endless_header_line, bad.drip_header)
    servers = {talk.__name__: bad.RawServer(talk) for talk in talks}
    with InBackground(*servers.values()):
        yield {name: f"127.0.0.1:{server.port}" for name, server in servers.items()}


def fail(kind, address, **settings):
    """The error of a read that must fail in time, and what it took."""
    settings = {"username": "admin", "password": SECRET, "allow_loopback": True} | settings
    settings = {"deadline_s": DEADLINE_S, "connect_timeout_s": DEADLINE_S / 2} | settings
    source = open_source(SourceSettings(kind=kind, address=address, **settings))
    started = time.monotonic()
    with pytest.raises(SourceError) as caught:
        source.read()
    assert time.monotonic() - started < settings["deadline_s"] + MARGIN_S
    assert_tells_no_secret(caught)
    return caught.type


def assert_tells_no_secret(caught):
    error = caught.value
    assert SECRET not in f"{error} {error!r} {error.__dict__} {caught.getrepr(showlocals=False)}"
    assert error.__context__ is None or error.__suppress_context__
    trace = error.__traceback__
    while trace is not None:
        if "/cameras/" in trace.tb_frame.f_code.co_filename:
            assert SECRET not in repr({k: v for k, v in trace.tb_frame.f_locals.items() if k != "self"})
        trace = trace.tb_next


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/missing", NotFound),
        ("/locked", LoginRefused),
        ("/403", LoginRefused),
        ("/503", Unreachable),
        ("/453", NotAVideo),
        ("/silent-describe", ReadTimedOut),
        ("/silent-setup", ReadTimedOut),
        ("/no-packets", ReadTimedOut),
        ("/stall", ReadTimedOut),
        ("/audio", NotAVideo),
        ("/garbage-sdp", NotAVideo),
        ("/garbage-payload", NoKeyFrame),
        ("/key-in-8-s", NoKeyFrame),
    ],
)
def test_rtsp_fault_gives_its_error_in_time(rtsp, path, expected, transport):
    assert fail(SourceKind.RTSP, rtsp.address(path), transport=transport) is expected


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("path", ["/loss-5", "/loss-20"])
def test_rtsp_packet_loss_ends_in_time_and_gives_no_smear(rtsp, path, transport):
    # Chance decides whether anything of a key frame can be decoded at all.
    assert fail(SourceKind.RTSP, rtsp.address(path), transport=transport) in (BrokenPicture, NoKeyFrame)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rtsp_waits_for_the_next_key_frame(rtsp, transport):
    address = rtsp.address("/key-in-0.6-s")
    settings = SourceSettings(kind=SourceKind.RTSP, address=address, transport=transport, allow_loopback=True)
    still = open_source(settings).read()
    assert (still.width, still.height, still.codec) == (640, 360, "h264")


def test_rtsp_stream_may_have_a_name_in_any_encoding(rtsp):
    address = rtsp.address("/odd-name")
    settings = SourceSettings(kind=SourceKind.RTSP, address=address, allow_loopback=True)
    assert open_source(settings).read().width == 640


def test_rtsp_camera_that_closes_in_the_middle_is_unreachable(rtsp):
    assert fail(SourceKind.RTSP, rtsp.address("/close")) is Unreachable


@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        ("stay_silent", ReadTimedOut),
        ("close_at_once", Unreachable),
        ("talk_garbage", ReadTimedOut),
        ("endless_header_line", ReadTimedOut),
    ],
)
def test_rtsp_peer_that_speaks_no_rtsp(raw, talk, expected):
    assert fail(SourceKind.RTSP, f"rtsp://{raw[talk]}/x") is expected


@pytest.mark.parametrize("kind", [SourceKind.RTSP, SourceKind.HTTP, SourceKind.MJPEG])
def test_refused_port(kind):
    scheme = "rtsp" if kind == SourceKind.RTSP else "http"
    with bad.closed_port() as port:
        assert fail(kind, f"{scheme}://127.0.0.1:{port}/x") is CameraRefused


@pytest.mark.parametrize("kind", [SourceKind.RTSP, SourceKind.HTTP, SourceKind.MJPEG])
def test_unknown_name(kind):
    scheme = "rtsp" if kind == SourceKind.RTSP else "http"
    assert fail(kind, f"{scheme}://no-such-camera.invalid/x") is NameNotFound


@pytest.mark.parametrize("kind", [SourceKind.RTSP, SourceKind.HTTP, SourceKind.MJPEG])
def test_name_that_resolves_to_loopback_is_refused_when_read(kind, monkeypatch, rtsp):
    # The rebinding name server: a name that looks harmless when written and points inside when read.
    monkeypatch.setattr("socket.getaddrinfo", lambda host, port, **_: [(2, 1, 6, "", ("127.0.0.1", port))])
    scheme = "rtsp" if kind == SourceKind.RTSP else "http"
    assert fail(kind, f"{scheme}://camera.example:{rtsp.port}/fine", allow_loopback=False) is AddressRefused


def test_name_server_that_hangs_does_not_hold_the_deadline_up(monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: time.sleep(DEADLINE_S + 2))
    assert fail(SourceKind.RTSP, "rtsp://camera.example/x") is NameNotFound


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/missing", NotFound),
        ("/drip", ReadTimedOut),
        ("/endless", TooLarge),
        ("/too-long", BrokenPicture),
        ("/cut", BrokenPicture),
        ("/html", NotAPicture),
        ("/empty", NotAPicture),
        ("/huge-header", NotAPicture),
        ("/busy", Unreachable),
        ("/loop", NotFound),
        ("/to-metadata", AddressRefused),
        ("/to-file", AddressRefused),
        ("/to-nowhere", AddressRefused),
    ],
)
def test_http_fault_gives_its_error_in_time(http, path, expected):
    assert fail(SourceKind.HTTP, http.address(path), max_bytes=2_000_000) is expected


@pytest.mark.parametrize("kind", [SourceKind.HTTP, SourceKind.MJPEG])
@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        ("stay_silent", ReadTimedOut),
        ("close_at_once", Unreachable),
        ("talk_garbage", NotAPicture),
        ("drip_header", ReadTimedOut),
    ],
)
def test_http_peer_that_speaks_no_http(raw, kind, talk, expected):
    assert fail(kind, f"http://{raw[talk]}/x") is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/snapshot.jpg", NotAVideo),
        ("/html", NotAVideo),
        ("/parts-never-whole", BrokenPicture),
        ("/parts-none", ReadTimedOut),
        ("/missing", NotFound),
    ],
)
def test_mjpeg_fault_gives_its_error_in_time(http, path, expected):
    assert fail(SourceKind.MJPEG, http.address(path)) is expected


@pytest.mark.parametrize("path", ["/parts-by-boundary", "/parts-first-cut", "/parts-dashes"])
def test_mjpeg_takes_the_first_whole_part(http, path):
    settings = SourceSettings(kind=SourceKind.MJPEG, address=http.address(path), allow_loopback=True)
    still = open_source(settings).read()
    assert (still.width, still.height, still.codec) == (640, 360, "mjpeg")


@pytest.mark.parametrize("path", ["/nonsense-type", "/once"])
def test_http_tolerates_wrong_type_and_a_redirect(http, path):
    settings = SourceSettings(kind=SourceKind.HTTP, address=http.address(path), allow_loopback=True)
    assert open_source(settings).read().codec == "mjpeg"


def test_login_in_the_query_is_told_in_no_log(http, caplog):
    caplog.set_level(logging.DEBUG)
    address = f"{http.address('/snapshot.jpg')}?user=admin&pwd={SECRET}"
    open_source(SourceSettings(kind=SourceKind.HTTP, address=address, allow_loopback=True)).read()
    fail(SourceKind.HTTP, address.replace("snapshot", "missing"))
    assert SECRET not in caplog.text


def test_self_signed_https_is_refused_until_the_check_is_off(scene, tmp_path):
    context, _ = bad.self_signed(tmp_path)
    camera = HttpCamera(scene, tls=context)
    with InBackground(camera):
        address = camera.address("/snapshot.jpg").replace("127.0.0.1", "localhost")
        assert fail(SourceKind.HTTP, address) is TlsRefused
        settings = SourceSettings(
            kind=SourceKind.HTTP, address=address, verify_tls=False, allow_loopback=True
        )
        assert open_source(settings).read().width == 640


def test_self_signed_rtsps_is_refused_until_the_check_is_off(scene, tmp_path):
    context, _ = bad.self_signed(tmp_path)
    server = RtspServer({"/fine": Mount(Feed(scene, fps=10))}, tls=context)
    with InBackground(server):
        address = server.address("/fine").replace("127.0.0.1", "localhost")
        assert fail(SourceKind.RTSP, address) is TlsRefused
        settings = SourceSettings(
            kind=SourceKind.RTSP, address=address, verify_tls=False, allow_loopback=True
        )
        assert open_source(settings).read().width == 640


def test_rtsps_with_a_certificate_that_is_vouched_for(scene, tmp_path, monkeypatch):
    context, path = bad.self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    server = RtspServer({"/fine": Mount(Feed(scene, fps=10))}, tls=context)
    with InBackground(server):
        address = server.address("/fine").replace("127.0.0.1", "localhost")
        settings = SourceSettings(kind=SourceKind.RTSP, address=address, allow_loopback=True)
        assert open_source(settings).read().width == 640
        wrong_name = SourceSettings(
            kind=SourceKind.RTSP, address=server.address("/fine"), allow_loopback=True
        )
        with pytest.raises(TlsRefused):
            open_source(wrong_name).read()


def test_plain_port_is_not_tls(rtsp):
    address = rtsp.address("/fine").replace("rtsp:", "rtsps:")
    assert fail(SourceKind.RTSP, address, verify_tls=False) is ConnectTimedOut


def test_login_is_not_sent_to_another_host(scene):
    """The redirect leads to another port, which is another origin and must not learn the password."""
    locked = HttpCamera(scene, login=Login("admin", SECRET, "basic"))
    first = HttpCamera(scene, login=Login("admin", SECRET, "basic"))
    with InBackground(locked, first):
        bad.http_routes(first, b"")
        location = locked.address("/snapshot.jpg")

        async def elsewhere(request, writer):
            await bad.send_answer(writer, 302, headers={"Location": location})

        first.routes["/elsewhere"] = elsewhere
        assert fail(SourceKind.HTTP, first.address("/elsewhere")) is LoginRefused


def test_file_faults(tmp_path, scene):
    picture = bad.make_picture(scene, datetime.now(UTC))
    (tmp_path / "cut.jpg").write_bytes(picture[: len(picture) // 2])
    (tmp_path / "empty.png").touch()
    (tmp_path / "page.jpg").write_bytes(b"<html>")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link.jpg").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe.jpg")
    expected = {
        "cut.jpg": BrokenPicture,
        "empty.png": BrokenPicture,
        "page.jpg": NotAPicture,
        "empty": NotFound,
        "missing.jpg": NotFound,
        "pipe.jpg": NotAPicture,
    }
    found = {name: fail(SourceKind.FILES, str(tmp_path / name), folders=(tmp_path,)) for name in expected}
    assert found == expected
    with pytest.raises(AddressRefused):
        open_source(SourceSettings(SourceKind.FILES, str(tmp_path / "link.jpg"), folders=(tmp_path,)))


def test_newest_picture_that_links_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "outside.jpg").write_bytes(b"secret")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "newest.jpg").symlink_to(tmp_path / "outside.jpg")
    assert fail(SourceKind.FILES, str(folder), folders=(folder,)) is AddressRefused


def test_login_too_long_for_rtsp_says_so(rtsp):
    assert fail(SourceKind.RTSP, rtsp.address("/locked"), password=SECRET * 10) is LoginRefused


def all_errors(base=SourceError):
    return [base, *(found for child in base.__subclasses__() for found in all_errors(child))]


def test_errors_are_told_apart_by_code_and_each_gives_advice():
    codes = [error.code for error in all_errors()]
    assert len(set(codes)) == len(codes)
    assert all(error.__dict__.get("advice") and str(error()) == error.__doc__ for error in all_errors())


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.code)
def test_errors_travel_between_processes(kind):
    error = pickle.loads(pickle.dumps(kind("what happened")))  # noqa: S301 - our own bytes
    assert (type(error), str(error)) == (kind, "what happened")


def test_settings_show_no_secret():
    settings = SourceSettings(SourceKind.HTTP, f"http://camera/?password={SECRET}", password=SECRET)
    assert SECRET not in repr(settings)


def test_tree_in_the_docstring_names_every_error():
    assert [e.__name__ for e in all_errors() if e.__name__ not in errors.__doc__] == []


@pytest.mark.parametrize("make", [png_header, jpeg_of_size])
def test_bomb_is_refused_by_what_its_header_says(tmp_path, make):
    assert pictures.MAX_PIXELS == captures.imaging.pictures.MAX_PIXELS
    (tmp_path / "bomb.png").write_bytes(make(20_000, 20_000) + b"IEND\xff\xd9")
    source = open_source(
        SourceSettings(kind=SourceKind.FILES, address=str(tmp_path / "bomb.png"), folders=(tmp_path,))
    )
    with pytest.raises(TooLarge, match="20000 x 20000"):
        source.read()
