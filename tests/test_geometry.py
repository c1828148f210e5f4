import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameras.geometry import Geometry, GeometryRefused

WHOLE = {
    "rotate": 90,
    "flip": {"horizontal": True, "vertical": False},
    "crop": {"x": 0.125, "y": 0.25, "width": 0.5, "height": 0.5},
    "aspect": {"ratio": "16:9", "mode": "letterbox"},
    "masks": [[[0.1, 0.1], [0.9, 0.2], [0.5, 0.9]]],
}
SHARES = st.floats(0, 1, allow_nan=False)
SIDES = st.integers(17, 300)


def corners(pixels):
    """The grey values at the corners: upper left, upper right, lower right, lower left."""
    return [int(pixels[y, x, 0]) for y, x in ((0, 0), (0, -1), (-1, -1), (-1, 0))]


def quarters(height=60, width=100):
    """10 | 20 above 40 | 30, so that the corners read 10, 20, 30, 40 clockwise."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2], pixels[: height // 2, width // 2 :] = 10, 20
    pixels[height // 2 :, width // 2 :], pixels[height // 2 :, : width // 2] = 30, 40
    return pixels


def test_document_comes_back_and_says_nothing_that_is_not_so():
    assert Geometry.from_document(WHOLE).to_document() == WHOLE
    idle = {
        "rotate": 0,
        "flip": {},
        "crop": {"x": 0, "y": 0, "width": 1, "height": 1},
        "aspect": None,
        "masks": [],
    }
    assert Geometry.from_document(idle).to_document() == {}
    assert Geometry.from_document({}).is_plain
    assert not Geometry.from_document(WHOLE).is_plain


@pytest.mark.parametrize(
    ("written", "paths"),
    [
        ([], ["geometry"]),
        ({"spin": 1}, ["spin"]),
        ({"rotate": 45}, ["rotate"]),
        ({"rotate": True}, ["rotate"]),
        ({"flip": {"horizontal": 1}}, ["flip.horizontal"]),
        ({"crop": {"x": 0.5, "y": 0, "width": 0.6, "height": 1}}, ["crop.width"]),
        ({"crop": {"x": 0, "y": 0, "width": 0.01}}, ["crop.height", "crop.width"]),
        ({"crop": {"x": -0.1, "y": 10**400, "width": "1", "height": float("nan")}},
         ["crop.height", "crop.width", "crop.x", "crop.y"]),
        ({"aspect": {"ratio": "6:1"}}, ["aspect.ratio"]),
        ({"aspect": {"ratio": "0:1", "mode": "stretch"}}, ["aspect.mode", "aspect.ratio"]),
        ({"aspect": {"ratio": "wide"}}, ["aspect.ratio"]),
        ({"masks": {}}, ["masks"]),
        ({"masks": [[[0, 0], [1, 1]]]}, ["masks.0"]),
        ({"masks": [[[0, 0]] * 51]}, ["masks.0"]),
        ({"masks": [[[0, 0]] * 3] * 21}, ["masks"]),
        ({"masks": [[[0, 0], [1, 0], [0.5, 1]], [[0, 0], [1.01, 0], [0.5]]]}, ["masks.1.1", "masks.1.2"]),
    ],
)  # fmt: skip
def test_document_is_refused_at_each_of_its_wrong_fields(written, paths):
    with pytest.raises(GeometryRefused) as refused:
        Geometry.from_document(written)
    assert sorted(refused.value.problems) == paths


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"rotate": 90}, [40, 10, 20, 30]),
        ({"rotate": 180}, [30, 40, 10, 20]),
        ({"rotate": 270}, [20, 30, 40, 10]),
        ({"flip": {"horizontal": True}}, [20, 10, 40, 30]),
        ({"flip": {"vertical": True}}, [40, 30, 20, 10]),
        # Turned first, then flipped: the other order would give 20, 30, 40, 10 turned the other way.
        ({"rotate": 90, "flip": {"horizontal": True}}, [10, 40, 30, 20]),
        # The crop is the right half of the camera's picture, whichever way that is turned.
        ({"crop": {"x": 0.5, "y": 0, "width": 0.5, "height": 1}, "rotate": 90}, [30, 20, 20, 30]),
        ({"aspect": {"ratio": "1:2", "mode": "crop"}, "crop": {"x": 0, "y": 0, "width": 0.5, "height": 1}},
         [10, 10, 40, 40]),
        ({"aspect": {"ratio": "4:1", "mode": "letterbox"}}, [0, 0, 0, 0]),
    ],
)  # fmt: skip
def test_frame_cuts_turns_and_flips_in_this_order(document, expected):
    framed = Geometry.from_document(document).frame(quarters())
    assert corners(framed) == expected
    assert framed.flags.c_contiguous


def test_aspect_is_cut_from_the_middle_or_filled_with_bars():
    cut = Geometry.from_document({"aspect": {"ratio": "1:1", "mode": "crop"}})
    assert cut.size_of(100, 60) == (60, 60)
    assert corners(cut.frame(quarters())) == [10, 20, 30, 40]
    barred = Geometry.from_document({"aspect": {"ratio": "1:1", "mode": "letterbox"}}).frame(quarters())
    assert barred.shape == (100, 100, 3)
    assert np.array_equal(barred[20:80], quarters())
    assert not barred[:20].any()
    assert not barred[80:].any()


def test_what_has_the_aspect_within_a_hundredth_is_kept():
    wide = Geometry.from_document({"aspect": {"ratio": "16:9", "mode": "crop"}})
    assert wide.keeps(1920, 1080)
    assert wide.keeps(1920, 1088 - 4)
    assert not wide.keeps(1920, 1088)
    assert not wide.is_plain
    assert not Geometry.from_document({"masks": WHOLE["masks"]}).keeps(1920, 1080)


@settings(max_examples=60, deadline=None)
@given(
    width=SIDES,
    height=SIDES,
    rotate=st.sampled_from([0, 90, 180, 270]),
    x=st.floats(0, 0.97),
    share=st.floats(0.02, 1),
    ratio=st.sampled_from(["16:9", "4:3", "1:1", "21:9", "9:16", "5:1", "1.85:1"]),
    mode=st.sampled_from(["crop", "letterbox"]),
)
def test_size_is_that_of_the_frame(width, height, rotate, x, share, ratio, mode):
    crop = {"x": x, "y": 0, "width": max(0.02, min(share, 1 - x)), "height": share}
    geometry = Geometry.from_document(
        {"rotate": rotate, "crop": crop, "aspect": {"ratio": ratio, "mode": mode}}
    )
    framed = geometry.frame(np.zeros((height, width, 3), np.uint8))
    assert framed.shape[1::-1] == geometry.size_of(width, height)


def touched(mask, height, width, fine=6):
    """Pixels in which any of fine × fine sample points is enclosed by the polygon (winding number, not OpenCV)."""
    axis = (np.arange(fine) + 0.5) / fine
    ys = (np.arange(height)[:, None] + axis).ravel() / height
    xs = (np.arange(width)[:, None] + axis).ravel() / width
    grid_x, grid_y = np.meshgrid(xs, ys)
    winding = np.zeros(grid_x.shape, int)
    for (x0, y0), (x1, y1) in zip(mask, [*mask[1:], mask[0]], strict=True):
        side = (x1 - x0) * (grid_y - y0) - (grid_x - x0) * (y1 - y0)
        winding += ((y0 <= grid_y) & (grid_y < y1) & (side > 0)).astype(int)
        winding -= ((y1 <= grid_y) & (grid_y < y0) & (side < 0)).astype(int)
    return (winding != 0).reshape(height, fine, width, fine).any(axis=(1, 3))


@settings(max_examples=60, deadline=None)
@given(
    mask=st.lists(st.tuples(SHARES, SHARES), min_size=3, max_size=8),
    width=st.integers(17, 90),
    height=st.integers(17, 90),
)
def test_mask_hides_every_pixel_that_it_touches_at_any_size(mask, width, height):
    geometry = Geometry.from_document({"masks": [[list(point) for point in mask]]})
    hidden = geometry.hidden(height, width)
    assert not (touched(mask, height, width) & ~hidden).any()
    burned = geometry.burn(np.full((height, width, 3), 255, np.uint8))
    assert np.array_equal(burned[..., 0] == 0, hidden)


def test_mask_hides_little_more_than_what_it_encloses():
    geometry = Geometry.from_document({"masks": [[[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]]})
    hidden = geometry.hidden(400, 400)
    assert hidden.sum() <= 206**2
    assert not hidden[:97].any()


def test_line_that_crosses_itself_leaves_no_hole():
    star = [[0.5, 0], [0.79, 0.9], [0.02, 0.35], [0.98, 0.35], [0.21, 0.9]]
    assert Geometry.from_document({"masks": [star]}).hidden(200, 200)[100, 100]


def test_burning_leaves_nobody_holding_what_was_hidden():
    geometry = Geometry.from_document({"masks": WHOLE["masks"]})
    pixels = np.full((90, 160, 3), 255, np.uint8)
    assert geometry.burn(pixels) is pixels
    kept = np.full((90, 160), 255, np.uint8)
    kept.flags.writeable = False
    assert np.array_equal(geometry.burn(kept), pixels[..., 0])
    assert kept.all()
    assert Geometry().hidden(90, 160) is None


@pytest.mark.parametrize("document", [{"masks": WHOLE["masks"]}, WHOLE])
def test_what_was_under_a_mask_changes_no_byte_of_the_jpeg(document):
    geometry = Geometry.from_document(document)
    chance = np.random.default_rng(5)
    scene = chance.integers(0, 255, (120, 160, 3), np.uint8)
    other = scene.copy()
    other[touched(document["masks"][0], 120, 160)] ^= 255

    def stored(pixels):
        return cv2.imencode(".jpg", geometry.frame(geometry.burn(pixels)))[1].tobytes()

    assert cv2.imencode(".jpg", scene)[1].tobytes() != cv2.imencode(".jpg", other)[1].tobytes()
    assert stored(scene) == stored(other)
