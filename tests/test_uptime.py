"""Uptime and success per day and outages, against a plain count over the same ledger."""

import random
from datetime import date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import pytest

from cameras import health
from cameras.models import Camera
from captures import uptime
from captures.models import Capture
from tests.factories import NOON, make_camera, make_timelapse

pytestmark = pytest.mark.django_db
VIENNA = ZoneInfo("Europe/Vienna")
FATES = [("stored", ""), ("discarded", "smear"), ("failed", "unreachable"), ("failed", "login_refused")]
FATES += [("failed", "storage_full"), ("missed", "no_worker"), ("skipped", "timelapse_paused"), ("owed", "")]
OF_CAMERA = {"unreachable", "login_refused"}


def write(timelapse, first, fates, every=timedelta(minutes=20)):
    rows = []
    for number, (state, reason) in enumerate(fates):
        slot = first + number * every
        kept = {"file": "f", "bytes": 1, "checksum": "c"} if state == "stored" else {}
        rows.append(
            Capture(timelapse=timelapse, slot=slot, give_up_at=slot, state=state, reason=reason, **kept)
        )
    Capture.objects.bulk_create(rows)
    return rows


def test_days_and_outages_are_those_of_a_plain_count(django_assert_num_queries):
    chance, camera = random.Random(11), make_camera()
    rows = []
    for number in range(3):
        timelapse = make_timelapse(camera=camera, state="completed", time_zone="Europe/Vienna")
        first = datetime(2026, 3, 27 + number, 8, tzinfo=VIENNA)  # the clocks change on the 29th
        fates = [fate for _ in range(25) for fate in [chance.choice(FATES)] * chance.randrange(1, 4)]
        rows += write(timelapse, first, fates)
    write(make_timelapse(), rows[0].slot, FATES)  # another camera's

    with django_assert_num_queries(6):
        found = uptime.uptime(camera, date(2026, 3, 27), date(2026, 3, 31))

    assert found.time_zone == "Europe/Vienna"
    assert [day.day.day for day in found.days] == [27, 28, 29, 30, 31]
    for day in found.days:
        of_day = [row for row in rows if row.slot.astimezone(VIENNA).date() == day.day]
        assert day.counts == plainly(of_day)
    assert found.total == plainly(rows)
    assert [(outage.from_at, outage.count) for outage in found.outages] == sorted(plain_outages(rows))[::-1]


def plainly(rows):
    states = [row.state for row in rows if row.state != "skipped"]
    answered = [row for row in rows if row.state in ("stored", "discarded")]
    silent = [row for row in rows if row.reason in OF_CAMERA]
    return uptime.Counts(
        owed=len(states),
        stored=states.count("stored"),
        pending=states.count("owed"),
        asked=len(answered) + len(silent),
        answered=len(answered),
    )


def plain_outages(rows):
    def is_silent(row):
        return row.reason in OF_CAMERA

    for _, own in groupby(rows, key=lambda row: row.timelapse_id):
        told = [row for row in own if row.state in ("stored", "discarded") or is_silent(row)]
        for silent, run in groupby(told, key=is_silent):
            run = list(run)
            if silent:
                yield run[0].slot, len(run)


def test_an_outage_ends_with_the_next_picture_or_the_probe_s_answer_and_has_the_commonest_reason():
    camera = make_camera(health="offline")
    timelapse = make_timelapse(camera=camera, state="running", time_zone="UTC")
    hour = timedelta(hours=1)
    fates = [*FATES[2:4], FATES[3], FATES[5], FATES[1], FATES[2]]
    write(timelapse, NOON, fates, hour)

    def outages():
        found = uptime.uptime(Camera.objects.get(), NOON.date(), NOON.date()).outages
        return [(outage.from_at, outage.until_at, outage.reason, outage.count) for outage in found]

    first = (NOON, NOON + 4 * hour, "login_refused", 3)
    assert outages() == [(NOON + 5 * hour, None, "unreachable", 1), first]
    back = NOON + 6 * hour
    Camera.objects.update(health="online", health_since=back, last_success_at=back + hour)
    assert outages() == [(NOON + 5 * hour, back, "unreachable", 1), first]


def test_the_api_gives_the_last_thirty_days_or_those_that_are_asked_for(api, viewer):
    camera = make_camera()
    timelapse = make_timelapse(camera=camera, time_zone="UTC")
    write(timelapse, NOON, FATES)
    address = f"/api/v1/cameras/{camera.pk}/uptime/"

    found = api(viewer).get(address, {"from_day": "2026-05-04", "until_day": "2026-05-04"}).json()

    assert found["days"] == [{"day": "2026-05-04", "counts": found["total"]}]
    assert found["total"] | {} == {
        "owed": 7,
        "stored": 1,
        "pending": 1,
        "success_ratio": pytest.approx(1 / 6),
        "asked": 4,
        "answered": 2,
        "uptime_ratio": 0.5,
    }
    assert [outage["count"] for outage in found["outages"]] == [2]
    assert found["outages"][0]["reason_words"] == health.words_for(found["outages"][0]["reason"])
    assert len(api(viewer).get(address).json()["days"]) == 30
    assert api(viewer).get(address, {"from_day": "2024-01-01", "until_day": "2026-01-01"}).status_code == 400
