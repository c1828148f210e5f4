"""The operations page and the audit without a browser: what they say of queues, workers, the clock and deeds."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.urls import reverse
from django_celery_beat.models import PeriodicTask

from captures import campaign
from media_jobs import clock, correlation
from media_jobs.models import Decision, MediaJob, Pulse, Run
from tests.factories import make_capture, make_job, make_timelapse
from tests.test_pages import running, words_of
from timelapser.templatetags.pages import facts, offset

pytestmark = pytest.mark.django_db


@pytest.fixture
def engine(broker):
    """One worker of captures and videos, entries in the tables, an empty broker."""
    call_command("sync_schedule", verbosity=0)
    values = {
        "queues": ["capture", "video"],
        "pool": "threads",
        "concurrency": 16,
        "running": {"capture": 3},
        "rate_per_min": {"capture": 12.5},
        "host": "pi-7",
        "load": 1.25,
        "cores": 4,
        "disk_free_bytes": 5 * 2**30,
        "version": "0.1.0",
        "clock_offset_s": -0.75,
    }
    return Pulse.objects.create(name="capture@pi-7", kind="worker", at=clock.now(), facts=values)


def page_of(client):
    return words_of(client.get(reverse("operations")))


def test_queues_say_what_waits_runs_and_who_serves(engine, pages, viewer):
    make_job(queue="video", state="failed", finished_at=clock.now(), error="The disk was full.")
    text = page_of(pages(viewer))
    assert "capture 0 – 3 of 16 12 0 1 alive" in text
    assert "video 0 – 0 of 16 0 1 1 alive" in text
    assert "thumbnail 0 – 0 of 0 0 0 none" in text


def test_workers_say_where_they_are_and_what_they_see(engine, pages, viewer):
    assert "capture pi-7 capture, video threads 3 of 16 1.3 / 4 5.0 GB −750 ms 0.1.0" in page_of(
        pages(viewer)
    )


def test_worker_that_is_silent_is_not_shown(engine, pages, viewer):
    Pulse.objects.update(at=clock.now() - timedelta(minutes=5))
    assert "No worker is alive." in page_of(pages(viewer))


def test_entries_say_how_they_ran(engine, pages, viewer):
    now = clock.now()
    Run.objects.create(
        name="videos.tidy",
        instant=now,
        runs=1,
        started_at=now,
        finished_at=now,
        busy_ms=45,
        longest_ms=45,
        result={"segments": 3},
    )
    Run.objects.create(
        name="media_jobs.prune", instant=now, runs=1, failures=1, error="OSError: no", started_at=now
    )
    PeriodicTask.objects.filter(name="timelapser: videos.follow").update(enabled=False)
    text = page_of(pages(viewer))
    assert "videos.tidy 5 min" in text
    assert "45 ms" in text
    assert "segments 3 0 of 1" in text
    assert "OSError: no 1 of 1" in text
    assert "videos.follow switched off" in text


def test_admin_alone_runs_an_entry_now(engine, pages, admin, operator):
    address = reverse("entry-run", args=["videos.tidy"])
    assert "Run now" not in page_of(pages(operator))
    assert "Run now" in page_of(pages(admin))
    assert pages(operator).post(address).status_code == 403
    response = pages(admin).post(address, follow=True)
    assert "videos.tidy is being run." in words_of(response)
    assert pages(admin).post(reverse("entry-run", args=["videos.render"])).status_code == 404


def test_link_is_for_those_who_run_things(pages, viewer, operator):
    assert reverse("operations") not in pages(viewer).get("/").content.decode()
    assert reverse("operations") in pages(operator).get("/").content.decode()


def test_pressure_names_what_is_full(engine, pages, viewer, settings):
    settings.MAX_WAITING, settings.WARN_WAITING = 2, 1
    for _ in range(2):
        make_job(task="videos.render", queue="video", priority=MediaJob.Priority.HIGH)
    assert "videos.render a person 2 1 2 full: no more is taken" in page_of(pages(viewer))


def test_wish_that_there_is_no_room_for_is_refused_in_words(broker, pages, operator, settings):
    settings.MAX_WAITING = 1
    timelapse = running()
    make_job(queue="capture", priority=MediaJob.Priority.HIGH)
    response = pages(operator).post(reverse("camera-test", args=[timelapse.camera_id]), follow=True)
    assert "no more are taken now" in words_of(response)


def test_failed_work_is_tried_again_by_who_may(broker, pages, operator, viewer):
    job = make_job(state="failed", finished_at=clock.now(), error="Gone.", title="Test of the roof")
    address = reverse("job-retry", args=[job.pk])
    assert pages(viewer).post(address).status_code == 403
    response = pages(operator).post(address, follow=True)
    assert "“Test of the roof” is tried again." in words_of(response)
    assert MediaJob.objects.filter(state="queued", requested_by="otto").count() == 1


def test_what_has_not_failed_is_not_tried_again(pages, operator):
    job = make_job(state="done", finished_at=clock.now())
    response = pages(operator).post(reverse("job-retry", args=[job.pk]), follow=True)
    assert "Only what has failed can be tried again." in words_of(response)
    assert MediaJob.objects.count() == 1


# --- deeds of operators ----------------------------------------------------------------------------------------


def test_all_work_of_a_timelapse_is_cancelled_with_one_button(pages, operator):
    timelapse = running()
    make_capture(timelapse=timelapse)
    job = make_job(task="videos.render", topic=timelapse.topic)
    response = pages(operator).post(reverse("timelapse-cancel-work", args=[timelapse.pk]), follow=True)
    assert "2 pieces of work cancelled." in words_of(response)
    job.refresh_from_db()
    assert job.state == "cancelled"
    assert set(timelapse.captures.values_list("state", "reason")) == {("skipped", "cancelled")}


def test_schedule_is_calculated_anew(pages, operator):
    timelapse = make_timelapse()
    campaign.start(timelapse, by="otto")
    response = pages(operator).post(reverse("timelapse-move", args=[timelapse.pk, "reschedule"]), follow=True)
    assert "was calculated anew." in words_of(response)


def test_thumbnails_are_asked_for(pages, operator):
    response = pages(operator).post(reverse("timelapse-thumbnails", args=[running().pk]), follow=True)
    assert "The missing thumbnails are being made." in words_of(response)


# --- the audit -------------------------------------------------------------------------------------------------


def test_decision_leads_to_all_that_came_of_it(pages, operator):
    timelapse = make_timelapse()
    client = pages(operator)
    with correlation.following(""):
        campaign.start(timelapse, by="otto")
    decision = Decision.objects.get(action="timelapse_started")
    page = client.get(reverse("timelapse", args=[timelapse.pk]))
    link = f"{reverse('audit')}?correlation_id={decision.correlation_id}"
    assert link in page.content.decode()
    assert "Timelapse started by otto" in words_of(page)
    thread = words_of(client.get(link))
    assert "Timelapse started decision · by otto" in thread
    assert f"timelapse {timelapse.pk}" in thread


def test_decisions_are_those_of_the_topic_that_is_asked_for(pages, viewer):
    now = clock.now()
    Decision.objects.create(
        at=now, action="one_thing", topic="timelapse.1", by="clock", rule="after 10 captures"
    )
    Decision.objects.create(at=now, action="another_thing", topic="queue.capture", by="clock")
    client = pages(viewer)
    assert "another thing" in words_of(client.get(reverse("audit"))).lower()
    text = words_of(client.get(reverse("audit"), {"topic": "timelapse.1"}))
    assert "One thing by clock · after 10 captures" in text
    assert "Another thing" not in text


@pytest.mark.parametrize("wanted", ["nobody", "x" * 5000, "' or 1=1", "\x00"])
def test_thread_that_nobody_knows_is_said_to_be_none(pages, viewer, wanted):
    response = pages(viewer).get(reverse("audit"), {"correlation_id": wanted})
    assert "Nothing is known by this id" in words_of(response)


def test_topic_that_no_column_can_hold_has_no_decisions(pages, viewer):
    assert "Nothing was decided yet." in words_of(
        pages(viewer).get(reverse("audit"), {"topic": "x\x00" * 99})
    )


def test_facts_are_read_as_words():
    plan = {"rules": [{"kind": "interval", "every_s": 60}]}
    other = {"rules": [{"kind": "interval", "every_s": 300}]}
    assert facts({"plan": [plan, other]}) == "plan “every 60 s” → “every 5 min”"
    assert facts({"planned": 1, "end_at": [None, "2026"]}) == "planned 1, end at none → 2026"
    assert facts({"again": False, "rules": {"rules": "x"}}) == "again no, rules a plan that cannot be read"
    assert facts(None) == ""


@pytest.mark.parametrize(("seconds", "words"), [(0.003, "+3\xa0ms"), (-1.25, "−1.2\xa0s"), (None, "–")])
def test_offset_of_a_clock_has_its_sign(seconds, words):
    assert offset(seconds) == words
