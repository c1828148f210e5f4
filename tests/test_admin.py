"""The admin: every page opens, costs the same for few rows as for many, keeps secrets, and its actions act."""

import html
import json
from datetime import timedelta

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from rest_framework.authtoken.models import Token, TokenProxy

from cameras.models import Alert, Camera, GlobalSettings, SettingChange, Site, Weather
from captures import campaign, versions
from captures.intervalometer import every
from captures.models import Capture, Gap, Schedule, Timelapse
from media_jobs import clock
from media_jobs.models import Decision, Event, MediaJob, Pulse, Run
from tests.factories import (
    NOON,
    make_camera,
    make_capture,
    make_job,
    make_recipe,
    make_stored_capture,
    make_timelapse,
    make_user,
    make_video,
)
from videos.models import Segment, Video

SETTINGS = {GlobalSettings, SettingChange, Alert, Weather}
EVIDENCE = {Capture, Schedule, Gap, MediaJob, Event, Decision, Pulse, Segment, Run} | SETTINGS
django_admin.autodiscover()
MODELS = sorted(django_admin.site._registry, key=lambda model: model._meta.label)
assert len(MODELS) >= 15  # an admin that knows no models would pass every test below
IDS = [model._meta.label for model in MODELS]


@pytest.fixture
def browser(superuser, pages):
    return pages(superuser)


def make_rows(start, count):
    """`count` rows of every model of the admin, each with relations of its own."""
    for number in range(start, start + count):
        user = make_user(f"person{number}")
        Token.objects.create(user=user)
        said = {"jpeg_quality": 50 + number, "openweather_key": "sealed"}
        GlobalSettings.objects.update_or_create(pk=1, defaults={"said": said})
        SettingChange.objects.create(
            at=NOON, by="ada", level="global", topic="settings", name="jpeg_quality", new=50 + number
        )
        Alert.objects.create(camera=make_camera(), kind="frozen", raised_at=NOON)
        Weather.objects.create(place=f"48.{number:02},16.00")
        Group.objects.create(name=f"group {number}")
        capture = make_capture(
            timelapse=make_timelapse(state="running"), state="stored", file="f", bytes=1, checksum="c"
        )
        timelapse = capture.timelapse
        Timelapse.objects.filter(pk=timelapse.pk).update(latest_capture=capture)
        make_capture(timelapse=timelapse, state="failed", reason="timeout", slot=NOON + timedelta(days=1))
        schedule = Schedule.objects.create(
            timelapse=timelapse, document=versions.timetable_of(timelapse, NOON).to_document(), from_at=NOON
        )
        Gap.objects.create(
            timelapse=timelapse, schedule=schedule, from_at=NOON, until_at=NOON, reason="scheduler_was_down"
        )
        make_video(timelapse=timelapse, file="f.mp4", poster="p.jpg", revision=1, state="ready")
        Segment.objects.create(
            key=f"{number:064d}",
            timelapse=timelapse,
            file="s",
            frame_count=1,
            bytes=1,
            created_at=NOON,
            used_at=NOON,
        )
        make_job(state="done", result={"preview": "x.jpg"}, progress_total=9, progress_done=4)
        Event.objects.create(topic=timelapse.topic, type="video_ready", payload={}, created_at=NOON)
        Decision.objects.create(topic=timelapse.topic, action="gap", by="clock", at=NOON)
        Pulse.objects.create(name=f"worker {number}", kind="worker", at=NOON, facts={"queues": ["video"]})
        Run.objects.create(name="videos.tidy", instant=NOON + timedelta(days=number), runs=1)
        Site.objects.create(name=f"Site {number}", slug=f"site-{number}")
        interval = IntervalSchedule.objects.create(every=number + 1, period="seconds")
        crontab = CrontabSchedule.objects.create(minute=number)
        SolarSchedule.objects.create(event="sunrise", latitude=number, longitude=1)
        ClockedSchedule.objects.create(clocked_time=NOON + timedelta(days=number))
        PeriodicTask.objects.create(name=f"entry {number}", task="t", interval=interval)
        PeriodicTask.objects.create(name=f"cron {number}", task="t", crontab=crontab)


