"""How quality is drawn and written, as values."""

from datetime import date

import pytest

from captures.quality_report import DayOfQuality
from timelapser.pages import marks
from timelapser.templatetags.quality import reading

MONDAY = date(2026, 5, 4)


def day(number, average, count=10, bad=0):
    return DayOfQuality(MONDAY.replace(day=number), count, average, bad)


@pytest.mark.parametrize(
    ("score", "code"),
    [
        (100, "excellent"),
        (90, "excellent"),
        (89.9, "good"),
        (70, "good"),
        (69.9, "acceptable"),
        (50, "acceptable"),
        (49, "poor"),
        (30, "poor"),
        (29, "critical"),
        (0, "critical"),
    ],
)
def test_band_is_that_of_the_points_that_are_shown(score, code):
    assert marks.band(score).code == code


def test_bands_say_their_range():
    assert [band.words for band in marks.ALL_BANDS.values()] == [
        "90–100",
        "70–89",
        "50–69",
        "30–49",
        "below 30",
    ]


def test_bar_is_filled_from_the_best_band_on():
    parts = marks.bar({"excellent": 1, "good": 2, "acceptable": 0, "poor": 1, "critical": 0})
    assert [(part.band.code, part.count, part.x, part.width) for part in parts] == [
        ("excellent", 1, 0, 25),
        ("good", 2, 25, 50),
        ("acceptable", 0, 75, 0),
        ("poor", 1, 75, 25),
        ("critical", 0, 100, 0),
    ]


def test_bar_of_nothing_has_no_width():
    assert {part.width for part in marks.bar({})} == {0}


def test_line_needs_two_days():
    assert marks.spark([]) is None
    assert marks.spark([day(4, 90)]) is None


def test_line_leaves_room_for_days_without_pictures_and_stays_in_its_box():
    spark = marks.spark([day(1, 100), day(3, 0), day(4, 60)])
    assert spark.points == "3.0,3.0 79.0,28.5 117.0,13.2"
    assert (spark.last_x, spark.last_y) == (117, 13.2)
    assert spark.words == "100 on 01 May, 60 on 04 May"


def test_line_of_a_steady_camera_is_flat():
    heights = {point.partition(",")[2] for point in marks.spark([day(1, 97), day(2, 98)]).points.split()}
    first, second = sorted(map(float, heights))
    assert second - first < marks.SPARK_HEIGHT / 10


def test_columns_have_a_place_for_each_day_and_a_height_for_those_with_pictures():
    columns = marks.columns([day(2, 75.5)], MONDAY.replace(day=1), MONDAY.replace(day=4))
    assert [column.height for column in columns] == [0, 75.5, 0, 0]
    assert [column.band and column.band.code for column in columns] == [None, "good", None, None]
    assert (columns[1].x, columns[1].width, columns[1].y, columns[1].middle) == (28, 19, 24.5, 37.5)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"),
        (0, "0"),
        (0.14, "0.14"),
        (0.021_44, "0.0214"),
        (0.000_012_3, "0.00001"),
        (57.26, "57.3"),
        (70.0, "70"),
        (1240.4, "1240"),
        (-0.5, "-0.5"),
        (100, "100"),
    ],
)
def test_reading_has_three_digits_that_matter(value, words):
    assert reading(value) == words
