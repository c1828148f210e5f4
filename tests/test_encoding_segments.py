import os
import signal
import subprocess
import sys
import textwrap
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.painted import names_in, painted_jpeg, read_film, read_number, source
from videos.encoding.errors import (
    DiskFull,
    EncodingCancelled,
    EncodingFailed,
    EncodingTookTooLong,
    NoFrames,
)
from videos.encoding.look import CODECS, Look
from videos.encoding.segments import encode_segment

LOOK = Look(192, 108, 25, preset="ultrafast", gop=30)


@pytest.fixture
def folder(tmp_path):
    """A folder with nothing else in it."""
    made = tmp_path / "films"
    made.mkdir()
    return made


def encode(frames, out, look=LOOK, **changes):
    calls = {"on_progress": lambda count: None, "should_stop": lambda: False, "time_limit_s": 60}
    return encode_segment(frames, look, out, **(calls | changes))


def children():
    """Process ids of our own ffmpeg children."""
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [int(pid) for task in tasks for pid in task.read_text().split()]
    return [pid for pid in pids if b"ffmpeg" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("count", [1, 2, 7, 30])
def test_segment_shows_every_frame_in_order_at_its_instant(folder, codec, count):
    out = folder / "segment.mp4"

    facts = encode(
        (source(number) for number in range(100, 100 + count)), out, Look(192, 108, 25, codec, gop=30)
    )

    numbers, instants = read_film(out)
    assert numbers == list(range(100, 100 + count))
    assert instants == [Fraction(number, 25) for number in range(count)]
    assert facts.frame_count == count
    assert facts.omitted == ()
    assert facts.bytes == out.stat().st_size
    assert facts.duration == Fraction(count, 25)
    assert names_in(folder) == ["segment.mp4"]


@pytest.mark.parametrize("codec", CODECS)
def test_segment_is_one_closed_group_of_pictures(folder, codec):
    out = folder / "segment.mp4"

    encode([source(number) for number in range(30)], out, Look(192, 108, 25, codec, gop=30))

    with av.open(str(out)) as film:
        keys = [packet.is_keyframe for packet in film.demux(video=0) if packet.size]
    assert keys == [True] + [False] * 29


def test_missing_and_broken_frames_are_left_out_and_reported_and_what_lacks_its_end_is_shown(folder):
    def missing():
        raise FileNotFoundError("gone")

    whole = painted_jpeg(3)
    (folder / "four.jpg").write_bytes(painted_jpeg(4))
    frames = [
        missing, source(1), folder / "nowhere.jpg", lambda: whole[:300], source(2), lambda:
        b"", lambda: b"not a picture", folder / "four.jpg", lambda: whole[:-2], folder,
    ]  # fmt: skip

    facts = encode(frames, folder / "segment.mp4")

    assert facts.omitted == (0, 2, 3, 5, 6, 9)
    assert facts.frame_count == 4
    assert read_film(folder / "segment.mp4")[0] == [1, 2, 4, 3]


@pytest.mark.parametrize("frames", [[], [Path("/nowhere.jpg")] * 3])
def test_segment_of_nothing_is_no_frames_and_no_file(folder, frames):
    with pytest.raises(NoFrames):
        encode(frames, folder / "segment.mp4")

    assert names_in(folder) == []


@pytest.mark.parametrize("size", [(192, 108), (96, 54), (1921, 1081), (3840, 2160), (191, 107)])
def test_picture_of_another_size_and_like_aspect_fills_the_frame(folder, size):
    encode([source(1365, *size)], folder / "segment.mp4")

    assert read_film(folder / "segment.mp4")[0] == [1365]


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [((108, 108), slice(0, 108), slice(42, 150)), ((384, 108), slice(27, 81), slice(0, 192))],
)
def test_picture_of_another_aspect_is_centred_on_black(folder, size, rows, columns):
    encode([source(2730, *size)], folder / "segment.mp4")

    with av.open(str(folder / "segment.mp4")) as film:
        pixels = next(film.decode(video=0)).to_ndarray(format="bgr24")
    assert read_number(pixels[rows, columns]) == 2730
    outside = np.ones(pixels.shape[:2], bool)
    outside[max(0, rows.start - 3) : rows.stop + 3, max(0, columns.start - 3) : columns.stop + 3] = False
    assert outside.sum() > 5000
    assert pixels[outside].max() < 20