def url(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def pk_of(model):
    return model.objects.first().user_id if model is TokenProxy else model.objects.order_by("pk").first().pk


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_every_page_of_a_model_opens(browser, model):
    make_rows(0, 1)
    pk = pk_of(model)

    answers = {
        "list": browser.get(url(model, "changelist")).status_code,
        "search": browser.get(url(model, "changelist"), {"q": "camera"}).status_code,
        "change": browser.get(url(model, "change", pk)).status_code,
        "add": browser.get(url(model, "add")).status_code,
        "history": browser.get(url(model, "history", pk)).status_code,
        "delete": browser.get(url(model, "delete", pk)).status_code,
    }

    expected = dict.fromkeys(answers, 200)
    if model in EVIDENCE:
        expected |= {"add": 403, "delete": 403}
    if model is Timelapse:
        expected["delete"] = 403  # it has captures, and the ledger is kept
    assert answers == expected


def test_the_index_opens(browser):
    make_rows(0, 1)

    assert browser.get(reverse("admin:index")).status_code == 200
    assert browser.get(reverse("admin:app_list", args=["captures"])).status_code == 200


def test_a_list_costs_the_same_queries_for_3_rows_and_for_30(browser):
    make_rows(0, 3)
    few = {model._meta.label: count_queries(browser, model) for model in MODELS}
    make_rows(3, 27)
    many = {model._meta.label: count_queries(browser, model) for model in MODELS}

    assert many == few


def count_queries(browser, model):
    browser.get(url(model, "changelist"))
    with CaptureQueriesContext(connection) as queries:
        answer = browser.get(url(model, "changelist"))
    assert answer.context["cl"].result_count >= (1 if model is GlobalSettings else 3)
    return len(queries)


@pytest.mark.parametrize("model", sorted(EVIDENCE, key=lambda model: model._meta.label))
def test_evidence_cannot_be_changed(browser, model):
    make_rows(0, 1)
    before = list(model.objects.values())

    browser.post(url(model, "change", pk_of(model)), {"state": "stored", "name": "forged", "_save": "1"})
    browser.post(
        url(model, "changelist"),
        {"action": "delete_selected", "_selected_action": pk_of(model), "post": "yes"},
    )

    assert list(model.objects.values()) == before


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_a_role_alone_does_not_open_the_admin(db, pages, role):
    answer = pages(make_user(role=role)).get(reverse("admin:index"))

    assert answer.status_code == 302
    assert "/admin/login/" in answer["Location"]


CAMERA = {
    "name": "Garden",
    "kind": "rtsp",
    "address": "rtsp://192.0.2.9/live",
    "transport": "tcp",
    "username": "eva",
    "password": "S3cr3t!pw",
    "connect_timeout_s": "5",
    "deadline_s": "10",
    "is_enabled": "on",
    "verify_tls": "on",
    "notes": "",
}


def save_camera(browser, *args, **changes):
    values = {name: value for name, value in (CAMERA | changes).items() if value is not None}
    return browser.post(url(Camera, "change" if args else "add", *args), values)


def test_a_cameras_password_is_sealed_and_never_drawn(browser):
    assert save_camera(browser).status_code == 302
    camera = Camera.objects.get()

    page = browser.get(url(Camera, "change", camera.pk)).content.decode()

    assert camera.has_password
    assert "S3cr3t" not in camera.sealed_password
    assert "S3cr3t" not in page
    assert camera.sealed_password not in page


def test_a_refused_form_does_not_give_the_password_back(browser):
    answer = save_camera(browser, address="file:///etc/passwd")

    assert answer.status_code == 200
    assert "must begin with rtsp://" in answer.content.decode()
    assert "S3cr3t" not in answer.content.decode()
    assert not Camera.objects.exists()


def test_an_empty_password_keeps_the_old_one_and_the_box_removes_it(browser):
    save_camera(browser)
    camera = Camera.objects.get()
    sealed = camera.sealed_password

    save_camera(browser, camera.pk, password="", notes="by the pond")
    camera.refresh_from_db()
    assert (camera.sealed_password, camera.notes) == (sealed, "by the pond")

    save_camera(browser, camera.pk, password="", remove_password="on")
    camera.refresh_from_db()
    assert camera.sealed_password == ""


def test_saving_a_camera_leaves_the_counters_of_workers_alone(browser, monkeypatch):
    camera = make_camera(name="Garden")
    clean = Camera.full_clean

    def count_meanwhile(self, *args, **kwargs):
        Camera.objects.filter(pk=camera.pk).update(image_count=7, health="online")
        return clean(self, *args, **kwargs)

    monkeypatch.setattr(Camera, "full_clean", count_meanwhile)
    save_camera(browser, camera.pk, notes="new")
    camera.refresh_from_db()

    assert (camera.notes, camera.image_count, camera.health) == ("new", 7, "online")


def act(browser, model, action, *rows):
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    answer = browser.post(url(model, "changelist"), chosen, follow=True)
    return [str(message) for message in answer.context["messages"]]


def test_actions_on_cameras_act(browser):
    idle, busy = make_camera(name="Idle"), make_camera(name="Busy")
    campaign.start(make_timelapse(camera=busy), by="ada")

    act(browser, Camera, "disable", idle)
    tested = act(browser, Camera, "test_connection", busy)
    told = act(browser, Camera, "capture_now", idle, busy)

    assert not Camera.objects.get(pk=idle.pk).is_enabled
    assert MediaJob.objects.get(task="cameras.test_connection").requested_by == "root"
    assert tested == ["Tests asked for; the jobs say what came: 1."]
    assert Capture.objects.get().timelapse.camera == busy
    assert told[0] == "Pictures asked for: 1."
    assert "no running timelapse" in told[1]


def test_actions_on_timelapses_move_them_and_say_what_is_refused(browser):
    first = make_timelapse()
    second = make_timelapse(camera=first.camera)
    steps = [
        ("start", first),
        ("start", second),
        ("pause", first),
        ("resume", first),
        ("start_completing", second),
    ]

    told = [act(browser, Timelapse, action, timelapse)[0] for action, timelapse in steps]

    assert [words.partition(":")[0] for words in told] == [
        "Started",
        str(second),
        "Paused",
        "Resumed",
        "Started",
    ]
    assert "busy" in told[1]
    states = dict(Timelapse.objects.values_list("pk", "state"))
    assert states == {first.pk: "completed", second.pk: "running"}

    act(browser, Timelapse, "complete", second)
    assert Timelapse.objects.get(pk=second.pk).state == "completed"


def test_saving_a_running_timelapse_reschedules_it(browser):
    timelapse = make_timelapse(interval_s=60)
    campaign.start(timelapse, by="ada")

    answer = change(browser, timelapse, name="Faster", plan=json.dumps(every(10)))

    assert answer.status_code == 302
    timelapse.refresh_from_db()
    assert (timelapse.name, timelapse.words, timelapse.state) == ("Faster", "every 10 s", "running")
    assert [version.words for version in timelapse.schedules.all()] == ["every 60 s", "every 10 s"]


def change(browser, timelapse, **fields):
    """The admin's form of a timelapse as it is, with other fields."""
    end = timelapse.end_at
    values = {
        "name": timelapse.name,
        "plan": json.dumps(timelapse.plan),
        "time_zone": timelapse.time_zone,
        "start_at_0": "",
        "start_at_1": "",
        "end_at_0": f"{end:%Y-%m-%d}" if end else "",
        "end_at_1": f"{end:%H:%M:%S}" if end else "",
        "schedules-TOTAL_FORMS": "0",
        "schedules-INITIAL_FORMS": "0",
    }
    return browser.post(url(Timelapse, "change", timelapse.pk), values | fields)


def test_the_page_of_a_timelapse_shows_the_next_20_slots(browser):
    timelapse = make_timelapse(interval_s=3600, is_on_the_clock=True, time_zone="Europe/Berlin")
    now = clock.now().astimezone(timelapse.zone)
    nineteenth = (now + timedelta(hours=19)).replace(minute=0, second=0)

    page = browser.get(url(Timelapse, "change", timelapse.pk)).content.decode()

    assert page.count("every 1 h on the clock</li>") == 20
    assert f"{nineteenth:%Y-%m-%d %H:%M:%S}" in page
    assert "24 pictures a day." in page


def test_a_change_is_previewed_with_its_reasons_before_it_is_saved(browser):
    timelapse = make_timelapse(interval_s=3600)
    night = every(600) | {"window": {"kind": "clock", "start": "22:00", "end": "22:59"}}

    answer = change(browser, timelapse, plan=json.dumps(night), _preview="1")
    page = answer.content.decode()

    assert answer.status_code == 200
    assert page.count("every 10 min</li>") == 20
    assert "Nothing is saved yet" in page
    assert " slots are left out. " in page
    timelapse.refresh_from_db()
    assert timelapse.plan == every(3600)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("{", "valid JSON"),
        ("[1]", "must be an object."),
        ('{"rules": [{"kind": "interval", "every_s": 0}]}', "rules.0.every_s: This must be a whole number"),
        ('{"rules": [{"kind": "sun", "event": "noon"}]}', "needs a place"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_not_saved(browser, plan, words):
    timelapse = make_timelapse(interval_s=3600)

    answer = change(browser, timelapse, plan=plan)

    assert answer.status_code == 200
    assert words in html.unescape(answer.content.decode())
    timelapse.refresh_from_db()
    assert timelapse.plan == every(3600)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"plan": "[" * 5000 + "]" * 5000}, "valid JSON"),
        ({"plan": "[" * 200 + "]" * 200}, "must be an object."),
        ({"plan": '{"rules": [{"kind": "interval", "every_s": ' + "9" * 5000 + "}]}"}, "valid JSON"),
        ({"plan": '{"rules": [], "\\ud800": 1}'}, "valid JSON"),
        ({"stop_after_days": "36501"}, "less than or equal to 36500"),
        ({"stop_after_days": "4000000"}, "less than or equal to 36500"),
        ({"stop_after_captures": "2000000001"}, "less than or equal to 2000000000"),
        ({"stop_after_captures": "0"}, "greater than or equal to 1"),
        ({"end_at_0": "9999-12-31", "end_at_1": "23:59:00"}, "Must lie between 1990 and 2200."),
        ({"end_at_0": "0001-01-01", "end_at_1": "00:00:00"}, "Must lie between 1990 and 2200."),
        ({"end_at_0": "2001-01-01", "end_at_1": "00:00:00"}, "must not lie in the past."),
        ({"time_zone": "posixrules"}, "This time zone is not known."),
        ({"time_zone": "Factory"}, "This time zone is not known."),
    ],
)
@pytest.mark.parametrize("button", ["_save", "_preview"])
def test_what_no_clock_can_count_is_told_at_its_field(browser, fields, words, button):
    timelapse = make_timelapse(interval_s=3600)

    answer = change(browser, timelapse, **fields, **{button: "1"})

    assert answer.status_code == 200
    assert words in html.unescape(answer.content.decode())
    timelapse.refresh_from_db()
    assert (timelapse.plan, timelapse.end_at, timelapse.stop_after_days) == (every(3600), None, None)


