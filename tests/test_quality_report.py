from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from captures import quality_report
from captures.models import JudgedPicture, Timelapse
from tests.factories import NOON, make_camera, make_capture, make_timelapse

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def judged(camera, score, at=NOON, *, verdict="", action="", **kw):
    is_bad = score < 70
    verdict = verdict or ("smear" if is_bad else "good")
    return JudgedPicture.objects.create(
        camera=camera,
        at=at,
        score=score,
        fast=score,
        verdict=verdict,
        action=action or ("flagged" if is_bad else "saved"),
        is_bad=is_bad,
        elapsed_ms=1,
        **kw,
    )


def test_report_of_a_camera_counts_what_was_kept_and_says_what_was_found():
    timelapse = make_timelapse()
    camera = timelapse.camera
    Timelapse.objects.update(flagged_count=3, discarded_count=2)
    gone = {"timelapse": timelapse, "state": "discarded", "reason": "smear", "bytes": 1000}
    make_capture(**gone)
    make_capture(**gone | {"bytes": 70}, file="quarantine/x.jpg", quarantine_until=NOON + HOUR)
    for score in (100, 90, 89, 70, 69, 50, 49, 30, 29, 0):
        judged(camera, score)
    judged(camera, 0, action="retried")
    judged(camera, 0, error="it raised", verdict="good", action="saved")
    judged(camera, 95, NOON - 24 * HOUR, verdict="dark")
    judged(make_camera(), 10)
    worst = judged(camera, 5, NOON + HOUR, verdict="grey", capture=make_capture(timelapse=timelapse))

    found = quality_report.report(camera, NOON - 48 * HOUR, NOON + 2 * HOUR, NOON)

    assert found.bands == {"excellent": 3, "good": 2, "acceptable": 2, "poor": 2, "critical": 3}
    assert (found.count, found.bad, found.retried) == (12, 7, 1)
    assert found.score_average == pytest.approx((576 + 95 + 5) / 12)
    assert [(day.day, day.count, day.bad) for day in found.per_day] == [
        (date(2026, 5, 3), 1, 0),
        (date(2026, 5, 4), 11, 7),
    ]
    assert found.findings == {"smear": 6, "dark": 1, "grey": 1}
    assert (found.flagged, found.discarded, found.restorable) == (3, 2, 1)
    assert (found.saved_bytes, found.quarantine_bytes) == (1000, 70)
    assert found.last_failures[0] == worst
    assert {row.action for row in found.last_failures} == {"flagged", "saved"}


def test_fleet_knows_each_camera_and_costs_the_same_for_many():
    well, bad, off = (
        make_camera(name="A"),
        make_camera(name="B", is_degraded=True),
        make_camera(name="C", is_enabled=False),
    )
    judged(well, 100, NOON - HOUR)
    judged(well, 80, NOON - 30 * HOUR)
    last = judged(bad, 20, NOON - HOUR)
    judged(bad, 10, NOON - 13 * HOUR)

    with CaptureQueriesContext(connection) as few:
        found = quality_report.fleet_report(NOON)

    assert (found.healthy, found.degraded, found.issues_today) == (1, 1, 1)
    assert found.score_average == pytest.approx(130 / 3)
    first, second, third = found.cameras
    assert (first.camera, first.lately.average, first.last_failure) == (well, 100, None)
    assert [day.average for day in first.per_day] == [80, 100]
    assert (second.last_failure, second.lately.bands["critical"]) == (last, 2)
    assert (third.camera, third.lately.count, third.lately.average) == (off, 0, None)
    assert found.last_failures[0] == last
    for _ in range(20):
        judged(make_camera(), 10, NOON - HOUR)
    with CaptureQueriesContext(connection) as many:
        quality_report.fleet_report(NOON)
    assert len(many) == len(few) <= 7
