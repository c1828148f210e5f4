"""A year of two timelapses, lived through in large steps: the ledger, the preview and a slow calendar say the same."""

import random
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from cameras.models import Camera
from captures import campaign, coverage, days, dispatch, forecast, ledger, settlement
from captures.intervalometer import Coming
from media_jobs import clock
from tests import slow_calendar
from tests.campaigns import claim, faults
from tests.factories import make_camera, make_timelapse
from tests.turned_clock import turned_clock

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
BEGIN = datetime(
    2026, 1, 5, 10, 7, 13, tzinfo=UTC
)  # off every grid: an instant that changes something owes nothing
STRIDE = timedelta(days=4)
PREVIEWED = 600  # more slots than a stride has


def plan(rules, window, **kw):
    return {"rules": rules, "window": window, "weekdays": [], "dates": [], "blackouts": []} | kw


HOURS = {"kind": "interval", "every_s": 3600, "on_the_clock": True}
QUARTERS = HOURS | {"every_s": 900}
NIGHT = {"kind": "clock", "start": "20:00", "end": "06:00"}
NOON = {"kind": "cron", "expression": "30 12 * * 1-5", "window": {"kind": "none"}}
LOST_AND_DOUBLE = {"kind": "times", "times": ["02:30", "23:59:30"]}
DAYLIGHT = {"kind": "sun", "start_offset_min": 45, "end_offset_min": -30}
SUNSET = {"kind": "sun", "event": "sunset", "offset_min": -7, "window": {"kind": "none"}}
TWICE = {"kind": "cron", "expression": "*/20 7-9 * * *"}


class Year:
    """Moves one timelapse through time, and keeps a list of its own of what was in force when."""

    def __init__(self, hand, timelapse, steps, seed):
        self.hand = hand
        self.steps = steps
        self.timelapse = timelapse
        self.chance = random.Random(seed)
        self.promises = []
        self.previews = 0
        campaign.start(timelapse, by="otto")
        self.begin()

    def begin(self):
        timelapse = self.timelapse
        zone = ZoneInfo(timelapse.time_zone)
        midnight = datetime.combine(timelapse.started_at.astimezone(zone).date(), time(), zone).astimezone(
            UTC
        )
        camera = Camera.objects.get(pk=timelapse.camera_id)
        self.since = clock.now()
        self.document = {
            "plan": timelapse.plan,
            "zone": timelapse.time_zone,
            "place": [camera.latitude, camera.longitude],
            "anchors": [
                midnight.isoformat() if rule["kind"] == "interval" else None
                for rule in timelapse.plan["rules"]
            ],
        }

    def end(self):
        self.promises.append((self.document, self.since, clock.now()))

    def expected(self):
        return [slot for promise in self.promises for slot in slow_calendar.owed(*promise)]

    def pass_time(self, span):
        """The planner, some days at once; a few pictures are taken, the others are nobody's."""
        until = clock.now() + span
        while (now := clock.now()) < until:
            horizon = min(now + STRIDE, until)
            lines = forecast.forecast(self.timelapse, limit=PREVIEWED, start=now)
            promised = [line.at for line in lines if isinstance(line, Coming) and line.at < horizon]
            while dispatch.claim(horizon, now):
                pass
            self.timelapse.refresh_from_db()
            rows = self.timelapse.captures.owed().filter(slot__gte=now).order_by("slot")
            owed = dict(rows.values_list("slot", "pk"))
            assert list(owed) == promised
            self.previews += len(promised)
            self._take(owed)
            self.hand.set(horizon)
            settlement.sweep(horizon)

    def _take(self, owed):
        for slot in sorted(self.chance.sample(sorted(owed), min(4, len(owed)))):
            self.hand.set(slot)
            assert claim(owed[slot], worker="w")
            capture = self.timelapse.captures.get(pk=owed[slot])
            if self.chance.random() < 0.3:
                ledger.fail(capture, "unreachable")
            else:
                picture = ledger.StoredPicture(f"{capture.pk}.jpg", 9, 64, 48, "mjpeg", "ab" * 32, slot)
                assert ledger.store(capture, picture)

    def be_silent(self, span):
        """No planner for so long."""
        self.hand.set(clock.now() + span)

    def pause(self, span):
        campaign.pause(self.timelapse, by="otto")
        self.end()
        self.hand.set(clock.now() + span)
        campaign.resume(self.timelapse, by="otto")
        self.begin()

    def change(self, **fields):
        self.end()
        campaign.change(self.timelapse, by="vera", **fields)
        self.begin()

    def move_camera(self, latitude, longitude):
        self.end()
        Camera.objects.filter(pk=self.timelapse.camera_id).update(latitude=latitude, longitude=longitude)
        assert campaign.follow_cameras() == 1
        self.timelapse = type(self.timelapse).objects.get(pk=self.timelapse.pk)
        self.begin()

    def switch_camera(self, *, is_enabled):
        Camera.objects.filter(pk=self.timelapse.camera_id).update(is_enabled=is_enabled)
        self.timelapse = type(self.timelapse).objects.get(pk=self.timelapse.pk)