def test_many_pictures_a_day_are_told_in_plain_thousands(browser):
    page = browser.get(url(Timelapse, "change", make_timelapse(interval_s=3).pk)).content.decode()
    assert "28,800 pictures a day" in page


def test_a_timelapse_without_pictures_is_deleted_with_its_work(browser):
    timelapse = make_timelapse(interval_s=60)
    campaign.start(timelapse, by="ada")
    make_capture(timelapse=timelapse)
    make_job(topic=timelapse.topic)
    with_picture = make_stored_capture().timelapse
    act(browser, Timelapse, "delete_selected", timelapse)

    shown = browser.get(url(Timelapse, "delete", timelapse.pk)).content.decode()
    browser.post(url(Timelapse, "delete", timelapse.pk), {"post": "yes"})
    refused = browser.post(url(Timelapse, "delete", with_picture.pk), {"post": "yes"})

    assert "Are you sure" in shown
    assert refused.status_code == 403
    assert list(Timelapse.objects.all()) == [with_picture]
    assert MediaJob.objects.get().state == "cancelled"


def test_a_new_timelapse_is_previewed_and_made(browser):
    camera = make_camera()
    values = {
        "camera": camera.pk,
        "name": "New",
        "plan": json.dumps(every(900)),
        "time_zone": "UTC",
        "schedules-TOTAL_FORMS": "0",
        "schedules-INITIAL_FORMS": "0",
    }

    seen = browser.post(url(Timelapse, "add"), values | {"_preview": "1"})
    assert seen.content.decode().count("every 15 min</li>") == 20
    assert not Timelapse.objects.exists()

    assert browser.post(url(Timelapse, "add"), values).status_code == 302
    timelapse = Timelapse.objects.get()
    assert timelapse.plan == every(900)
    assert [(event.type, event.payload["by"]) for event in Event.objects.all()] == [
        ("timelapse_created", "root")
    ]


