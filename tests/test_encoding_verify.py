from fractions import Fraction

import pytest

from tests.painted import source
from videos.encoding.errors import EncodingFailed
from videos.encoding.look import Look
from videos.encoding.segments import encode_segment
from videos.encoding.verify import check_all_decodes, check_decodes, check_film, check_segment

LOOK = Look(192, 108, 25, gop=30)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    out = tmp_path_factory.mktemp("film") / "film.mp4"
    encode_segment(
        [source(number) for number in range(60)],
        LOOK,
        out,
        on_progress=lambda count: None,
        should_stop=lambda: False,
        time_limit_s=60,
    )
    return out


def never():
    return False


def test_whole_film_passes_every_check(film):
    check_segment(film, LOOK, 60)
    check_film(film, LOOK, 60, should_stop=never)
    check_decodes(film, LOOK, [0, 30], should_stop=never)
    check_all_decodes(film, LOOK, 60, should_stop=never)


@pytest.mark.parametrize("count", [59, 61])
def test_wrong_number_of_frames_is_found(film, count):
    with pytest.raises(EncodingFailed, match="60 frames"):
        check_segment(film, LOOK, count)
    with pytest.raises(EncodingFailed, match="60 frames"):
        check_film(film, LOOK, count, should_stop=never)
    with pytest.raises(EncodingFailed, match="60 frames"):
        check_all_decodes(film, LOOK, count, should_stop=never)


@pytest.mark.parametrize("look", [Look(192, 110, 25), Look(192, 108, 25, "h265")])
def test_wrong_size_or_codec_is_found(film, look):
    with pytest.raises(EncodingFailed, match="became"):
        check_segment(film, look, 60)


@pytest.mark.parametrize("fps", [24, Fraction(30000, 1001)])
def test_wrong_rate_is_found(film, fps):
    with pytest.raises(EncodingFailed):
        check_film(film, Look(192, 108, fps), 60, should_stop=never)


def test_border_that_is_no_key_frame_is_found(film):
    with pytest.raises(EncodingFailed, match="frame 7 "):
        check_decodes(film, LOOK, [7], should_stop=never)
