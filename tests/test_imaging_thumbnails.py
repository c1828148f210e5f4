import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from captures.imaging.errors import BrokenPicture
from captures.imaging.pictures import encode_jpeg
from captures.imaging.thumbnails import Box, decode_at_least, make_thumbnails
from tests.painted import paint, painted_jpeg, read_number

REAL_MEDIA = Path(os.environ.get("TIMELAPSER_REAL_MEDIA") or "/nonexistent")


def decoded(data):
    assert data[:3] == b"\xff\xd8\xff"
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)


@pytest.mark.parametrize(
    ("size", "small", "thumbnail"),
    [
        ((1920, 1080), (800, 450), (200, 112)),
        ((3840, 2160), (800, 450), (200, 112)),
        ((2592, 1944), (800, 600), (200, 150)),
        ((1599, 1199), (800, 600), (200, 150)),
        ((1280, 720), (800, 450), (200, 112)),
        ((641, 481), (641, 481), (200, 150)),
        ((1080, 1920), (338, 600), (84, 150)),
        ((3000, 301), (800, 80), (200, 20)),
        ((150, 75), (150, 75), (150, 75)),
        ((1, 1), (1, 1), (1, 1)),
        ((9000, 3), (800, 1), (200, 1)),
    ],
)
def test_both_fit_their_boxes_keep_the_aspect_and_never_grow(size, small, thumbnail):
    made = make_thumbnails(
        painted_jpeg(1365, *size) if min(size) > 9 else encode_jpeg(np.zeros((*size[::-1], 3), np.uint8))
    )

    assert (made.small_size, made.thumbnail_size) == (small, thumbnail)
    assert decoded(made.small).shape[1::-1] == small
    assert decoded(made.thumbnail).shape[1::-1] == thumbnail
    if min(size) > 99:
        assert read_number(decoded(made.small)) == read_number(decoded(made.thumbnail)) == 1365


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "I;16"])
def test_every_kind_of_picture_gives_both(form, mode):
    if (form, mode) in {("JPEG", "RGBA"), ("JPEG", "P"), ("JPEG", "I;16"), ("PNG", "CMYK"), ("WEBP", "CMYK"),
                        ("WEBP", "P"), ("WEBP", "I;16"), ("WEBP", "L")}:  # fmt: skip
        form, mode = "PNG", "RGB"  # there is no such file
    image = Image.fromarray(paint(2730, 960, 540)[..., ::-1])
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    file = io.BytesIO()
    image.save(file, form)

    made = make_thumbnails(file.getvalue())

    assert read_number(decoded(made.small)) == read_number(decoded(made.thumbnail)) == 2730


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_pictures_come_upright(form, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(paint(2561, 1920, 1080)[..., ::-1]).save(file, form, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(file.getvalue())))
    expected = np.asarray(upright.resize((800, 450) if orientation < 5 else (338, 600)))[..., ::-1].astype(
        int
    )

    made = make_thumbnails(file.getvalue())

    assert np.abs(decoded(made.small).astype(int) - expected).mean() < 4


@pytest.mark.skipif(not REAL_MEDIA.is_dir(), reason="TIMELAPSER_REAL_MEDIA is not set: c4_exif_orientation")
def test_real_turned_photos_look_alike():
    made = [
        decoded(
            make_thumbnails(
                (REAL_MEDIA / "c4_exif_orientation" / f"Landscape_{n}.jpg").read_bytes()
            ).thumbnail
        )
        for n in (1, 3, 6, 8)
    ]

    assert {pixels.shape for pixels in made} == {(133, 200, 3)}
    for pixels in made[1:]:
        assert np.abs(pixels.astype(int) - made[0]).mean() < 6


def test_colours_stay():
    made = make_thumbnails(encode_jpeg(np.full((1080, 1920, 3), (200, 40, 90), np.uint8)))

    for data in (made.small, made.thumbnail):
        assert np.abs(decoded(data).astype(int) - (200, 40, 90)).max() < 5


def test_boxes_and_qualities_are_the_callers():
    data = painted_jpeg(5, 1920, 1080)

    fine = make_thumbnails(data, thumbnail=Box(96, 96, 95), small=Box(400, 400, 95))
    coarse = make_thumbnails(data, thumbnail=Box(96, 96, 20), small=Box(400, 400, 20))

    assert (fine.small_size, fine.thumbnail_size) == ((400, 225), (96, 54))
    assert len(coarse.small) < len(fine.small)


@pytest.mark.parametrize("size", [(1920, 1080), (3840, 2160), (2592, 1944)])
def test_small_picture_is_as_good_as_the_careful_way(size):
    """PSNR against Lanczos from the full picture."""
    rng = np.random.default_rng(3)
    scene = cv2.GaussianBlur(rng.integers(0, 255, (size[1], size[0], 3), np.uint8), (0, 0), size[0] / 480)
    data = encode_jpeg(cv2.normalize(scene, None, 0, 255, cv2.NORM_MINMAX), 95)
    made = make_thumbnails(data, small=Box(800, 600, 98))
    careful = np.asarray(Image.open(io.BytesIO(data)).resize(made.small_size, Image.Resampling.LANCZOS))[
        ..., ::-1
    ]

    assert cv2.PSNR(decoded(made.small), np.ascontiguousarray(careful)) > 30


@pytest.mark.parametrize("data", [b"", b"not a picture", painted_jpeg(1)[:300]])
def test_broken_picture_is_said(data):
    with pytest.raises(BrokenPicture):
        make_thumbnails(data)


@pytest.mark.parametrize("share", [0.5, 0.999])
def test_of_a_picture_that_ends_too_early_what_is_there_is_shown(share):
    data = painted_jpeg(1, 1920, 1080)

    whole, short = make_thumbnails(data), make_thumbnails(data[: int(len(data) * share)])

    upper = slice(0, int(600 * share * 0.5))
    assert short.small_size == whole.small_size
    assert cv2.PSNR(decoded(short.small)[upper], decoded(whole.small)[upper]) > 40


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ((800, 450), (960, 540)),
        ((200, 112), (240, 135)),
        ((961, 540), (1920, 1080)),
        ((4000, 1), (1920, 1080)),
    ],
)
def test_decode_is_the_smallest_that_is_large_enough(asked, got):
    assert decode_at_least(painted_jpeg(1, 1920, 1080), *asked).shape == (got[1], got[0], 3)