def test_schedules_that_were_are_shown_in_words(browser):
    timelapse = make_timelapse(interval_s=60)
    campaign.start(timelapse, by="ada")
    campaign.change(timelapse, by="ada", plan=every(10))

    page = browser.get(url(Schedule, "changelist")).content.decode()

    assert "every 60 s" in page
    assert "every 10 s" in page


def test_actions_on_timelapses_calculate_anew_cancel_and_ask_for_thumbnails(browser):
    timelapse = make_timelapse(interval_s=60)
    campaign.start(timelapse, by="ada")
    make_stored_capture(timelapse=timelapse)
    owed = make_capture(timelapse=timelapse)

    asked = act(browser, Timelapse, "make_thumbnails", timelapse)
    anew = act(browser, Timelapse, "reschedule", timelapse, make_timelapse(name="Idle"))
    cancelled = act(browser, Timelapse, "cancel_work", timelapse)

    assert asked == ["Timelapses whose thumbnails are made: 1."]
    assert anew[0] == "Calculated anew: 1."
    assert anew[1].startswith("Idle: ")
    assert timelapse.schedules.count() == 2
    assert cancelled == ["Captures and jobs cancelled: 2."]
    owed.refresh_from_db()
    assert (owed.state, owed.reason) == ("skipped", "cancelled")
    assert MediaJob.objects.get().state == "cancelled"


