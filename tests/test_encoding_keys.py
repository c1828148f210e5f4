from dataclasses import replace
from fractions import Fraction

import pytest

from videos.encoding.keys import encoder_build, segment_key
from videos.encoding.look import Look

LOOK = Look(640, 360, 25)
FRAMES = ["aa", "bb", "cc"]


def test_equal_inputs_give_the_equal_key():
    assert segment_key(FRAMES, LOOK, "b") == segment_key(
        iter(list(FRAMES)), Look(640, 360, Fraction(25)), "b"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"width": 642}, {"height": 362}, {"fps": Fraction(30000, 1001)}, {"codec": "h265"}, {"crf": 24},
        {"preset": "fast"}, {"gop": 60},
    ],
)  # fmt: skip
def test_any_change_of_the_look_gives_another_key(change):
    assert segment_key(FRAMES, replace(LOOK, **change), "b") != segment_key(FRAMES, LOOK, "b")


@pytest.mark.parametrize("frames", [["aa", "cc", "bb"], ["aa", "bb"], ["aabb", "cc"], ["aa", "bb", "cd"], []])
def test_any_change_of_the_frames_gives_another_key(frames):
    assert segment_key(frames, LOOK, "b") != segment_key(FRAMES, LOOK, "b")


def test_another_build_gives_another_key():
    assert segment_key(FRAMES, LOOK, "ffmpeg=1") != segment_key(FRAMES, LOOK, "ffmpeg=2")


def test_key_is_stable_over_processes_and_releases():
    """A change here throws all stored segments away: raise KEY_FORMAT when that is meant."""
    assert (
        segment_key(FRAMES, LOOK, "b") == "5e78396166ccdb46963017c7791eab050e13f8a256e25753cb9a34330efb1177"
    )


@pytest.mark.parametrize("checksum", ["", "aa\nframe bb", "a b"])
def test_key_refuses_what_could_pretend_to_be_another_line(checksum):
    with pytest.raises(ValueError, match="checksum"):
        segment_key([checksum], LOOK, "b")


def test_encoder_build_names_ffmpeg_and_every_encoder():
    names = [part.partition("=")[0] for part in encoder_build().split(" ")]

    assert names == ["ffmpeg", "svt-av1", "x264", "x265"]
    assert encoder_build() == encoder_build()
