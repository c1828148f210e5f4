"""One contract for all detectors, and what each damage and each condition is called. No real media is needed."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest
from PIL import Image

from captures.imaging.errors import BrokenPicture
from captures.imaging.quality.contract import Detector, Path, Sort
from captures.imaging.quality.past import Past
from captures.imaging.quality.picture import Picture
from captures.imaging.quality.score import evaluate
from captures.imaging.quality.table import DETECTORS
from tests import damaged

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
WIDTH, HEIGHT = 960, 540


def landscape():
    """Soft hills, sharp boxes and leaves."""
    chance = np.random.default_rng(42)
    coarse = chance.integers(60, 200, (9, 16, 3), np.uint8)
    pixels = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for _ in range(160):
        x, y = int(chance.integers(0, WIDTH)), int(chance.integers(0, HEIGHT))
        box = cv2.boxPoints(((x, y), chance.integers(10, 90, 2).tolist(), float(chance.uniform(0, 90))))
        cv2.fillPoly(pixels, [box.astype(np.int32)], chance.integers(30, 230, 3).tolist(), cv2.LINE_AA)
    return pixels


LANDSCAPE = landscape()
NOISE = np.random.default_rng(0).normal(0, 4, (HEIGHT + 64, WIDTH + 64, 3)).astype(np.int8)


def scene(seed=0):
    """The same view at another instant: other noise."""
    y, x = np.random.default_rng(seed).integers(0, 64, 2)
    return cv2.add(LANDSCAPE, NOISE[y : y + HEIGHT, x : x + WIDTH], dtype=cv2.CV_8U)


SCENE = scene()


def picture_of(pixels, *, heavy=False):
    return Picture.of_bytes(damaged.encoded(pixels), full=False, heavy=heavy)


def after(count=3):
    """The past of a camera that has shown the scene, a minute apart."""
    past = Past()
    for number in range(count):
        picture = picture_of(scene(number + 10))
        past = past.followed(
            picture, evaluate(picture, heavy=False, past=past), NOON + timedelta(minutes=number)
        )
    return past


PAST = after()
ODD = {
    "one pixel": np.full((1, 1, 3), 90, np.uint8),
    "two by three": np.arange(18, dtype=np.uint8).reshape(2, 3, 3),
    "one row": np.full((1, 900, 3), 30, np.uint8),
    "one column": np.full((2000, 1, 3), 30, np.uint8),
    "very wide": np.tile(SCENE[:20], (1, 4, 1)),
    "very tall": SCENE[:, :20],
    "grey": SCENE[..., 0],
    "black": np.zeros((90, 160, 3), np.uint8),
    "white": np.full((90, 160, 3), 255, np.uint8),
    "noise": np.random.default_rng(1).integers(0, 255, (333, 517, 3), np.uint8),
}


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda each: each.name)
def test_every_detector_answers_or_says_that_it_cannot(detector):
    for pixels in ODD.values():
        height, width = pixels.shape[:2]
        for hidden in (None, np.ones((height, width), bool), np.eye(height, width, dtype=bool)):
            picture = Picture.of_pixels(pixels, heavy=True, hidden=hidden)
            for past in (PAST, Past(), Past().followed(picture, evaluate(picture, heavy=False), NOON)):
                value = detector.read(picture, past)
                assert (
                    value is None
                    or (isinstance(value, float | int) and np.isfinite(value) and value >= 0)
                    or (detector.name == "green_cast")
                )


def test_the_table_is_whole():
    names = [each.name for each in DETECTORS]

    assert len(set(names)) == len(names)
    assert all(len(each.finding) <= 20 and each.title and each.help for each in DETECTORS)
    assert sum(each.cost_ms for each in DETECTORS if each.path is Path.FAST) <= 5
    assert sum(each.cost_ms for each in DETECTORS if each.path is Path.HEAVY) <= 60


@pytest.mark.parametrize("heavy", [False, True])
def test_each_damage_alone_falls_below_the_threshold_and_all_else_together_does_not(heavy):
    picture = picture_of(SCENE, heavy=True)
    for detector in DETECTORS:
        if detector.sort is Sort.DAMAGE:
            barely = detector.bound * (1.001 if detector.above else 0.999)
            assert evaluate(picture, heavy=heavy, past=PAST, detectors=[reading(detector, barely)]).score < 70
    extremes = [
        reading(each, each.bound * 9 + 9 if each.above else 0.0)
        for each in DETECTORS
        if each.sort is not Sort.DAMAGE
    ]

    judged = evaluate(picture, heavy=heavy, past=PAST, detectors=extremes)

    assert judged.score >= 75
    assert judged.sort is Sort.CONDITION


def reading(detector, value):
    fields = {name: getattr(detector, name) for name in Detector.__slots__}
    return Detector(**fields | {"read": lambda picture, past: value})


def test_a_detector_that_fails_takes_nothing_and_stops_nobody():
    def fail(picture, past):
        raise ZeroDivisionError("no pixels left")

    broken = Detector(**{name: getattr(DETECTORS[1], name) for name in Detector.__slots__} | {"read": fail})

    judged = evaluate(picture_of(SCENE), heavy=False, detectors=[broken, reading(DETECTORS[2], float("nan"))])

    assert (judged.score, judged.verdict) == (100, "good")
    assert [each.error for each in judged.readings] == ["ZeroDivisionError: no pixels left", "read nan"]


def test_scores_are_combined_and_a_zero_dominates():
    fast, close = (next(each for each in DETECTORS if each.path is path) for path in (Path.FAST, Path.HEAVY))
    picture = picture_of(SCENE, heavy=True)

    judged = evaluate(picture, heavy=True, detectors=[reading(close, 0.0)])
    assert (judged.fast, judged.heavy, judged.score) == (100, 90, 93)
    nothing = Detector(
        **{n: getattr(fast, n) for n in Detector.__slots__} | {"penalty": 200, "read": lambda *_: 9.0}
    )
    assert evaluate(picture, heavy=True, detectors=[nothing]).score == 0
    assert (
        evaluate(picture, heavy=True, ignored=frozenset({close.name, fast.name}), detectors=[nothing]).score
        == 100
    )


@pytest.mark.parametrize("heavy", [False, True])
def test_a_good_picture_is_perfect_with_and_without_a_past(heavy):
    for past in (None, Past(), PAST):
        judged = evaluate(picture_of(scene(77), heavy=heavy), heavy=heavy, past=past)
        assert (judged.score, judged.verdict, judged.sort) == (100, "good", None)


RNG = np.random.default_rng(3)
CUT = damaged.encoded(SCENE)
ALONE = {
    "truncated": (damaged.cut(CUT, 0.6), "broken file"),
    "end marker lost": (CUT[:-2], "broken file"),
    "truncated and closed": (damaged.cut(CUT, 0.6, is_closed=True), "missing part"),
    "a little truncated and closed": (damaged.cut(CUT, 0.96, is_closed=True), "missing part"),
    "grey below": (damaged.encoded(damaged.grey_below(SCENE, 400, 300)), "missing part"),
    "green below": (damaged.encoded(damaged.green_below(SCENE, 300)), "missing part"),
    "green frame": (damaged.encoded(np.clip(SCENE * 0.15 + (0, 135, 0), 0, 255).astype(np.uint8)), "green"),
    "smear": (damaged.encoded(damaged.smeared(SCENE, 300)), "smear"),
    "grey": (damaged.encoded(damaged.uniform(SCENE, 128)), "uniform"),
    "black": (damaged.encoded(damaged.uniform(SCENE, 0)), "uniform"),
    "ghost": (damaged.encoded(np.where(np.abs(SCENE.astype(int) - 200) < 9, SCENE, 130).astype(np.uint8)), "ghosting"),
}  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_damage_is_found_without_any_past(name):
    data, word = ALONE[name]

    judged = evaluate(Picture.of_bytes(data, full=False, heavy=False), heavy=False)

    assert judged.score < 70
    assert judged.sort is Sort.DAMAGE
    assert word in judged.findings


NOTHING_IN_IT = CUT[: CUT.index(b"\xff\xda") + 20]
MORE_TELLING = {
    "a frame of empty planes": (damaged.encoded(damaged.uniform(SCENE, (0, 135, 0))), "green"),
    "a head and no picture": (NOTHING_IN_IT, "broken file"),
    "all but two rows": (damaged.encoded(np.vstack([SCENE[:2], damaged.uniform(SCENE[2:], 128)]), 100), "missing part"),
    "one grey": (damaged.encoded(damaged.uniform(SCENE, 128)), "uniform"),
}  # fmt: skip


@pytest.mark.parametrize("name", MORE_TELLING)
def test_one_colour_names_a_picture_only_where_nothing_says_more(name):
    data, word = MORE_TELLING[name]

    judged = evaluate(Picture.of_bytes(data, full=False, heavy=False), heavy=False, past=PAST)

    assert judged.verdict == word
    assert "uniform" in judged.findings


def test_wrong_bits_that_can_be_seen_are_found():
    whole, found = picture_of(scene(5)), []
    for seed in range(12):
        data = damaged.flipped(damaged.encoded(scene(5)), np.random.default_rng(seed), count=6)
        picture = Picture.of_bytes(data, full=False, heavy=False)
        if (cv2.absdiff(picture.quarter, whole.quarter).max(axis=2) > 25).mean() > 1 / 30:
            found.append(evaluate(picture, heavy=False, past=PAST))

    assert len(found) >= 6
    assert [each.score < 70 for each in found].count(True) >= 0.8 * len(found)
    assert {each.sort for each in found if each.score < 70} == {Sort.DAMAGE}


def test_a_tear_is_found_against_the_past():
    torn = damaged.torn(scene(5), np.ascontiguousarray(scene(6)[::-1]), 272, shift=300)

    assert evaluate(picture_of(torn), heavy=False, past=PAST).verdict == "torn"


def test_the_decoders_warning_is_damage_and_padding_is_not():
    whole = damaged.encoded(scene(5))
    warned = [damaged.flipped(whole, np.random.default_rng(seed), count=6) for seed in range(8)]

    found = [evaluate(Picture.of_bytes(each, full=False, heavy=False), heavy=False) for each in warned]

    assert ["wrong bits" in each.findings and each.score < 70 for each in found].count(True) >= 6
    for filler in (b"\0", b"\xaa"):
        padded = Picture.of_bytes(whole[:-2] + filler * 40 + whole[-2:], full=False, heavy=False)
        assert evaluate(padded, heavy=False).findings == ()


def test_a_camera_that_always_writes_what_decoders_warn_of_is_believed_in_the_end():
    odd = damaged.encoded(SCENE)[:-2] + bytes(range(1, 41)) + b"\xff\xd9"
    past, found = PAST, []
    for number in range(8):
        picture = Picture.of_bytes(odd, full=False, heavy=False)
        judged = evaluate(picture, heavy=False, past=past)
        found.append("wrong bits" in judged.findings)
        past = past.followed(picture, judged, NOON + timedelta(hours=1 + number))

    assert found == [True] * 5 + [False] * 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("full", [False, True])
def test_a_turned_jpeg_is_seen_upright(orientation, full):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(SCENE[:200, :300, ::-1]).save(file, "JPEG", exif=exif)
    upright = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR)

    picture = Picture.of_bytes(file.getvalue(), full=full, heavy=False)

    assert (picture.height, picture.width) == upright.shape[:2]
    assert np.array_equal(picture.quarter, upright)


def test_a_part_that_slipped_sideways_is_torn_although_few_columns_jump():
    picture = picture_of(damaged.torn(scene(5), scene(6), 272, shift=48))
    weak = replace(picture, seams=picture.seams // 8)

    assert evaluate(weak, heavy=False, past=PAST).verdict == "torn"
    assert evaluate(picture_of(scene(5)), heavy=False, past=PAST).verdict == "good"


CONDITIONS = {
    "covered": lambda: damaged.covered(scene(5), RNG, 1.2, 40),
    "out of focus": lambda: damaged.defocused(scene(5), 1 / 130),
    "moved": lambda: damaged.moved(scene(5), 0.12),
    "dark": lambda: damaged.at_night(scene(5), RNG, 0.02),
}


@pytest.mark.parametrize("word", CONDITIONS)
def test_a_condition_is_named_and_not_called_damage(word):
    judged = evaluate(picture_of(CONDITIONS[word]()), heavy=False, past=PAST)

    assert word in judged.findings
    assert judged.sort is not Sort.DAMAGE
    assert judged.score >= 75


@pytest.mark.parametrize("change", [damaged.at_night, damaged.in_infrared, damaged.in_fog, damaged.in_snow])
def test_night_infrared_fog_and_snow_are_no_damage(change):
    for past in (None, PAST):
        assert evaluate(picture_of(change(scene(5), RNG)), heavy=False, past=past).sort is not Sort.DAMAGE


def test_a_frozen_picture_is_found_with_its_clock_running():
    past, frozen = PAST, scene(5)
    verdicts = []
    for number in range(4):
        shown = frozen.copy()
        cv2.putText(shown, f"12:0{number}:00", (20, 40), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 2)
        picture = picture_of(shown)
        judged = evaluate(picture, heavy=False, past=past)
        verdicts.append(judged.verdict)
        past = past.followed(picture, judged, NOON + timedelta(minutes=10 + number))

    assert verdicts == ["good", "good", "frozen", "frozen"]


def test_a_snapshot_that_is_renewed_every_few_seconds_is_not_frozen():
    past, picture = Past(), picture_of(SCENE)
    for number in range(4):
        judged = evaluate(picture, heavy=False, past=past)
        assert judged.verdict == "good"
        past = past.followed(picture, judged, NOON + timedelta(seconds=number))


def test_a_black_night_again_and_again_is_not_frozen():
    past, picture = Past(), picture_of(np.clip(SCENE.astype(int) - 225, 0, 255).astype(np.uint8))
    for number in range(5):
        judged = evaluate(picture, heavy=False, past=past)
        assert "frozen" not in judged.findings
        past = past.followed(picture, judged, NOON + timedelta(hours=number))


def test_what_a_mask_covers_is_not_judged():
    burned = SCENE.copy()
    burned[300:] = 128
    hidden = np.zeros((HEIGHT, WIDTH), bool)
    hidden[300:] = True
    picture = Picture.of_pixels(burned, heavy=True, hidden=hidden)

    assert evaluate(picture, heavy=True, past=PAST).sort is not Sort.DAMAGE
    assert evaluate(Picture.of_pixels(burned, heavy=True), heavy=True).verdict == "missing part"


def test_nothing_decodes_is_no_picture():
    for data in (b"", b"<html>", CUT[:200], CUT[:30] + bytes(3000)):
        with pytest.raises(BrokenPicture):
            Picture.of_bytes(data, full=False, heavy=False)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("form", [".jpg", ".png", ".webp"])
def test_views_have_one_size_however_it_was_decoded(form, full):
    data = cv2.imencode(form, SCENE, [cv2.IMWRITE_WEBP_QUALITY, 80] if form == ".webp" else [])[1].tobytes()

    picture = Picture.of_bytes(data, full=full, heavy=True)

    assert (picture.width, picture.height) == (WIDTH, HEIGHT)
    assert picture.grey.shape == Picture.of_pixels(SCENE, heavy=True).grey.shape == (270, 480)
    assert picture.half.shape == (540, 960)
    assert (picture.pixels is not None) is full
    assert picture.file.error == ""
    assert np.abs(picture.grey.astype(int) - Picture.of_pixels(SCENE, heavy=False).grey).mean() < 3


@pytest.mark.parametrize("form", [".png", ".webp"])
def test_other_files_that_are_cut_are_broken_or_say_so(form):
    data = cv2.imencode(form, SCENE[:200, :300])[1].tobytes()
    try:
        picture = Picture.of_bytes(data[: len(data) * 2 // 3], full=False, heavy=False)
    except BrokenPicture as error:
        assert error.reason  # noqa: PT017 - either outcome is right
    else:
        assert "not whole" in picture.file.error


def test_a_past_is_small_and_comes_back_and_nonsense_is_an_empty_one():
    past = PAST
    for number, change in enumerate((damaged.at_night, damaged.in_infrared, damaged.in_fog)):
        picture = picture_of(np.clip(change(scene(number), RNG).astype(int) + 12, 0, 255).astype(np.uint8))
        past = past.followed(picture, evaluate(picture, heavy=False), NOON + timedelta(hours=1 + number))
    data = past.to_bytes()

    again = Past.from_bytes(data)

    assert len(data) < 40_000
    assert len(past.references) >= 2
    assert again.to_bytes() == data
    assert evaluate(picture_of(scene(8)), heavy=False, past=again).readings[8].value is not None
    for nonsense in (
        b"",
        b"TLP1",
        data[:100],
        data[:-9],
        b"TLP1" + bytes(99),
        data.replace(b"shapes", b"shopes"),
    ):
        assert Past.from_bytes(nonsense) == Past()


def test_damage_teaches_nothing_and_a_new_view_is_learnt_after_two_days():
    smeared = picture_of(damaged.smeared(scene(5), 200))
    after_damage = PAST.followed(smeared, evaluate(smeared, heavy=False, past=PAST), NOON)
    assert np.array_equal(after_damage.previous, PAST.previous)

    past, found = PAST, []
    for number in range(26):
        picture = picture_of(damaged.moved(scene(number), 0.12))
        judged = evaluate(picture, heavy=False, past=past)
        found.append(judged.verdict)
        past = past.followed(picture, judged, NOON + timedelta(hours=2 * number))

    assert found == ["moved"] * 25 + ["good"]


@pytest.mark.parametrize(
    ("word", "change"),
    [
        ("out of focus", lambda number: damaged.defocused(scene(number), 1 / 130)),
        ("covered", lambda number: damaged.covered(scene(number), np.random.default_rng(number), 1.2, 40)),
    ],
)
def test_what_hinders_the_camera_is_never_learnt_however_long_it_stays(word, change):
    past, found = after(10), []
    for number in range(60):
        picture = picture_of(change(number))
        judged = evaluate(picture, heavy=False, past=past)
        found.append(word in judged.findings)
        past = past.followed(picture, judged, NOON + timedelta(hours=1 + 2 * number))

    assert found == [True] * 60
    assert evaluate(picture_of(scene(99)), heavy=False, past=past).verdict == "good"


def shutter(seed):
    """Brown slats, as bright and as plainly drawn as what they hide, but for a gap at the side."""
    rows = np.arange(HEIGHT) % 48
    slats = np.where(rows < 8, 60, 110 + rows)[:, None, None] * np.array((0.7, 0.95, 1.15))
    shown = np.clip(slats + np.random.default_rng(seed).normal(0, 4, SCENE.shape), 0, 255).astype(np.uint8)
    gap = WIDTH // 6
    shown[:, :gap] = scene(seed)[:, :gap]
    return shown


def test_what_is_obstructed_although_it_is_as_bright_as_ever_is_covered_and_stays_so():
    past = after(10)
    for number in range(40):
        picture = picture_of(shutter(number))
        judged = evaluate(picture, heavy=False, past=past)
        assert "covered" in judged.findings, judged
        assert judged.score >= 75
        past = past.followed(picture, judged, NOON + timedelta(hours=1 + 2 * number))

    assert evaluate(picture_of(scene(99)), heavy=False, past=past).verdict == "good"


@pytest.mark.parametrize("change", [damaged.at_night, damaged.in_infrared, damaged.in_fog, damaged.in_snow])
def test_night_infrared_fog_and_snow_do_not_cover_the_scene(change):
    assert "covered" not in evaluate(picture_of(change(scene(5), RNG)), heavy=False, past=PAST).findings
