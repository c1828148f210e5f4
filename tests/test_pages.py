"""The pages without a browser: who sees what, what forms say, what deeds do."""

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.template.loader import render_to_string
from django.urls import reverse

from cameras import sealing
from cameras.models import Camera
from captures.models import Capture, Timelapse
from media_jobs import clock
from media_jobs.models import MediaJob, Pulse
from tests.factories import (
    make_camera,
    make_capture,
    make_job,
    make_recipe,
    make_stored_capture,
    make_timelapse,
    make_user,
    make_video,
)
from timelapser.queues import QUEUES
from videos.models import Video

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def quiet_system():
    """Pulses of everything, so that no alarm is on the page."""
    now = clock.now()
    Pulse.objects.create(name="captures.plan", kind="clock", at=now)
    Pulse.objects.create(name="all@here", kind="worker", at=now, facts={"queues": list(QUEUES)})


def running(**kw):
    now = clock.now()
    kw = {"state": "running", "started_at": now - timedelta(days=2), "interval_s": 60} | kw
    return make_timelapse(next_slot_at=now + timedelta(seconds=30), **kw)


def with_pictures(count=3, **kw):
    timelapse = running(**kw)
    now = clock.now()
    for number in range(count):
        capture = make_stored_capture(timelapse=timelapse, slot=now - timedelta(minutes=count - number))
    Timelapse.objects.filter(pk=timelapse.pk).update(latest_capture=capture, image_count=count)
    Camera.objects.filter(pk=timelapse.camera_id).update(image_count=count + 10)
    timelapse.refresh_from_db()
    return timelapse


def words_of(response):
    """The text as a person reads it."""
    text = re.sub(r"<(script|style).*?</\1>", " ", response.content.decode(), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)).replace("\u202f", " ").replace("\xa0", " ")


def every_page():
    timelapse = with_pictures()
    job = make_job(topic=timelapse.topic)
    video = make_video(timelapse=timelapse)
    render = make_job(task="videos.render", topic=timelapse.topic, args={"video": video.pk})
    capture = timelapse.latest_capture_id
    gets = [
        reverse("dashboard"),
        reverse("dashboard-parts") + "?part=banner&part=fleet",
        reverse("camera", args=[timelapse.camera_id]),
        reverse("camera-parts", args=[timelapse.camera_id]) + "?part=state",
        reverse("camera-add"),
        reverse("camera-edit", args=[timelapse.camera_id]),
        reverse("test-result", args=[job.pk]),
        reverse("timelapse", args=[timelapse.pk]),
        reverse("timelapse-parts", args=[timelapse.pk])
        + "?part=state&part=calendar&part=day&part=film&part=films&part=jobs&part=decisions&part=versions",
        reverse("timelapse-strip", args=[timelapse.pk]),
        reverse("picture", args=[capture]),
        reverse("timelapse-start", args=[timelapse.camera_id]),
        reverse("timelapse-edit", args=[timelapse.pk]),
        reverse("operations"),
        reverse("operations-parts") + "?part=queues&part=workers&part=clock&part=trouble",
        reverse("audit"),
        reverse("audit") + "?correlation_id=nobody",
    ]
    posts = [
        reverse("camera-add"),
        reverse("camera-edit", args=[timelapse.camera_id]),
        reverse("camera-test", args=[timelapse.camera_id]),
        reverse("timelapse-start", args=[timelapse.camera_id]),
        reverse("film-add", args=[timelapse.pk]),
        reverse("film-render", args=[video.pk]),
        reverse("capture-now", args=[timelapse.pk]),
        reverse("timelapse-move", args=[timelapse.pk, "pause"]),
        reverse("job-cancel", args=[render.pk]),
        reverse("timelapse-start-preview", args=[timelapse.camera_id]),
        reverse("timelapse-edit", args=[timelapse.pk]),
        reverse("timelapse-edit-preview", args=[timelapse.pk]),
        reverse("entry-run", args=["captures.plan"]),
        reverse("job-retry", args=[job.pk]),
        reverse("timelapse-cancel-work", args=[timelapse.pk]),
        reverse("timelapse-thumbnails", args=[timelapse.pk]),
    ]
    return gets, posts


# --- who sees what -----------------------------------------------------------------------------------------------


