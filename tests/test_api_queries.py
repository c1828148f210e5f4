"""A list costs no more queries for 30 rows than for 3."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cameras import alerts
from captures import versions
from captures.models import Schedule, Timelapse
from media_jobs import audit, clock
from media_jobs.models import Event, Pulse
from tests.factories import NOON, make_capture, make_job, make_timelapse, make_video
from tests.test_quality_report import judged

LISTS = [
    "cameras",
    "alerts/?is_open=true",
    "timelapses",
    "captures",
    "recipes",
    "videos",
    "jobs",
    "events",
    "system",
    "timelapses/{timelapse}/captures",
    "timelapses/{timelapse}/coverage",
    "timelapses/{timelapse}/schedules",
    "timelapses/{timelapse}/preview",
    "timelapses/{timelapse}/calendar/?from_day=2026-05-01",
    "timelapses/{timelapse}/ribbon/?day=2026-05-04",
    "timelapses/{timelapse}/gap/?at=2026-05-04T12:00:00Z",
    "timelapses/{timelapse}/why/?at=2026-05-04T12:00:00Z",
    "audit",
    "work",
    "work/is-scheduled/?topic=timelapse.{timelapse}",
    "cameras/{camera}/pictures/latest",
    "cameras/{camera}/uptime/?from_day=2026-05-01&until_day=2026-05-09",
    "captures/?state=stored&timelapse={timelapse}",
    "evaluations/?is_bad=true",
    "quality",
    "cameras/{camera}/quality/?since=2026-05-04T00:00:00Z",
    "captures/?day=2026-05-04&timelapse={timelapse}",
]


def make_rows(first, count):
    for _ in range(count):
        timelapse = make_timelapse(state="running")
        # Of everything many below one timelapse, and many timelapses.
        for parent in (timelapse, first or timelapse):
            capture = make_capture(timelapse=parent, state="stored", file="f", bytes=1, checksum="c")
            make_capture(timelapse=parent, state="missed", reason="no_worker")
            judged(parent.camera, 20, clock.now(), capture=capture)
        Timelapse.objects.filter(pk=timelapse.pk).update(latest_capture=capture, next_slot_at=NOON)
        timetable = versions.timetable_of(timelapse, NOON).to_document()
        audit.note("test", topic=timelapse.topic, by="ada")
        alerts.raise_alert(timelapse.camera_id, "offline", NOON, reason="unreachable", words="Gone.")
        Schedule.objects.create(timelapse=timelapse, document=timetable, from_at=NOON)
        make_video(timelapse=timelapse, file="f", revision=1)
        make_job(state="running", started_at=NOON, progress_done=1, progress_total=9)
        event = Event.objects.create(topic=timelapse.topic, type="video_ready", payload={}, created_at=NOON)
        Pulse.objects.create(name=f"worker {event.pk}", kind="worker", at=NOON, facts={"queues": ["video"]})
        first = first or timelapse
    return first


@pytest.mark.parametrize("path", LISTS)
def test_queries_do_not_grow_with_the_rows(viewer, api, path):
    client = api(viewer)
    first = make_rows(None, 3)
    where = path.format(timelapse=first.pk, camera=first.camera_id)
    address = f"/api/v1/{where}" if "?" in where else f"/api/v1/{where}/?since=0"

    client.get(address)
    few = count_queries(client, address)
    make_rows(first, 27)
    many = count_queries(client, address)

    assert many <= few


def count_queries(client, address):
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(address)
    assert answer.status_code == 200, answer.content
    return len(queries)


@pytest.mark.parametrize(("asked", "given"), [("2", 2), ("500", 12), ("100000", 12), ("nonsense", 12)])
def test_pages_are_as_long_as_asked(viewer, api, asked, given):
    timelapse = make_timelapse()
    for _ in range(12):
        make_capture(timelapse=timelapse)

    page = api(viewer).get("/api/v1/captures/", {"page_size": asked}).json()

    assert (page["count"], len(page["results"])) == (12, given)


def test_pages_hold_at_most_500_and_50_unless_asked(viewer, api):
    timelapse = make_timelapse()
    for _ in range(501):
        make_capture(timelapse=timelapse)
    client = api(viewer)

    sizes = [
        len(client.get("/api/v1/captures/", {"page_size": size}).json()["results"]) for size in ("", "9999")
    ]

    assert sizes == [50, 500]