def live_in_berlin(year):
    """By night, with times that a change of the clock leaves out or has twice."""
    year.pass_time(40 * DAY)
    year.be_silent(3 * DAY + 5 * HOUR)
    year.pass_time(40 * DAY)  # over the 29th of March
    year.pause(2 * DAY + 3 * HOUR)
    year.pass_time(20 * DAY)
    year.change(plan=plan([year.steps, NOON], NIGHT, weekdays=[1, 2, 3, 4, 5], blackouts=["2026-05-14"]))
    year.pass_time(45 * DAY)
    year.be_silent(7 * HOUR)
    year.change(time_zone="Europe/London")
    year.pass_time(35 * DAY)
    year.switch_camera(is_enabled=False)
    year.pass_time(3 * DAY)
    year.switch_camera(is_enabled=True)
    year.pass_time(30 * DAY)
    year.change(time_zone="Europe/Berlin", plan=plan([LOST_AND_DOUBLE, year.steps, TWICE], NIGHT))
    year.be_silent(11 * DAY)
    year.pass_time(60 * DAY)  # over the 25th of October
    year.pause(12 * HOUR)
    year.be_silent(1 * HOUR)
    year.change(plan=plan([year.steps], {"kind": "none"}, dates=[["2026-01-01", "2026-12-24"]]))
    year.pass_time(BEGIN + 365 * DAY - clock.now())


def live_by_the_sun(year):
    """From sunrise to sunset, on both sides of the earth."""
    year.pass_time(60 * DAY)
    year.be_silent(2 * DAY)
    year.pass_time(50 * DAY)  # over the 5th of April
    year.move_camera(69.65, 18.96)  # Tromsø: the sun does not set, and later does not rise
    year.pass_time(50 * DAY)
    year.pause(20 * DAY)
    year.change(plan=plan([year.steps, NOON], DAYLIGHT))
    year.pass_time(100 * DAY)  # over the 4th of October
    year.be_silent(30 * HOUR)
    year.pass_time(BEGIN + 365 * DAY - clock.now())


BERLIN = (live_in_berlin, [NOON, LOST_AND_DOUBLE], NIGHT, "Europe/Berlin", (52.5, 13.4))
SYDNEY = (live_by_the_sun, [SUNSET], DAYLIGHT, "Australia/Sydney", (-33.9, 151.2))


# The slow calendar takes a minute for a year of hours, and several for one of quarters.
@pytest.mark.parametrize(
    ("live", "rules", "window", "zone", "place", "steps"),
    [
        (*BERLIN, HOURS),
        pytest.param(*BERLIN, QUARTERS, marks=pytest.mark.soak),
        pytest.param(*SYDNEY, QUARTERS, marks=pytest.mark.soak),
    ],
)
def test_a_year_has_every_slot_that_a_slow_calendar_finds_and_no_other(
    live, rules, window, zone, place, steps, broker
):
    with turned_clock(BEGIN) as hand:
        camera = make_camera(latitude=place[0], longitude=place[1])
        lived = make_timelapse(camera=camera, plan=plan([steps, *rules], window), time_zone=zone)
        year, a_quarter = Year(hand, lived, steps, seed=7), steps["every_s"] // 900
        live(year)
        campaign.complete(year.timelapse, by="otto")
        year.end()
        hand.set(clock.now() + HOUR)
        settlement.sweep(clock.now())

        timelapse, end = year.timelapse, clock.now()
        before = coverage.coverage(timelapse, BEGIN, end)
        while settlement.account():
            pass
        expected = year.expected()

        rows = list(timelapse.captures.order_by("slot").values_list("slot", "state", "reason"))
        assert [slot for slot, _, _ in rows] == expected
        states = Counter(state for _, state, _ in rows)
        assert sum(states.values()) == len(expected) > 10_000 // a_quarter
        assert states["owed"] == 0
        assert min(states["stored"], states["failed"], states["missed"]) > 50
        assert Counter(reason for _, _, reason in rows)["scheduler_was_down"] > 50 // a_quarter
        assert coverage.coverage(timelapse, BEGIN, end) == before
        assert (before.owed_total, before.stored) == (len(expected), states["stored"])
        assert faults(timelapse, end) == []
        assert year.previews > 5_000 // a_quarter
        kept = days.calendar(timelapse, date(2026, 1, 1), date(2027, 1, 31))
        assert sum(day.owed for day in kept) == len(expected)
        # A month in spring, by the versions that were in force then.
        march = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 10, tzinfo=UTC)
        in_march = sum(march[0] <= slot < march[1] for slot in expected)
        assert coverage.coverage(timelapse, *march).owed_total == in_march