def test_grey_png_and_turned_pictures_are_frames_too(folder):
    upright = cv2.imdecode(np.frombuffer(painted_jpeg(77), np.uint8), cv2.IMREAD_COLOR)
    grey = cv2.imencode(".png", cv2.cvtColor(upright, cv2.COLOR_BGR2GRAY))[1].tobytes()
    turned = cv2.imencode(".jpg", cv2.rotate(upright, cv2.ROTATE_90_COUNTERCLOCKWISE))[1].tobytes()
    exif = bytes.fromhex("ffe1002245786966000049492a0008000000010012010300010000000600000000000000")

    encode([lambda: grey, lambda: turned[:2] + exif + turned[2:]], folder / "segment.mp4")

    assert read_film(folder / "segment.mp4")[0] == [77, 77]


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (40, 120, 200)])
@pytest.mark.parametrize("codec", CODECS)
def test_colours_come_back_as_declared_bt709_limited(folder, codec, colour):
    picture = cv2.imencode(".png", np.full((108, 192, 3), colour, np.uint8))[1].tobytes()

    encode([lambda: picture], folder / "segment.mp4", Look(192, 108, 25, codec, crf=10))

    with av.open(str(folder / "segment.mp4")) as film:
        frame = next(film.decode(video=0))
        assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (1, 1, 1, 1)
        y, u, v = (int(np.frombuffer(plane, np.uint8)[plane.line_size * 20 + 20]) for plane in frame.planes)
    blue, green, red = (value / 255 for value in colour)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue  # ITU-R BT.709-6, item 3.2
    assert y == pytest.approx(16 + 219 * luma, abs=3)
    assert u == pytest.approx(128 + 224 * (blue - luma) / 1.8556, abs=3)
    assert v == pytest.approx(128 + 224 * (red - luma) / 1.5748, abs=3)


def test_progress_rises_to_the_number_of_frames(folder):
    seen = []

    encode([source(number) for number in range(60)], folder / "segment.mp4", on_progress=seen.append)

    assert seen == sorted(seen)
    assert seen[-1] == 60


def test_frames_are_asked_for_one_by_one(folder):
    """A list of a thousand pictures in memory would be the end of a small machine."""
    pulled = []
    alive = []

    def frames():
        for number in range(100):
            pulled.append(number)
            yield lambda: alive.append(len(pulled)) or painted_jpeg(1)

    encode(frames(), folder / "segment.mp4")

    assert alive == list(range(1, 101))


def test_cancel_in_the_middle_ends_ffmpeg_and_leaves_nothing(folder):
    stopped_at = []
    pids = []

    def frames():
        for number in range(100_000):
            if number == 20:
                pids.extend(children())
                stopped_at.append(time.monotonic())
            yield source(number % 4096)

    with pytest.raises(EncodingCancelled):
        encode(frames(), folder / "segment.mp4", should_stop=lambda: bool(stopped_at))

    assert time.monotonic() - stopped_at[0] < 2
    assert len(pids) == 1
    assert not Path(f"/proc/{pids[0]}").exists()
    assert names_in(folder) == []


def test_killed_ffmpeg_is_a_failure_and_leaves_the_old_file(folder):
    out = folder / "segment.mp4"
    out.write_bytes(b"the old one")

    def frames():
        for number in range(100_000):
            if number == 20:
                os.kill(children()[0], signal.SIGKILL)
            yield source(number % 4096)

    with pytest.raises(EncodingFailed, match="signal 9"):
        encode(frames(), out)

    assert out.read_bytes() == b"the old one"
    assert names_in(folder) == ["segment.mp4"]


def test_time_limit_leaves_nothing(folder):
    with pytest.raises(EncodingTookTooLong):
        encode((source(1) for _ in range(100_000)), folder / "segment.mp4", time_limit_s=0.5)

    assert names_in(folder) == []
    assert children() == []


def test_frame_source_that_raises_something_else_leaves_nothing(folder):
    def fails():
        raise RuntimeError("a defect of the caller")

    with pytest.raises(RuntimeError, match="defect"):
        encode([source(1), fails], folder / "segment.mp4")

    assert names_in(folder) == []
    assert children() == []


def noise():
    rng = np.random.default_rng(0)
    while True:
        yield lambda: cv2.imencode(".jpg", rng.integers(0, 255, (108, 192, 3), np.uint8))[1].tobytes()


def test_full_disk_is_said_and_leaves_nothing(folder):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small tmpfs; the file size limit is tested without")
    try:
        with pytest.raises(DiskFull, match="No space left"):
            encode(noise(), folder / "segment.mp4", Look(192, 108, 25, crf=5))
        assert names_in(folder) == []
    finally:
        subprocess.run(["umount", folder], check=True)


def test_limit_of_the_file_size_is_said_and_leaves_nothing(folder):
    code = textwrap.dedent(
        f"""
        import pathlib, resource
        from tests.test_encoding_segments import encode, noise
        from videos.encoding.errors import DiskFull
        from videos.encoding.look import Look
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            encode(noise(), pathlib.Path({str(folder / "segment.mp4")!r}), Look(192, 108, 25, crf=5))
        except DiskFull:
            print("disk full")
        """
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert ran.stdout == "disk full\n"
    assert names_in(folder) == []