def test_logged_out_people_are_sent_to_the_login_from_everywhere(pages):
    gets, posts = every_page()
    client = pages()
    for address in gets:
        response = client.get(address)
        assert (response.status_code, response["Location"].partition("?")[0]) == (302, "/login/"), address
    for address in posts:
        response = client.post(address)
        assert (response.status_code, response["Location"].partition("?")[0]) == (302, "/login/"), address


def test_login_page_names_nothing_of_the_system(pages):
    timelapse = with_pictures()
    text = pages().get("/login/").content.decode()
    assert timelapse.name not in text
    assert timelapse.camera.name not in text
    assert "Admin" not in words_of(pages().get("/login/"))


def test_page_that_does_not_exist_shows_no_navigation_to_strangers(pages):
    response = pages().get("/nothing/here/")
    assert response.status_code == 404
    assert "<nav" not in response.content.decode()


def test_user_without_a_role_is_refused(pages):
    client = pages(make_user("nobody"))
    assert client.get("/").status_code == 403


def test_viewer_sees_every_page_but_the_forms(pages, viewer):
    gets, _ = every_page()
    refused = {address for address in gets if pages(viewer).get(address).status_code == 403}
    assert {address.partition("?")[0] for address in refused} == {
        gets[4],
        gets[5],
        gets[6],
        gets[11],
        gets[12],
    }


def test_viewer_can_do_nothing(pages, viewer):
    _, posts = every_page()
    client = pages(viewer)
    assert {address: client.post(address).status_code for address in posts} == dict.fromkeys(posts, 403)
    assert Timelapse.objects.get().state == "running"


def test_viewer_sees_no_buttons_of_deeds(pages, viewer, operator):
    timelapse = with_pictures()
    for address in (
        "/",
        reverse("camera", args=[timelapse.camera_id]),
        reverse("timelapse", args=[timelapse.pk]),
    ):
        assert 'id="pause-' not in pages(viewer).get(address).content.decode()
        assert 'id="pause-' in pages(operator).get(address).content.decode()


def test_operator_runs_timelapses_but_does_not_set_up_cameras(pages, operator):
    client = pages(operator)
    assert client.get(reverse("camera-add")).status_code == 403
    assert "Add your first camera" not in words_of(client.get("/"))


def test_pages_have_no_inline_script_or_style(pages, superuser):
    gets, _ = every_page()
    client = pages(superuser)
    for address in [*gets, "/nothing/"]:
        response = client.get(address)
        text = response.content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), address
        assert not re.search(r"<style|\sstyle=|\son\w+=", text), address
        assert "script-src 'self';" in response["Content-Security-Policy"], address


@pytest.mark.parametrize("template", ["500.html", "403.html", "403_csrf.html", "404.html", "429.html"])
def test_error_page_can_be_drawn_when_nothing_else_works(template):
    assert "Back to the start" in render_to_string(template)


# --- login -----------------------------------------------------------------------------------------------------


def test_login_leads_to_the_page_that_was_wanted(pages, viewer):
    viewer.set_password("a long password")
    viewer.save()
    response = pages().post(
        "/login/", {"username": "vera", "password": "a long password", "next": "/cameras/1/"}
    )
    assert (response.status_code, response["Location"]) == (302, "/cameras/1/")


def test_login_sends_nobody_to_another_site(pages, viewer):
    viewer.set_password("a long password")
    viewer.save()
    response = pages().post(
        "/login/", {"username": "vera", "password": "a long password", "next": "https://elsewhere.example/"}
    )
    assert response["Location"] == "/"


def test_eleventh_try_in_a_minute_is_refused_also_with_the_right_password(pages, viewer):
    cache.clear()
    viewer.set_password("a long password")
    viewer.save()
    client = pages()
    codes = [client.post("/login/", {"username": "vera", "password": "x"}).status_code for _ in range(10)]
    assert codes == [200] * 10
    # Whatever the client claims about where it comes from.
    response = client.post(
        "/login/",
        {"username": "vera", "password": "a long password"},
        headers={"X-Forwarded-For": "203.0.113.9"},
    )
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    assert "_auth_user_id" not in client.session


def test_logout_is_by_post_only(pages, viewer):
    client = pages(viewer)
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/").status_code == 302
    assert client.get("/").status_code == 302


