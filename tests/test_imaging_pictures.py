import io
import os
import struct
import zlib
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cameras.geometry import Geometry
from cameras.settings import Settings
from cameras.sources import Still
from captures.imaging.developing import inspect_picture
from captures.imaging.errors import BrokenPicture
from captures.imaging.pictures import MAX_PIXELS, PictureFacts, encode_jpeg, read_header
from captures.imaging.quality.past import Past
from captures.quality import Rules, look_at
from tests.damaged import cut
from tests.painted import paint

REAL_MEDIA = Path(os.environ.get("TIMELAPSER_REAL_MEDIA") or "/nonexistent")
PIXELS = cv2.add(paint(1234, 320, 180), np.random.default_rng(1).integers(0, 40, (180, 320, 3), np.uint8))


def saved(form, **options):
    file = io.BytesIO()
    Image.fromarray(PIXELS[..., ::-1]).save(file, form, **options)
    return file.getvalue()


JPEG = saved("JPEG", quality=90)
KINDS = {
    "baseline": JPEG,
    "progressive": saved("JPEG", progressive=True),
    "restart": cv2.imencode(".jpg", PIXELS, [cv2.IMWRITE_JPEG_RST_INTERVAL, 4])[1].tobytes(),
    "png": saved("PNG"),
    "webp": saved("WEBP"),
}


@pytest.mark.parametrize(
    ("name", "form"),
    [("baseline", "JPEG"), ("progressive", "JPEG"), ("restart", "JPEG"), ("png", "PNG"), ("webp", "WEBP")],
)
def test_good_picture_gives_its_facts(name, form):
    assert inspect_picture(KINDS[name]) == PictureFacts(320, 180, form)
    assert read_header(KINDS[name]) == PictureFacts(320, 180, form)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999])
def test_truncated_picture_is_broken(name, share):
    data = KINDS[name]

    with pytest.raises(BrokenPicture) as caught:
        inspect_picture(data[: int(len(data) * share)])

    assert caught.value.reason


@pytest.mark.parametrize("name", ["baseline", "progressive", "restart"])
def test_missing_end_marker_is_broken(name):
    with pytest.raises(BrokenPicture, match="not whole"):
        inspect_picture(KINDS[name][:-2])


@pytest.mark.parametrize(
    "data", [b"", bytes(5000), b"<html>401</html>", b"GIF89a", b"\xff\xd8\xff", os.urandom(99)]
)
def test_what_is_no_picture_is_broken(data):
    with pytest.raises(BrokenPicture):
        inspect_picture(data)


@pytest.mark.parametrize("name", ["baseline", "progressive", "restart", "png"])
def test_garbage_after_the_end_is_tolerated(name):
    assert inspect_picture(KINDS[name] + b"\r\n--boundary\r\n" + bytes(999)).width == 320


def hole_in_the_stream():
    data = bytearray(JPEG)
    middle = len(data) // 2
    data[middle : middle + 200] = b"\xff\xc4" * 100
    return bytes(data)


@pytest.mark.parametrize(
    "data", [hole_in_the_stream(), cut(JPEG, 0.5, is_closed=True), cut(JPEG, 0.5), JPEG[:-2], JPEG, bytes(99)]
)
def test_whole_is_what_is_stored_where_nobody_judges(data):
    """Damage inside a file that has its end is the judgement's: whoever repairs and whoever takes in agree."""
    unjudged = Rules(Settings(quality_enabled=False), Geometry(), Past())
    is_taken_in = look_at(Still(data, None, 0, 0, "", 0), unjudged, datetime.now(UTC)).negative is not None

    try:
        is_whole = inspect_picture(data).width > 0
    except BrokenPicture:
        is_whole = False

    assert is_whole == is_taken_in == (data.endswith(b"\xff\xd9"))


@pytest.mark.parametrize("level", [0, 16, 127, 128, 129, 255])
def test_uniform_picture_is_whole(level):
    assert inspect_picture(encode_jpeg(np.full((180, 320, 3), level, np.uint8))).width == 320


def png_header(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + struct.pack(">I", zlib.crc32(header))
        + b"\0\0\1\0IDAT"
    )


def jpeg_of_size(width, height):
    position = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:position] + struct.pack(">HH", height, width) + JPEG[position + 4 :]


@pytest.mark.parametrize("size", [(20_000, 20_000), (60_000, 10), (10_001, MAX_PIXELS // 10_000)])
@pytest.mark.parametrize("make", [png_header, jpeg_of_size])
def test_absurd_size_is_refused_before_decoding(make, size):
    with pytest.raises(BrokenPicture, match="absurdly large"):
        inspect_picture(make(*size) + bytes(100))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_is_as_looked_at(form, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation

    facts = inspect_picture(saved(form, exif=exif))

    assert (facts.width, facts.height) == ((180, 320) if orientation >= 5 else (320, 180))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # Pillow says so while it looks for a resolution
def test_broken_exif_does_not_make_a_broken_picture():
    exif = b"\xff\xe1" + struct.pack(">H", 40) + b"Exif\0\0II*\0\xff\xff\xff\x7f".ljust(38, b"\xee")

    assert inspect_picture(JPEG[:2] + exif + JPEG[2:]) == PictureFacts(320, 180, "JPEG")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_raises_anything_else(data):
    damaged = bytearray(KINDS[data.draw(st.sampled_from(sorted(KINDS)))])
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, 1000 if data.draw(st.booleans()) else len(damaged) - 1))] = (
            data.draw(st.integers(0, 255))
        )

    try:
        inspect_picture(bytes(damaged))
    except BrokenPicture as error:
        assert error.reason  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize("shape", [(180, 320, 3), (180, 320), (181, 321, 3), (1, 1, 3)])
def test_encoded_pixels_are_a_good_picture(shape):
    pixels = np.full(shape, 90, np.uint8)

    data = encode_jpeg(pixels)

    assert inspect_picture(data) == PictureFacts(shape[1], shape[0], "JPEG")
    assert np.abs(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(int) - 90).max() < 3


def test_lower_quality_is_smaller():
    assert (
        len(encode_jpeg(PIXELS, quality=50)) < len(encode_jpeg(PIXELS)) < len(encode_jpeg(PIXELS, quality=98))
    )


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), float), np.zeros((0, 4, 3), np.uint8), np.zeros(4, np.uint8)]
)
def test_what_is_no_picture_is_not_encoded(pixels):
    with pytest.raises(ValueError, match="pixels"):
        encode_jpeg(pixels)


@pytest.mark.skipif(not REAL_MEDIA.is_dir(), reason="TIMELAPSER_REAL_MEDIA is not set: good stills")
def test_real_good_stills_are_whole():
    folders = ["a1_flicker_icecube", "a2_sunset_ramp", "a3_construction_daily", "a4_garden_shutter",
               "a5_phenocam_noon", "b3_tricky_good", "c4_exif_orientation"]  # fmt: skip
    paths = [path for folder in folders for path in sorted((REAL_MEDIA / folder).rglob("*.jpg"))[::5]]

    assert len(paths) > 50
    for path in paths:
        assert inspect_picture(path.read_bytes()).width > 0
