from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videos.encoding.look import CODECS, Look


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 641}, {"height": 0}, {"width": 9000}, {"fps": 0}, {"fps": 241}, {"fps": Fraction(1, 61)},
        {"codec": "mpeg2"}, {"codec": "h264 -f null"}, {"crf": 52}, {"crf": -1}, {"preset": "fastest"},
        {"preset": "fast -y"}, {"gop": 0},
    ],
)  # fmt: skip
def test_look_refuses_what_cannot_be_encoded(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        Look(**{"width": 640, "height": 360, "fps": 25} | changes)


@given(st.fractions(min_value=Fraction(1, 60), max_value=240, max_denominator=1001))
def test_frame_lasts_a_whole_number_of_ticks(fps):
    look = Look(640, 360, fps)

    assert (look.timescale / look.rate).denominator == 1
    assert look.timescale >= 10_000


def test_look_from_whole_number_equals_look_from_fraction():
    assert Look(640, 360, 25) == Look(640, 360, Fraction(50, 2))
    assert Look(640, 360, 25).canonical() == Look(640, 360, Fraction(50, 2)).canonical()


@pytest.mark.parametrize("codec", CODECS)
def test_left_out_quality_is_the_default_of_the_codec(codec):
    named = Look(640, 360, 25, codec, crf=CODECS[codec].default_crf, preset=CODECS[codec].default_preset)

    assert Look(640, 360, 25, codec) == named