@pytest.mark.parametrize("digits", [18, 19, 30, 5000])
def test_numbers_that_nobody_has_are_not_found_and_no_error(pages, viewer, digits):
    client, number = pages(viewer), "9" * digits
    assert client.get(f"/parts/?part=camera-{number}").content == b""
    for place in ("cameras", "timelapses", "captures"):
        assert client.get(f"/{place}/{number}/").status_code == 404
    assert client.get(f"/api/v1/cameras/{number}/").status_code == 404


# --- dashboard ---------------------------------------------------------------------------------------------------


def test_dashboard_without_cameras_invites_to_add_one(pages, admin):
    text = words_of(pages(admin).get("/"))
    assert "No camera yet" in text
    assert "Add your first camera" in text


def test_card_shows_both_counts_day_and_lateness(pages, viewer, quiet_system):
    with_pictures(3)
    text = words_of(pages(viewer).get("/"))
    assert "Current 3 Total 13 Day 3 Lateness 3 ms" in text
    assert "1 camera, 1 recording · 13 pictures" in text
    assert "Recording" in text


@pytest.mark.parametrize(
    ("camera", "timelapse", "label"),
    [
        ({}, {}, "Recording"),
        ({"health": "offline", "last_error": "Gone."}, {}, "Offline"),
        ({"is_enabled": False}, {}, "Switched off"),
        ({}, {"state": "paused"}, "Paused"),
        ({}, {"state": "completed"}, "Completed"),
        ({}, {"state": "created"}, "Not started"),
        ({}, {"schedule_error": "The end lies before the start."}, "Problem"),
        ({}, None, "Not started"),
    ],
)
def test_card_says_how_the_camera_stands(pages, viewer, camera, timelapse, label):
    row = make_camera()
    Camera.objects.filter(pk=row.pk).update(**camera)
    if timelapse is not None:
        running(camera=row, **timelapse)
    text = pages(viewer).get("/").content.decode()
    assert re.findall(r'<span class="pill[^>]*>([^<]*)</span>', text) == [label]


def test_card_of_a_timelapse_that_starts_later_says_when(pages, viewer):
    start = clock.now() + timedelta(days=3)
    running(start_at=start, started_at=start)
    assert f"Starts {start:%d %b, %H:%M}" in words_of(pages(viewer).get("/"))


def test_card_counts_down_on_the_grid(pages, viewer):
    timelapse = running()
    text = pages(viewer).get("/").content.decode()
    assert f'data-next-at="{timelapse.next_slot_at.isoformat()}"' in text
    assert 'data-interval="60"' in text


def test_silent_scheduler_and_missing_workers_are_said_aloud(pages, viewer):
    text = words_of(pages(viewer).get("/"))
    assert "The scheduler has been silent." in text
    assert "No worker serves the queues planner, capture, thumbnail, video, upkeep." in text


def test_banner_is_empty_while_everything_lives(pages, viewer, quiet_system):
    text = words_of(pages(viewer).get("/"))
    assert "silent" not in text
    assert "No worker" not in text


def test_banner_names_the_one_queue_without_a_worker(pages, viewer, quiet_system):
    queues = [queue for queue in QUEUES if queue != "video"]
    Pulse.objects.filter(kind="worker").update(facts={"queues": queues})
    text = words_of(pages(viewer).get("/parts/?part=banner"))
    assert "No worker serves the queue video." in text
    assert "films are not rendered" in text


def test_parts_answer_what_is_asked_and_nothing_else(pages, viewer):
    first, second = with_pictures(), with_pictures()
    text = (
        pages(viewer)
        .get(f"/parts/?part=camera-{second.camera_id}&part=nonsense&part=camera-x")
        .content.decode()
    )
    assert f'id="part-camera-{second.camera_id}"' in text
    assert f'id="part-camera-{first.camera_id}"' not in text
    assert 'hx-swap-oob="true"' in text


def _query_count(client, address, django_assert_max_num_queries):
    client.get(address)  # the process' first look at the events is another one
    with django_assert_max_num_queries(40) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def test_dashboard_needs_as_many_queries_for_thirty_cameras_as_for_three(
    pages, viewer, django_assert_max_num_queries
):
    client = pages(viewer)
    for _ in range(3):
        make_video(timelapse=with_pictures(1), revision=1)
    few = _query_count(client, "/", django_assert_max_num_queries)
    for _ in range(27):
        make_video(timelapse=with_pictures(1), revision=1)
    many = _query_count(client, "/", django_assert_max_num_queries)
    assert many == few


