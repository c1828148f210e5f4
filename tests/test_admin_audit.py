"""The admin is no side door: what is done there is noted and told like what is done by the pages and the API."""

import pytest
from django.core.management import call_command
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from cameras.models import Camera, Site
from captures.dispatch import CLOCK
from media_jobs.models import Decision, Event
from tests.factories import make_camera, make_recipe, make_timelapse
from timelapser.schedule import OURS
from videos.models import Video

pytestmark = pytest.mark.django_db
ENTRIES = "/admin/django_celery_beat/periodictask/"
CAMERA = {
    "name": "Garden",
    "kind": "rtsp",
    "address": "rtsp://192.0.2.7/1",
    "is_enabled": "on",
    "transport": "tcp",
    "verify_tls": "on",
    "connect_timeout_s": "5",
    "deadline_s": "10",
}


@pytest.fixture
def browser(superuser, pages):
    return pages(superuser)


@pytest.fixture
def synced(db):
    call_command("sync_schedule", verbosity=0)


def noted(topic):
    """The decisions, all of whom are the superuser's."""
    rows = Decision.objects.filter(topic=topic).order_by("id")
    assert {row.by for row in rows} <= {"root"}
    return [(row.action, row.facts.get("changed")) for row in rows]


def told(topic):
    return list(Event.objects.filter(topic=topic).order_by("id").values_list("type", flat=True))


def post(browser, url, **form):
    answer = browser.post(url, form)
    assert answer.status_code == 302, answer.context["errors"]


def act(browser, address, action, *rows):
    form = {"action": action, "_selected_action": [row.pk for row in rows], "post": "yes"}
    assert browser.post(address, form).status_code == 302


def test_cameras_made_changed_and_deleted(browser):
    post(browser, "/admin/cameras/camera/add/", **CAMERA)
    camera = Camera.objects.get()
    form = CAMERA | {"name": "Yard", "password": "S3cr3t"}
    post(browser, f"/admin/cameras/camera/{camera.pk}/change/", **form)
    post(browser, f"/admin/cameras/camera/{camera.pk}/delete/", post="yes")

    assert noted(camera.topic) == [
        ("camera_created", None),
        ("camera_updated", ["name", "password"]),
        ("camera_deleted", None),
    ]
    assert told(camera.topic) == ["camera_created", "camera_updated", "camera_deleted"]
    assert not any("S3cr3t" in str(row.facts) for row in Decision.objects.all())


def test_cameras_switched_and_deleted_by_the_list(browser):
    off, on = make_camera(is_enabled=False), make_camera()
    address = "/admin/cameras/camera/"

    act(browser, address, "disable", off, on)
    act(browser, address, "enable", on)
    act(browser, address, "delete_selected", off, on)

    switched = ("camera_updated", ["is_enabled"])
    assert noted(on.topic) == [switched, switched, ("camera_deleted", None)]
    assert told(on.topic) == ["camera_updated", "camera_updated", "camera_deleted"]
    assert noted(off.topic) == [("camera_deleted", None)]  # it was off already
    assert not Camera.objects.exists()


def test_sites(browser):
    post(browser, "/admin/cameras/site/add/", name="Garden", slug="garden")
    site = Site.objects.get()
    post(browser, f"/admin/cameras/site/{site.pk}/change/", name="Big garden")
    act(browser, "/admin/cameras/site/", "delete_selected", site)

    assert noted("site.garden") == [
        ("site_created", None),
        ("site_updated", ["name"]),
        ("site_deleted", None),
    ]


def test_sites_by_the_api(api, admin):
    client = api(admin)
    site = client.post("/api/v1/sites/", {"name": "Garden", "slug": "garden"}).json()["id"]
    client.patch(f"/api/v1/sites/{site}/", {"name": "Big garden"})
    client.delete(f"/api/v1/sites/{site}/")

    rows = Decision.objects.filter(topic="site.garden", by="ada").order_by("id")
    assert [row.action for row in rows] == ["site_created", "site_updated", "site_deleted"]