def test_actions_on_films_render_cancel_and_delete_them_with_their_files(browser):
    video, empty = make_video(), make_video()
    make_stored_capture(timelapse=video.timelapse)

    told = act(browser, Video, "render_films", video, empty)
    job = MediaJob.objects.get(task="videos.render")
    assert told[0] == "Films asked for: 1."
    assert "no picture yet" in told[1]
    assert job.state == "queued"

    act(browser, Video, "cancel_films", video)
    job.refresh_from_db()
    assert job.state == "cancelled"

    browser.post(url(Video, "delete", video.pk), {"post": "yes"})
    assert list(Video.objects.all()) == [empty]


def test_actions_on_jobs_cancel_and_do_again(browser):
    waiting, failed = make_job(), make_job(state="failed", error="no light")

    act(browser, MediaJob, "cancel", waiting)
    act(browser, MediaJob, "retry", failed)
    done = make_job(state="done")
    act(browser, MediaJob, "retry", done)

    assert MediaJob.objects.filter(key=done.key).count() == 1
    waiting.refresh_from_db()
    assert waiting.state == "cancelled"
    assert MediaJob.objects.filter(key=failed.key).exclude(pk=failed.pk).get().state == "queued"


def test_what_is_in_use_is_not_deleted(browser):
    video = make_video(timelapse=make_timelapse(), recipe=make_recipe())

    for row in (video.recipe, video.timelapse.camera):
        browser.post(url(type(row), "delete", row.pk), {"post": "yes"})

    assert Video.objects.filter(pk=video.pk, recipe__isnull=False, timelapse__camera__isnull=False).exists()


def test_a_token_is_not_shown(browser):
    token = Token.objects.create(user=User.objects.get(username="root"))

    assert token.key not in browser.get(url(TokenProxy, "changelist")).content.decode()