def test_timelapse_page_needs_as_many_queries_for_many_things_as_for_few(
    pages, viewer, django_assert_max_num_queries
):
    client, timelapse, recipe = pages(viewer), with_pictures(2), make_recipe()
    address = reverse("timelapse", args=[timelapse.pk])

    def add(count):
        for _ in range(count):
            video = make_video(timelapse=timelapse, recipe=recipe, revision=1)
            job = make_job(
                task="videos.render", topic=timelapse.topic, args={"video": video.pk}, state="waiting"
            )
            job.needs.add(make_job(task="videos.encode_segment", topic=timelapse.topic))
            make_stored_capture(timelapse=timelapse)

    add(2)
    few = _query_count(client, address, django_assert_max_num_queries)
    add(10)
    assert _query_count(client, address, django_assert_max_num_queries) == few


# --- camera ------------------------------------------------------------------------------------------------------


def test_camera_page_shows_the_connection_but_never_the_password(pages, admin):
    camera = make_camera(name="Roof", username="viewer", password="kept-secret-7")
    for address in (reverse("camera", args=[camera.pk]), reverse("camera-edit", args=[camera.pk])):
        text = pages(admin).get(address).content.decode()
        assert "kept-secret-7" not in text
        assert camera.sealed_password not in text
    assert "viewer, with a password" in words_of(pages(admin).get(reverse("camera", args=[camera.pk])))


def test_camera_page_gives_advice_for_the_last_error(pages, viewer):
    camera = make_camera()
    Camera.objects.filter(pk=camera.pk).update(
        health="offline", last_error="The camera did not accept it.", last_error_code="login_refused"
    )
    text = words_of(pages(viewer).get(reverse("camera", args=[camera.pk])))
    assert "The camera did not accept it. What helps Check user name and password" in text


CAMERA = {
    "name": "Garden",
    "kind": "rtsp",
    "address": "rtsp://192.0.2.9:554/one",
    "transport": "tcp",
    "username": "",
    "password": "",
    "verify_tls": "on",
    "connect_timeout_s": "5",
    "deadline_s": "10",
    "is_enabled": "on",
    "notes": "",
}


def test_added_camera_is_kept_with_its_password_sealed(pages, admin):
    response = pages(admin).post(
        reverse("camera-add"), CAMERA | {"username": "viewer", "password": "kept-secret-7"}
    )
    camera = Camera.objects.get()
    assert (response.status_code, response["Location"]) == (302, reverse("camera", args=[camera.pk]))
    assert (camera.name, camera.address, camera.username) == ("Garden", "rtsp://192.0.2.9:554/one", "viewer")
    assert sealing.unseal(camera.sealed_password) == "kept-secret-7"


def test_pasted_login_moves_from_the_address_to_its_fields(pages, admin):
    pages(admin).post(
        reverse("camera-add"), CAMERA | {"address": "rtsp://viewer:kept%2Fsecret@192.0.2.9:554/one"}
    )
    camera = Camera.objects.get()
    assert (camera.address, camera.username) == ("rtsp://192.0.2.9:554/one", "viewer")
    assert sealing.unseal(camera.sealed_password) == "kept/secret"


def test_refused_form_keeps_what_was_typed_except_the_password(pages, admin):
    make_camera(name="Garden")
    response = pages(admin).post(
        reverse("camera-add"),
        CAMERA | {"address": "rtsp://viewer:kept-secret-7@192.0.2.9:554/one", "notes": "by the pond"},
    )
    text = response.content.decode()
    assert response.status_code == 422
    assert "Camera with this Name already exists." in words_of(response)
    assert 'value="rtsp://192.0.2.9:554/one"' in text
    assert 'value="viewer"' in text
    assert "by the pond" in text
    assert "kept-secret-7" not in text
    assert Camera.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"address": "file:///etc/passwd"}, "The address must begin with rtsp:// or rtsps://."),
        ({"kind": "http"}, "The address must begin with http:// or https://."),
        ({"address": "rtsp://169.254.169.254/"}, "never a camera"),
        ({"address": ""}, "This field is required."),
        ({"connect_timeout_s": "30"}, "Connecting cannot take longer than the whole picture."),
        ({"deadline_s": "500"}, "less than or equal to 120"),
    ],
)
def test_wrong_field_says_what_to_change(pages, admin, fields, words):
    response = pages(admin).post(reverse("camera-add"), CAMERA | fields)
    assert response.status_code == 422
    assert words in words_of(response)
    assert not Camera.objects.exists()


