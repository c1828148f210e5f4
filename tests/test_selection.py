from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures import campaign
from captures.intervalometer import EPOCH, Grid
from tests.campaigns import running
from tests.factories import make_stored_capture, make_timelapse, make_video
from videos import selection
from videos.encoding.look import Look
from videos.selection import Frame, Stretch

SECOND = timedelta(seconds=1)
GRID = Grid(EPOCH, SECOND)
LOOK = Look(width=640, height=480, fps=24)


def frames(numbers):
    return [Frame(number, GRID.slot(number), f"{number:064x}") for number in numbers]


def cuts_of(found, stretches=None, length=10):
    return selection.cut(found, stretches or [Stretch(EPOCH, GRID)], LOOK, "build 1", length=length)


def keys(cuts):
    return [cut.key for cut in cuts]


NUMBERS = st.lists(st.integers(0, 200), min_size=1, max_size=80, unique=True).map(sorted)


@given(NUMBERS, st.integers(1, 30))
def test_cuts_hold_every_frame_once_in_order(numbers, length):
    cuts = cuts_of(frames(numbers), length=length)

    assert [frame.capture_id for cut in cuts for frame in cut.frames] == numbers
    assert all(1 <= len(cut.frames) <= length for cut in cuts)
    assert [cut.is_open for cut in cuts] == [False] * (len(cuts) - 1) + [True]


@given(NUMBERS, st.data())
def test_leaving_a_frame_out_touches_its_own_cut_only(numbers, data):
    gone = data.draw(st.sampled_from(numbers))
    before = cuts_of(frames(numbers))
    after = cuts_of(frames([number for number in numbers if number != gone]))

    touched = [cut for cut in before if cut.key not in keys(after)]
    assert [gone in [frame.capture_id for frame in cut.frames] for cut in touched] == [True]
    assert len(set(keys(after)) - set(keys(before))) <= 1


@given(NUMBERS)
def test_one_more_frame_makes_one_new_key(numbers):
    before, after = cuts_of(frames(numbers)), cuts_of(frames([*numbers, numbers[-1] + 1]))

    assert len(set(keys(after)) - set(keys(before))) == 1
    assert keys(after)[: len(before) - 1] == keys(before)[:-1]


def test_same_grid_again_makes_no_cut_and_another_grid_does():
    found = frames(range(10))
    pause = [Stretch(EPOCH, GRID), Stretch(GRID.slot(4), GRID)]
    change = [Stretch(EPOCH, GRID), Stretch(GRID.slot(4), Grid(EPOCH, 2 * SECOND))]

    assert keys(cuts_of(found, pause)) == keys(cuts_of(found))
    assert [len(cut.frames) for cut in cuts_of(found, change)] == [4, 6]


def test_cut_of_nothing_is_nothing():
    assert cuts_of([]) == []


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_limits_of_a_local_day(day, hours):
    day = date.fromisoformat(day)
    start, end = selection.day_limits(day, day, ZoneInfo("Europe/Berlin"))

    assert end.astimezone(UTC) - start.astimezone(UTC) == timedelta(hours=hours)


@pytest.mark.django_db
def test_select_takes_the_days_of_the_timelapses_zone():
    timelapse = make_timelapse(time_zone="Asia/Tokyo")
    slots = [
        datetime(2026, 5, 4, 14, 59, 59, tzinfo=UTC) + step
        for step in (0 * SECOND, SECOND, 24 * 3600 * SECOND)
    ]
    captures = [make_stored_capture(timelapse=timelapse, slot=slot) for slot in (*slots, slots[-1] + SECOND)]
    video = make_video(timelapse=timelapse, from_day=date(2026, 5, 5), until_day=date(2026, 5, 5))

    found = [frame.capture_id for frame in selection.select(video)]

    assert found == [captures[1].pk, captures[2].pk]  # from midnight in Tokyo until its next one
    assert selection.exists(video)
    video.from_day = video.until_day = date(2026, 5, 9)
    assert not selection.exists(video)


@pytest.mark.django_db
def test_select_takes_stored_pictures_of_this_timelapse_by_slot_until_the_pin():
    timelapse = make_timelapse()
    start = datetime(2026, 5, 4, tzinfo=UTC)
    late, early = (make_stored_capture(timelapse=timelapse, slot=start + n * SECOND) for n in (5, 1))
    make_stored_capture(slot=start)
    gone = make_stored_capture(timelapse=timelapse, slot=start)
    gone.state, gone.reason = "failed", "x"
    gone.save()
    video = make_video(timelapse=timelapse)

    assert [frame.capture_id for frame in selection.select(video)] == [early.pk, late.pk]
    assert [frame.capture_id for frame in selection.select(video, until=start + SECOND)] == [early.pk]
    assert selection.select(video)[0].checksum == early.checksum


@pytest.mark.django_db
@pytest.mark.parametrize("is_on_the_clock", [True, False])
def test_pause_and_resume_keep_the_cuts(is_on_the_clock):
    timelapse = running(interval_s=1, is_on_the_clock=is_on_the_clock)
    first = timelapse.schedules.get().timetable.first_from(timelapse.schedules.get().from_at)
    found = [Frame(n, first + n * SECOND, f"{n:064x}") for n in range(30)]
    before = keys(cuts_of(found, selection.stretches_of(timelapse)))

    campaign.pause(timelapse, by="otto")
    campaign.resume(timelapse, by="otto")

    assert timelapse.schedules.count() == 2
    assert keys(cuts_of(found, selection.stretches_of(timelapse))) == before