def test_entries_changed_in_the_list_and_by_their_page(synced, browser):
    plan = PeriodicTask.objects.get(name=OURS + "captures.plan")
    rows = PeriodicTask.objects.order_by("name")
    form = {"form-TOTAL_FORMS": rows.count(), "form-INITIAL_FORMS": rows.count(), "_save": "Save"}
    listed = browser.get(ENTRIES).context["cl"].result_list
    for number, row in enumerate(listed):
        form[f"form-{number}-id"] = row.pk
        if row.pk != plan.pk:
            form[f"form-{number}-enabled"] = "on"
    post(browser, ENTRIES, **form)

    (row,) = Decision.objects.filter(topic=CLOCK)
    assert (row.action, row.by) == ("entry_updated", "root")
    assert (row.facts["task"], row.facts["is_enabled"], row.facts["changed"]) == (
        "captures.plan",
        False,
        ["enabled"],
    )

    interval = IntervalSchedule.objects.create(every=20, period="seconds")
    post(browser, f"{ENTRIES}{plan.pk}/change/", interval=interval.pk)
    latest = Decision.objects.filter(topic=CLOCK).latest("id")
    assert "interval" in latest.facts["changed"]
    assert "20" in latest.facts["when"]

    post(browser, f"{ENTRIES}{plan.pk}/delete/", post="yes")
    assert Decision.objects.filter(topic=CLOCK).latest("id").action == "entry_deleted"


def test_of_our_entries_the_switch_and_the_period_alone_are_editable(synced, browser):
    tidy = PeriodicTask.objects.get(name=OURS + "videos.tidy")
    interval = IntervalSchedule.objects.create(every=77, period="seconds")
    lies = {
        "name": "mine",
        "task": "no.task",
        "regtask": "captures.plan",
        "queue": "nowhere",
        "one_off": "on",
    }

    post(browser, f"{ENTRIES}{tidy.pk}/change/", interval=interval.pk, enabled="on", args="[1]", **lies)

    changed = PeriodicTask.objects.get(pk=tidy.pk)
    assert (changed.interval, changed.enabled, changed.expire_seconds) == (interval, True, 69)
    kept = ("name", "task", "queue", "one_off", "args")
    assert [getattr(changed, name) for name in kept] == [getattr(tidy, name) for name in kept]
    assert browser.get(f"{ENTRIES}add/").status_code == 200


def test_nobody_else_s_entry_takes_a_name_of_ours(synced, browser):
    every = IntervalSchedule.objects.first().pk
    mine = {"task": "media_jobs.prune", "interval": every, "args": "[]", "kwargs": "{}", "headers": "{}"}

    answer = browser.post(f"{ENTRIES}add/", mine | {"name": OURS + "mine"})
    assert "are kept for Timelapser" in answer.content.decode()

    post(browser, f"{ENTRIES}add/", name="mine", **mine)
    assert PeriodicTask.objects.get(name="mine").task == "media_jobs.prune"


def test_a_period_that_entries_share(synced, browser):
    tidy = PeriodicTask.objects.get(name=OURS + "videos.tidy")
    address = f"/admin/django_celery_beat/intervalschedule/{tidy.interval_id}/change/"

    post(browser, address, every="7", period="seconds")

    rows = Decision.objects.filter(topic=CLOCK, action="entry_updated")
    assert {row.facts["task"] for row in rows} == {"cameras.weather", "videos.tidy"}
    assert all("7" in row.facts["when"] for row in rows)


def test_running_an_entry_out_of_its_turn(synced, browser, api, admin, broker):
    tidy = PeriodicTask.objects.get(name=OURS + "videos.tidy")
    act(browser, ENTRIES, "run_now", tidy)
    api(admin).post("/api/v1/clock/videos.tidy/run/")

    rows = Decision.objects.filter(topic=CLOCK, action="entry_requested").order_by("id")
    assert [(row.by, row.facts) for row in rows] == [
        ("root", {"task": "videos.tidy"}),
        ("ada", {"task": "videos.tidy"}),
    ]


def test_films_made_and_changed(browser):
    timelapse, recipe = make_timelapse(), make_recipe()
    form = {"name": "Spring", "timelapse": timelapse.pk, "recipe": recipe.pk, "throttle_s": 0}
    post(browser, "/admin/videos/video/add/", **form)
    film = Video.objects.get()
    post(browser, f"/admin/videos/video/{film.pk}/change/", name="Summer", throttle_s=0)

    assert noted(timelapse.topic) == [("video_created", None), ("video_updated", ["name"])]
    assert told(timelapse.topic) == ["video_created", "video_updated"]