def test_empty_password_keeps_the_stored_one(pages, admin):
    camera = make_camera(name="Garden", password="kept-secret-7")
    pages(admin).post(reverse("camera-edit", args=[camera.pk]), CAMERA | {"name": "Orchard"})
    camera.refresh_from_db()
    assert camera.name == "Orchard"
    assert sealing.unseal(camera.sealed_password) == "kept-secret-7"


def test_saving_a_camera_leaves_what_workers_write_alone(pages, admin, monkeypatch):
    camera = make_camera(name="Garden")
    clean = Camera.full_clean

    def count_meanwhile(self, *args, **kwargs):
        Camera.objects.filter(pk=camera.pk).update(image_count=7, health="online", consecutive_failures=2)
        return clean(self, *args, **kwargs)

    monkeypatch.setattr(Camera, "full_clean", count_meanwhile)
    pages(admin).post(reverse("camera-edit", args=[camera.pk]), CAMERA | {"name": "Orchard"})
    camera.refresh_from_db()

    assert (camera.name, camera.image_count, camera.health) == ("Orchard", 7, "online")
    assert camera.consecutive_failures == 2


def test_password_is_removed_when_that_is_asked(pages, admin):
    camera = make_camera(name="Garden", password="kept-secret-7")
    pages(admin).post(reverse("camera-edit", args=[camera.pk]), CAMERA | {"forget_password": "on"})
    camera.refresh_from_db()
    assert not camera.has_password


def test_test_before_saving_records_a_job_and_saves_nothing(pages, admin):
    response = pages(admin).post(
        reverse("camera-add"), CAMERA | {"name": "", "test": "1", "password": "kept-secret-7"}, headers=HTMX
    )
    job = MediaJob.objects.get()
    assert response.status_code == 200
    assert reverse("test-result", args=[job.pk]) in response.content.decode()
    assert job.args["address"] == CAMERA["address"]
    assert "kept-secret-7" not in str(job.args)
    assert not Camera.objects.exists()


def test_test_with_a_wrong_address_says_so_and_records_nothing(pages, admin):
    response = pages(admin).post(
        reverse("camera-add"), CAMERA | {"address": "ftp://x", "test": "1"}, headers=HTMX
    )
    assert "The address must begin with rtsp:// or rtsps://." in words_of(response)
    assert not MediaJob.objects.exists()


def test_test_without_javascript_keeps_the_form_and_offers_the_result(pages, admin):
    client = pages(admin)
    page = client.post(reverse("camera-add"), CAMERA | {"test": "1"})
    job = MediaJob.objects.get()
    assert 'value="Garden"' in page.content.decode()
    MediaJob.objects.update(
        state="done", result={"ok": False, "message": "Nobody there.", "advice": "Look at the cable."}
    )
    page = client.post(reverse("camera-add"), CAMERA | {"look": str(job.pk)})
    assert 'value="Garden"' in page.content.decode()
    assert "Nobody there. Look at the cable." in words_of(page)


def test_result_of_a_test_is_a_preview_with_its_facts(pages, operator):
    found = {
        "ok": True,
        "message": "It answered.",
        "width": 1920,
        "height": 1080,
        "codec": "h264",
        "elapsed_ms": 412,
        "bytes": 2048,
        "preview": "previews/x.jpg",
    }
    job = make_job(state="done", result=found)
    response = pages(operator).get(reverse("test-result", args=[job.pk]))
    assert reverse("job-preview", args=[job.pk]) in response.content.decode()
    assert "1920 × 1080 Codec h264 Took 412 ms" in words_of(response)


