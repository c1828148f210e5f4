"""Plans and times to test schedules with, as Hypothesis draws them."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import strategies as st

from captures.intervalometer import Place, Plan, Timetable

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
DAY = timedelta(days=1)
READINGS = st.times().map(lambda at: f"{at.hour:02}:{at.minute:02}")
EARLY = st.integers(0, 239).map(
    lambda minute: f"{minute // 60:02}:{minute % 60:02}"
)  # where clocks are changed
OFFSETS = st.integers(-90, 90)
DATES = st.integers(-4, 4)
CRONS = [
    "*/10 * * * *", "*/7 1-3 * * *", "5,35 */2 * * *", "30 2 * * *", "0,15,30,45 0-3 * * *", "0 1,2,3 * * 0,6",
    "10-50/20 0 * * 1-5", "*/20 8-17 1-15 * *", "0 */5 13 * 5", "59 23 28-31 3,10,11 *", "15 30 2 * * *",
]  # fmt: skip


@lru_cache(maxsize=4096)
def changes(zone: str, year: int) -> tuple[datetime, ...]:
    """The hours of UTC in which the clock of the zone is changed."""
    local = ZoneInfo(zone)
    hours = [datetime(year, 1, 1, tzinfo=UTC) + number * timedelta(hours=12) for number in range(2 * 366)]
    found = [(at, at.astimezone(local).utcoffset()) for at in hours]
    return tuple(b[0] for a, b in pairwise(found) if a[1] != b[1])


clock_windows = st.builds(
    lambda start, end: {"kind": "clock", "start": start, "end": end}, EARLY | READINGS, EARLY | READINGS
)
sun_windows = st.builds(
    lambda start, end: {"kind": "sun", "start_offset_min": start, "end_offset_min": end}, OFFSETS, OFFSETS
)
altitude_windows = st.sampled_from(
    [
        {"at_least_deg": -6.0},
        {"at_most_deg": -6.0},
        {"at_least_deg": -4.0, "at_most_deg": 6.0},
        {"at_most_deg": 0.0},
    ]
).map(lambda bounds: {"kind": "altitude"} | bounds)
intervals = st.builds(
    lambda every_s, on_the_clock: {"kind": "interval", "every_s": every_s, "on_the_clock": on_the_clock},
    st.sampled_from([300, 420, 600, 1800, 3600, 7200, 86_400]) | st.integers(240, 86_400),
    st.booleans(),
)
crons = st.sampled_from(CRONS).map(lambda expression: {"kind": "cron", "expression": expression})
times = st.lists(EARLY | READINGS | st.just("12:30:15"), min_size=1, max_size=4).map(
    lambda readings: {"kind": "times", "times": readings}
)
sun_shots = st.builds(
    lambda event, offset: {"kind": "sun", "event": event, "offset_min": offset},
    st.sampled_from(["dawn", "sunrise", "sunset", "dusk"]),
    OFFSETS,
)


@st.composite
def days_of_change(draw) -> tuple[str, datetime]:
    """A zone, and a moment in the days around a change of its clock, or any where it has none."""
    zone = draw(st.sampled_from(ZONES))
    year = draw(st.integers(2000, 2037))
    around = changes(zone, year) or (datetime(year, 6, 1, tzinfo=UTC),)
    start = draw(st.sampled_from(around)) - draw(st.integers(6 * 3600, 40 * 3600)) * timedelta(seconds=1)
    return zone, start


@st.composite
def plans(draw, *, near: datetime, with_sun: bool) -> dict:
    """A plan of one to three rules whose dates lie around `near`."""
    kinds, windows = intervals | crons | times, clock_windows | st.just({"kind": "none"})
    has_altitude = False
    if with_sun:
        kinds |= sun_shots
        has_altitude = draw(st.booleans())
        windows |= altitude_windows if has_altitude else sun_windows
    rules = draw(st.lists(kinds, min_size=1, max_size=3))
    for rule in rules:
        if draw(st.integers(0, 3)) == 0:
            rule["window"] = draw(windows)
    plan = {"rules": rules, "window": draw(windows), "weekdays": [], "dates": [], "blackouts": []}
    if with_sun or draw(st.booleans()):
        return plan
    first, second, third = sorted(draw(st.tuples(DATES, DATES, DATES)))
    plan["weekdays"] = draw(st.lists(st.integers(1, 7), max_size=6))
    plan["dates"] = draw(st.sampled_from([[], [[_day(near, first), _day(near, third)]]]))
    plan["blackouts"] = draw(st.sampled_from([[], [_day(near, second)]]))
    return plan


def timetable(plan: dict, *, zone: str = "UTC", place: Place | None = None, start: datetime) -> Timetable:
    return Timetable.of(Plan.from_document(plan), zone=zone, place=place, seed="camera 7", start=start)


def _day(near: datetime, offset: int) -> str:
    return (near + offset * DAY).date().isoformat()
