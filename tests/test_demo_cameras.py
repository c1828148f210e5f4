"""The demonstration cameras: what they show, and that programs of others can watch them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from cameras.sources import SourceKind, SourceSettings, open_source
from timelapser.demo.background import InBackground
from timelapser.demo.clock import paint_clock, read_clock
from timelapser.demo.feed import Feed, JpegEncoder, split_units
from timelapser.demo.rtsp_server import Mount, RtspServer
from timelapser.demo.scene import DAY_S, HARBOUR, LAKESIDE, VIEWS, Scene

ROOT = Path(__file__).resolve().parent.parent
MOMENT = datetime(2026, 3, 29, 1, 59, 59, 987_000, tzinfo=UTC)


@pytest.mark.parametrize("quality", [40, 70, 95])
@pytest.mark.parametrize("size", [(200, 150), (320, 180), (800, 600), (1280, 720), (1921, 1079)])
def test_clock_survives_scaling_and_jpeg(size, quality):
    pixels = cv2.resize(Scene().draw(MOMENT), size, interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    assert read_clock(cv2.imdecode(encoded, cv2.IMREAD_COLOR)) == MOMENT
    assert read_clock(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)) == MOMENT


@pytest.mark.parametrize("milliseconds", [0, 1, 999, 1_700_000_000_000, 2**48 - 1])
def test_clock_reads_what_was_painted(milliseconds):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=min(milliseconds, 2**47 // 2))
    pixels = np.zeros((180, 320, 3), np.uint8)
    paint_clock(pixels, moment)
    assert read_clock(pixels) == moment


def test_clock_is_none_where_there_is_none():
    chance = np.random.default_rng(5)
    noise = chance.integers(0, 256, (200, 180, 320, 3), dtype=np.uint8)
    assert [read_clock(picture) for picture in noise if read_clock(picture)] == []
    for flat in (0, 128, 255):
        assert read_clock(np.full((180, 320, 3), flat, np.uint8)) is None
    assert read_clock(np.zeros((10, 10, 3), np.uint8)) is None


def test_clock_with_a_flipped_cell_is_none():
    pixels = Scene(600, 300).draw(MOMENT)
    pixels[-10:, 300:310] = 255 - pixels[-1, 305]
    assert read_clock(pixels) is None


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_scene_has_day_and_night_and_moves(view):
    scene = Scene(640, 360, view)
    pictures = [scene.draw(MOMENT + timedelta(seconds=DAY_S * share / 12)) for share in range(12)]
    brightness = [picture[: 360 // 2].mean() for picture in pictures]
    assert max(brightness) > 3 * min(brightness)
    moved = cv2.absdiff(scene.draw(MOMENT), scene.draw(MOMENT + timedelta(seconds=1)))
    assert 0.005 < (moved > 10).mean() < 0.5
    assert np.array_equal(scene.draw(MOMENT), Scene(640, 360, view).draw(MOMENT))


def test_views_differ():
    pictures = [Scene(640, 360, view).draw(MOMENT).astype(int) for view in (HARBOUR, LAKESIDE)]
    assert np.abs(pictures[0] - pictures[1]).mean() > 10


def test_split_units_knows_both_start_codes():
    assert split_units(b"\0\0\0\1gab\0\0\1h\0\0\3c\0\0\0\1ex") == [b"gab", b"h\0\0\3c", b"ex"]


@pytest.fixture(scope="module")
def video():
    return Feed(Scene(640, 360), fps=10)


@pytest.fixture(scope="module")
def server(video):
    running = RtspServer({"/h264": Mount(video), "/jpeg": Mount(Feed(Scene(640, 360), JpegEncoder, fps=10))})
    with InBackground(running):
        yield running


def read_still(address, **settings):
    return open_source(SourceSettings(SourceKind.RTSP, address, allow_loopback=True, **settings)).read()


def wait_until(condition, timeout_s=10.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)


def test_nobody_watching_costs_nothing(server, video):
    read_still(server.address("/h264"))
    wait_until(lambda: not video.is_encoding)


def test_many_watch_at_once(server):
    with ThreadPoolExecutor(8) as pool:
        addresses = [server.address(path) for path in ("/h264", "/jpeg") * 8]
        stills = list(pool.map(read_still, addresses))
    assert {(still.width, still.height) for still in stills} == {(640, 360)}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("path", ["/h264", "/jpeg"])
def test_ffmpeg_watches_without_complaint(server, path, transport, tmp_path):
    film = tmp_path / "frames-%d.png"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-rtsp_transport", transport,
               "-i", server.address(path), "-frames:v", "5", "-fps_mode", "passthrough", str(film)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    clocks = [read_clock(cv2.imread(str(film) % number)) for number in range(1, 6)]
    assert clocks == sorted(set(clocks))


def talk(server, *requests):
    """The status of each answer on one connection."""
    statuses = []
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        stream = connection.makefile("rb")
        for number, request in enumerate(requests):
            connection.sendall(f"{request}\r\nCSeq: {number}\r\n\r\n".encode())
            head = {}
            statuses.append(int(stream.readline().split()[1]))
            while line := stream.readline().strip():
                name, _, value = line.decode().partition(": ")
                head[name] = value
            assert head["CSeq"] == str(number)
            stream.read(int(head.get("Content-Length", 0)))
        stream.close()
    return statuses


def test_rtsp_speaks_the_protocol(server):
    where = server.address("/h264")
    assert talk(
        server,
        f"OPTIONS {where} RTSP/1.0",
        f"DESCRIBE {where} RTSP/1.0",
        f"PLAY {where} RTSP/1.0",
        f"SETUP {where}/track1 RTSP/1.0\r\nTransport: RTP/AVP;multicast",
        f"SETUP {where}/track1 RTSP/1.0\r\nTransport: RTP/AVP/TCP;unicast;interleaved=4-5",
        f"GET_PARAMETER {where} RTSP/1.0\r\nContent-Length: 0",
        f"RECORD {where} RTSP/1.0",
        f"DESCRIBE {server.address('/none')} RTSP/1.0",
        f"TEARDOWN {where} RTSP/1.0",
    ) == [200, 200, 455, 461, 200, 200, 405, 404, 200]


def start_demo(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "timelapser.demo", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONWARNINGS": "default"},
    )


def test_demo_runs_until_it_is_told_to_stop():
    with start_demo("--rtsp-port", "0", "--http-port", "0") as demo:
        addresses = json.loads(demo.stdout.readline())
        for kind, address in addresses.items():
            before = datetime.now(UTC)
            still = open_source(SourceSettings(SourceKind(kind), address, allow_loopback=True)).read()
            pixels = still.pixels
            if pixels is None:
                pixels = cv2.imdecode(np.frombuffer(still.encoded, np.uint8), cv2.IMREAD_COLOR)
            assert (still.width, still.height) == (1280, 720)
            assert before - timedelta(milliseconds=1) <= read_clock(pixels) <= datetime.now(UTC)
        demo.send_signal(signal.SIGTERM)
        output, complaints = demo.communicate(timeout=20)
        assert (demo.returncode, output, complaints) == (0, "", "")


def test_demo_says_that_its_port_is_in_use():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with start_demo("--http-port", str(holder.getsockname()[1])) as demo:
            output, complaints = demo.communicate(timeout=20)
    assert (demo.returncode, output) == (1, "")
    assert complaints.startswith("The demonstration cameras cannot start: ")
    assert "Traceback" not in complaints
