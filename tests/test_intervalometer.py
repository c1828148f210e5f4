from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures.intervalometer import EPOCH, Grid, clock_grid, spread_grid

INTERVALS = st.integers(1, 86_400).map(lambda seconds: timedelta(seconds=seconds))
MOMENTS = st.integers(0, 90 * 366 * 86_400 * 10**6).map(
    lambda microseconds: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
ZONES = st.sampled_from(
    [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu")]
)
GRIDS = st.builds(Grid, anchor=MOMENTS, interval=INTERVALS)


@given(GRIDS, MOMENTS)
def test_first_from_is_the_nearest_slot_not_before(grid, moment):
    slot = grid.first_from(moment)

    assert moment <= slot < moment + grid.interval
    assert (slot - grid.anchor) % grid.interval == timedelta()


@given(GRIDS, MOMENTS)
def test_next_after_is_the_nearest_slot_later(grid, moment):
    slot = grid.next_after(moment)

    assert moment < slot <= moment + grid.interval
    assert (slot - grid.anchor) % grid.interval == timedelta()


@given(GRIDS, MOMENTS)
def test_index_and_slot_are_inverse(grid, moment):
    index = grid.index(moment)

    assert grid.slot(index) <= moment < grid.slot(index + 1)
    assert grid.index(grid.slot(index)) == index


@given(GRIDS, MOMENTS, st.integers(-3, 40), st.integers(0, 10**6))
def test_count_says_how_many_lie_between(grid, start, intervals, microseconds):
    end = start + intervals * grid.interval + timedelta(microseconds=microseconds)

    slots = list(grid.between(start, end))

    assert grid.count(start, end) == len(slots)
    assert all(start <= slot < end for slot in slots)
    assert slots == sorted(set(slots))


@given(GRIDS, MOMENTS, st.integers(0, 30), st.integers(0, 30))
def test_counts_of_neighbours_add_up(grid, start, first, second):
    middle = start + first * grid.interval * 0.7
    end = middle + second * grid.interval * 0.7

    assert grid.count(start, middle) + grid.count(middle, end) == grid.count(start, end)


@given(INTERVALS, st.text(max_size=20))
def test_spread_grid_is_decided_by_its_seed_alone(interval, seed):
    grid = spread_grid(interval, seed=seed)

    assert grid == spread_grid(interval, seed=seed)
    assert timedelta() <= grid.anchor - EPOCH < interval


def test_spread_grids_of_many_cameras_fill_the_interval_evenly():
    interval = timedelta(seconds=60)
    phases = [(spread_grid(interval, seed=f"camera {pk}").anchor - EPOCH) / interval for pk in range(1, 1001)]

    tenths = [sum(share <= phase < share + 0.1 for phase in phases) for share in (0.1 * k for k in range(10))]

    assert min(tenths) > 50
    assert len(set(phases)) > 990


@given(INTERVALS, MOMENTS, ZONES)
def test_clock_grid_goes_through_the_local_midnight_before(interval, start, zone):
    grid = clock_grid(interval, start=start, zone=zone)
    midnight = grid.anchor.astimezone(zone)

    assert midnight.date() == start.astimezone(zone).date()
    assert (midnight.hour, midnight.minute, midnight.second) == (0, 0, 0)
    assert grid.anchor <= start


@pytest.mark.parametrize(
    ("day", "slots"),
    [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)],
)
def test_hourly_on_the_clock_keeps_full_hours_over_a_change_of_summer_time(day, slots):
    zone = ZoneInfo("Europe/Berlin")
    start = datetime.fromisoformat(day).replace(tzinfo=zone)
    end = datetime.fromisoformat(day).replace(tzinfo=zone) + timedelta(days=1)
    grid = clock_grid(timedelta(hours=1), start=start, zone=zone)

    found = list(grid.between(start.astimezone(UTC), end.astimezone(UTC)))

    assert len(found) == slots
    assert {slot.astimezone(zone).minute for slot in found} == {0}


def test_odd_interval_on_the_clock_goes_on_from_the_midnight_of_its_start():
    zone = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
    grid = clock_grid(timedelta(seconds=7), start=start, zone=zone)
    midnight = datetime(2026, 5, 3, 22, 0, tzinfo=UTC)

    assert grid.first_from(start) == midnight + timedelta(seconds=7 * 6172)
    assert (grid.first_from(start + timedelta(days=3)) - midnight) % timedelta(seconds=7) == timedelta()
