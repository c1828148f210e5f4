from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.painted import read_number, source
from videos.encoding.errors import NoFrames
from videos.encoding.look import Look
from videos.encoding.poster import make_poster


@pytest.mark.parametrize(
    ("look", "size"),
    [
        (Look(1920, 1080, 25), (1280, 720)),
        (Look(640, 360, 25), (640, 360)),
        (Look(2560, 4096, 25), (1280, 2048)),
    ],
)
def test_poster_has_the_aspect_of_the_film_and_is_at_most_1280_wide(look, size):
    poster = make_poster([source(33, look.width, look.height)], look)

    pixels = cv2.imdecode(np.frombuffer(poster.data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape[1::-1] == size
    assert (poster.width, poster.height) == size
    assert read_number(pixels) == 33


def test_poster_passes_over_broken_candidates():
    poster = make_poster([Path("/nowhere.jpg"), lambda: b"broken", source(5), source(6)], Look(640, 360, 25))

    assert read_number(cv2.imdecode(np.frombuffer(poster.data, np.uint8), cv2.IMREAD_COLOR)) == 5


def test_poster_of_nothing_is_no_frames():
    with pytest.raises(NoFrames):
        make_poster([Path("/nowhere.jpg")], Look(640, 360, 25))
