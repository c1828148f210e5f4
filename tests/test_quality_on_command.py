"""What the detectors say of a camera that they know, trouble by trouble; and that it is over when it is over.

A lively scene with sensor noise and the camera's own running clock, which nothing that befalls the lens changes. The
whole way through the processes is tests/test_every_trouble.py.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from captures.imaging.quality.past import Past
from captures.imaging.quality.picture import Picture
from captures.imaging.quality.score import evaluate
from tests.commanded_camera import CommandedScene, Trouble
from timelapser.demo.feed import encode_jpeg
from timelapser.demo.scene import EPOCH, VIEWS, Scene

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
LEARNT = 8  # pictures after which the past knows the scene
LASTING = 8  # pictures of a trouble; a camera that stands still is believed after some seconds
AFTER = 3


class Known:
    """A camera with its past, asked once a second."""

    def __init__(self):
        self.scene = CommandedScene(640, 360, noon=START)
        self.past = Past()
        self.at = START
        self.frozen = b""

    def verdicts(self, count, trouble=None):
        """(score, verdict, findings) of the next pictures."""
        self.scene.trouble = trouble
        return [self._judged(trouble) for _ in range(count)]

    def _judged(self, trouble):
        self.at += timedelta(seconds=1)
        jpeg = encode_jpeg(self.scene.draw(self.at))
        if trouble == Trouble.FROZEN:
            jpeg = self.frozen = self.frozen or jpeg
        if trouble == Trouble.TRUNCATED:
            jpeg = jpeg[: len(jpeg) * 2 // 5]
        picture = Picture.of_bytes(jpeg, full=False, heavy=False)
        found = evaluate(picture, heavy=False, past=self.past)
        self.past = self.past.followed(picture, found, self.at)
        return found.score, found.verdict, found.findings


@pytest.fixture
def known():
    camera = Known()
    assert camera.verdicts(LEARNT) == [(100, "good", ())] * LEARNT
    return camera


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (Trouble.SMEAR, {"smear"}),
        (Trouble.GREY, {"missing part"}),
        (Trouble.GREEN, {"missing part", "green"}),
        (Trouble.TRUNCATED, {"broken file", "missing part"}),
    ],
)
def test_damage_is_below_the_threshold_from_its_first_picture_on(known, trouble, words):
    for score, verdict, _ in known.verdicts(LASTING, trouble):
        assert verdict in words
        assert score < 70
    assert known.verdicts(AFTER) == [(100, "good", ())] * AFTER


@pytest.mark.parametrize(
    ("trouble", "word"),
    [
        (Trouble.FROZEN, "frozen"),
        (Trouble.DARK, "dark"),
        (Trouble.COVERED, "covered"),
        (Trouble.DEFOCUSED, "out of focus"),
        (Trouble.MOVED, "moved"),
    ],
)
def test_what_befalls_the_lens_is_named_and_is_no_damage(known, trouble, word):
    found = known.verdicts(LASTING, trouble)
    assert all(score >= 70 for score, *_ in found), found
    assert [verdict for _, verdict, _ in found[-2:]] == [word] * 2
    assert known.verdicts(AFTER) == [(100, "good", ())] * AFTER


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_still_water_below_a_town_is_no_tear_by_day_and_by_night(view):
    scene = Scene(640, 360, view)
    for hours in range(0, 24, 3):
        jpeg = encode_jpeg(scene.draw(EPOCH + timedelta(seconds=hours / 24 * scene.day_s)))
        found = evaluate(Picture.of_bytes(jpeg, full=False, heavy=False), heavy=False, past=Past())
        assert found.score >= 70, (view.name, hours, found.findings)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@pytest.mark.parametrize("step_s", [1, 10, 60])
def test_a_healthy_camera_of_the_demonstration_is_good_all_day(view, step_s):
    scene, past, at = Scene(1280, 720, view), Past(), START
    for _ in range(max(6, 180 // step_s // 6)):
        at += timedelta(seconds=step_s)
        picture = Picture.of_bytes(encode_jpeg(scene.draw(at)), full=False, heavy=False)
        found = evaluate(picture, heavy=False, past=past)
        assert (found.score, found.findings) == (100, ()), at
        past = past.followed(picture, found, at)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_hours_of_the_demonstration_differ_and_are_in_place_and_a_shift_is_told(view):
    """Each hour after one other only, as if the camera had been off; and pushed by a thirtieth of the width."""
    scene = Scene(1280, 720, view)
    shown = [scene.draw(EPOCH + timedelta(seconds=scene.day_s * hour / 8)) for hour in range(8)]
    pictures = [Picture.of_pixels(each, heavy=False) for each in shown]
    for before in pictures:
        past = Past().followed(before, evaluate(before, heavy=False), START)
        for now in pictures:
            found = evaluate(now, heavy=False, past=past)
            assert not {"moved", "torn", "covered", "frozen"} & set(found.findings), found.findings
    for before, pixels in zip(pictures, shown, strict=True):
        past = Past().followed(before, evaluate(before, heavy=False), START)
        pushed = Picture.of_pixels(np.roll(pixels, 52, axis=1), heavy=False)
        assert "moved" in evaluate(pushed, heavy=False, past=past).findings