def test_saved_camera_is_tested_by_its_button(pages, operator):
    camera = make_camera()
    response = pages(operator).post(reverse("camera-test", args=[camera.pk]))
    job = MediaJob.objects.get()
    assert response["Location"] == f"{reverse('camera', args=[camera.pk])}?test={job.pk}#test"
    assert "Reaching for the camera" in words_of(pages(operator).get(response["Location"]))


# --- timelapses --------------------------------------------------------------------------------------------------


def test_moves_change_the_state_and_lead_back(pages, operator):
    timelapse = running()
    client = pages(operator)
    for move, state in (
        ("pause", "paused"),
        ("resume", "running"),
        ("complete", "completed"),
        ("archive", "archived"),
    ):
        response = client.post(reverse("timelapse-move", args=[timelapse.pk, move]), {"next": "/"})
        timelapse.refresh_from_db()
        assert (timelapse.state, response["Location"]) == (state, "/")


def test_move_never_leads_to_another_site(pages, operator):
    timelapse = running()
    response = pages(operator).post(
        reverse("timelapse-move", args=[timelapse.pk, "pause"]), {"next": "//elsewhere.example/"}
    )
    assert response["Location"] == reverse("timelapse", args=[timelapse.pk])


def test_move_that_is_refused_says_why(pages, operator):
    timelapse = running(state="completed")
    client = pages(operator)
    address = reverse("timelapse-move", args=[timelapse.pk, "resume"])
    page = client.post(address, follow=True)
    assert "only a paused one can be resumed" in words_of(page)
    toast = client.post(address, headers=HTMX)
    assert "only a paused one can be resumed" in words_of(toast)
    assert toast["HX-Trigger"] == "changed"


def test_unknown_move_is_not_found(pages, operator):
    assert pages(operator).post(reverse("timelapse-move", args=[running().pk, "explode"])).status_code == 404


def test_capture_now_owes_a_picture(pages, operator):
    timelapse = running()
    pages(operator).post(reverse("capture-now", args=[timelapse.pk]))
    capture = Capture.objects.get()
    assert (capture.origin, capture.requested_by, capture.state) == ("person", "otto", "owed")


def test_coverage_of_today_names_counts_and_reasons(pages, viewer):
    timelapse = with_pictures(3, started_at=clock.now() - timedelta(hours=1), time_zone="UTC")
    now = clock.now()
    make_capture(timelapse=timelapse, slot=now, state="missed", reason="scheduler_was_down")
    make_capture(
        timelapse=timelapse, slot=now + timedelta(microseconds=1), state="failed", reason="login_refused"
    )
    text = words_of(pages(viewer).get(reverse("timelapse", args=[timelapse.pk])))
    assert "1 failed 1 missed" in text
    assert "1 Nothing was planned then: the scheduler, its broker or the database was away." in text
    assert "1 The camera did not accept the user name and password." in text


def test_strip_pages_to_older_pictures_and_says_when_there_are_no_more(pages, viewer):
    timelapse = running()
    captures = [make_stored_capture(timelapse=timelapse) for _ in range(30)]
    client = pages(viewer)
    first = client.get(reverse("timelapse", args=[timelapse.pk])).content.decode()
    slots = re.findall(r'<li data-slot="([^"]+)"', first)
    assert slots == [capture.slot.isoformat() for capture in reversed(captures[6:])]
    older = re.search(r'id="older".*?hx-get="([^"]+)"', first).group(1).replace("&amp;", "&")
    second = client.get(older, headers=HTMX).content.decode()
    slots = re.findall(r'<li data-slot="([^"]+)"', second)
    assert slots == [capture.slot.isoformat() for capture in reversed(captures[:6])]
    assert "Older pictures" not in second


def test_strip_gives_what_is_newer(pages, viewer):
    timelapse = running()
    first, second = make_stored_capture(timelapse=timelapse), make_stored_capture(timelapse=timelapse)
    response = pages(viewer).get(
        reverse("timelapse-strip", args=[timelapse.pk]), {"after": first.slot.isoformat()}, headers=HTMX
    )
    assert re.findall(r'<li data-slot="([^"]+)"', response.content.decode()) == [second.slot.isoformat()]


@pytest.mark.parametrize("moment", ["yesterday", "2026-13-01T00:00:00+00:00", "2026-01-01T00:00:00"])
def test_strip_refuses_what_is_no_moment(pages, viewer, moment):
    address = reverse("timelapse-strip", args=[running().pk])
    assert pages(viewer).get(address, {"before": moment}).status_code == 404


def test_large_picture_has_its_facts_and_neighbours(pages, viewer):
    timelapse = running()
    captures = [make_stored_capture(timelapse=timelapse) for _ in range(3)]
    response = pages(viewer).get(reverse("picture", args=[captures[1].pk]), headers=HTMX)
    text = response.content.decode()
    assert re.search(rf'rel="prev"[^>]*href="{reverse("picture", args=[captures[0].pk])}"', text)
    assert re.search(rf'rel="next"[^>]*href="{reverse("picture", args=[captures[2].pk])}"', text)
    assert "Lateness 3 ms Took 120 ms Size 64 × 48" in words_of(response)
    assert "<html" not in text


def test_picture_that_was_not_taken_is_not_found(pages, viewer):
    assert pages(viewer).get(reverse("picture", args=[make_capture().pk])).status_code == 404


# --- films --------------------------------------------------------------------------------------------------------


def test_render_form_asks_for_the_film(pages, operator):
    timelapse, recipe = with_pictures(), make_recipe()
    address = reverse("film-add", args=[timelapse.pk])
    response = pages(operator).post(address, {"name": "May", "recipe": recipe.pk})
    video, job = Video.objects.get(), MediaJob.objects.get()
    assert response["Location"] == reverse("timelapse", args=[timelapse.pk])
    assert (video.name, video.timelapse, video.state) == ("May", timelapse, "rendering")
    assert (job.task, job.requested_by, job.priority) == ("videos.render", "otto", 0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"from_day": "2026-05-09", "until_day": "2026-05-01"},
            "The first day must not lie after the last one.",
        ),
        ({"from_day": "2001-01-01", "until_day": "2001-01-02"}, "There is no picture yet"),
        ({"name": ""}, "This field is required."),
    ],
)
def test_wrong_film_says_what_to_change_and_leaves_nothing(pages, operator, fields, words):
    timelapse, recipe = with_pictures(), make_recipe()
    response = pages(operator).post(
        reverse("film-add", args=[timelapse.pk]), {"name": "May", "recipe": recipe.pk} | fields
    )
    assert response.status_code == 422
    assert words in words_of(response)
    assert not Video.objects.exists()
    assert not MediaJob.objects.exists()


def test_player_shows_the_following_film_or_the_one_asked_for(pages, viewer):
    timelapse = with_pictures()
    other = make_video(timelapse=timelapse, revision=2)
    following = make_video(timelapse=timelapse, revision=7, follows=True)
    client, address = pages(viewer), reverse("timelapse", args=[timelapse.pk])
    source = r'<video[^>]* src="([^"]+)"'
    shown = re.search(source, client.get(address).content.decode()).group(1)
    assert shown == reverse("video-film", args=[following.pk, 7])
    shown = re.search(source, client.get(address, {"film": other.pk}).content.decode()).group(1)
    assert shown == reverse("video-film", args=[other.pk, 2])


def test_bar_of_a_waiting_render_counts_what_its_segments_have_done(pages, viewer):
    timelapse = with_pictures()
    render = make_job(task="videos.render", topic=timelapse.topic, state="waiting", progress_total=200)
    for done, state in ((60, "done"), (20, "running"), (0, "queued")):
        render.needs.add(
            make_job(task="videos.encode_segment", state=state, progress_done=done, progress_total=60)
        )
    text = pages(viewer).get(reverse("timelapse", args=[timelapse.pk])).content.decode()
    assert re.search(r'<progress[^>]* max="200" value="100"', text)


def test_cancel_ends_a_render_that_waits(pages, operator):
    timelapse = with_pictures()
    client = pages(operator)
    client.post(reverse("film-add", args=[timelapse.pk]), {"name": "May", "recipe": make_recipe().pk})
    client.post(reverse("job-cancel", args=[MediaJob.objects.get().pk]))
    assert (MediaJob.objects.get().state, Video.objects.get().state) == ("cancelled", "cancelled")


def test_only_renders_are_cancelled_by_the_page(pages, operator):
    job = make_job(task="cameras.test_connection")
    assert pages(operator).post(reverse("job-cancel", args=[job.pk])).status_code == 404
