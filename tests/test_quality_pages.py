"""The pages of quality without a browser: what they show, whom they let do what; a picture on trial is kept nowhere."""

import html
import re
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cameras.models import Alert, Camera
from captures import trial
from captures.imaging.quality.table import DETECTORS
from captures.models import CameraPast, Capture, JudgedPicture, Timelapse
from captures.quality_api import TrialThrottle
from captures.trial import MOST_BYTES
from media_jobs import clock, files
from media_jobs.models import Decision
from tests.commanded_camera import CommandedScene, Trouble
from tests.factories import NOON, make_camera, make_stored_capture, make_timelapse
from tests.test_imaging_pictures import png_header
from timelapser.demo.feed import encode_jpeg

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def judged(capture, *, score=46, verdict="smear", sort="damage", action="flagged", **kw):
    """As captures.quality writes it: bad unless the score is good."""
    if score >= 70 and action == "flagged":
        verdict, sort, action = "good", "", "saved"
    given = {"at": capture.slot, "elapsed_ms": 2.5, "readings": [], "is_bad": score < 70} | kw
    return JudgedPicture.objects.create(
        camera=capture.timelapse.camera,
        capture=capture,
        score=score,
        fast=score,
        verdict=verdict,
        sort=sort,
        action=action,
        **given,
    )


def picture(timelapse, *, minutes=5, **kw):
    """A stored capture of some minutes ago."""
    return make_stored_capture(timelapse=timelapse, slot=clock.now() - timedelta(minutes=minutes), **kw)


def flagged(timelapse, **kw):
    found = picture(timelapse, score=46, verdict="smear", is_flagged=True, flagged_by="quality", **kw)
    Timelapse.objects.filter(pk=timelapse.pk).update(flagged_count=1)
    judged(found)
    return found


def discarded(timelapse):
    """In quarantine, as captures.ingest leaves it."""
    found = picture(timelapse, score=20, verdict="missing part")
    files.write("quarantine/1.jpg", files.read(found.file))
    files.delete(found.file)
    found.file, found.state, found.reason = "quarantine/1.jpg", "discarded", "missing part"
    found.quarantine_until = clock.now() + timedelta(days=30)
    found.save()
    Timelapse.objects.filter(pk=timelapse.pk).update(discarded_count=1)
    judged(found, score=20, verdict="missing part", action="discarded")
    return found


def words_of(response):
    """The text as a person reads it."""
    text = html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode()))
    return re.sub(r"\s+", " ", text).replace("\u202f", " ").replace("\xa0", " ")


def camera_page(camera, **query):
    return reverse("camera-quality", args=[camera.pk]) + "".join(
        f"?{name}={value}" for name, value in query.items()
    )


# --- the overview ---------------------------------------------------------------------------------------------------


def test_overview_of_nothing_says_what_will_be_there(pages, viewer):
    text = words_of(pages(viewer).get("/quality/"))
    assert "No picture was judged within the last 24 hours." in text
    assert "There is no camera yet." in text
    assert "No bad picture" in text


def test_overview_sums_up_and_shows_first_what_needs_somebody(pages, viewer):
    well = make_timelapse(camera=make_camera(name="Well"))
    sick = make_timelapse(camera=make_camera(name="Sick", is_degraded=True))
    judged(picture(well), score=100)
    flagged(sick)
    text = words_of(pages(viewer).get("/quality/"))
    assert "System score, 24 h 73 of 100" in text
    assert "Well 1 camera Degraded 1 camera" in text
    assert re.search(
        r"Excellent 90–100 1 Good 70–89 0 Acceptable 50–69 0 Poor 30–49 1 Critical below 30 0", text
    )
    assert re.search(r"Last bad picture Sick Degraded .*Smear .* Well .* None", text)
    assert "Kept with a flag" in text


def test_overview_costs_the_same_for_many_cameras(pages, viewer):
    client = pages(viewer)
    client.get("/quality/")
    counts = []
    for number in (2, 7):
        for _ in range(number):
            timelapse = make_timelapse()
            flagged(timelapse)
            judged(picture(timelapse, minutes=9), score=95)
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/quality/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_bad_pictures_are_filtered_and_paged(pages, viewer):
    one, other = make_timelapse(), make_timelapse()
    for number in range(14):
        judged(picture(one, minutes=number + 1))
    dark = judged(picture(other), score=85, verdict="dark", sort="scene", action="saved")
    client = pages(viewer)

    def shown(query):
        return client.get(f"/quality/?{query}").content.decode()

    first = shown("")
    assert len(re.findall("data-judged=", first)) == 12
    older = re.search(r'href="(/quality/\?before=\d+)#', first)[1]
    assert len(re.findall("data-judged=", client.get(older).content.decode())) == 2
    assert re.findall(r'data-judged="(\d+)"', shown("sort=scene")) == [str(dark.pk)]
    assert "Nothing of this kind was found." in shown(f"camera={other.camera_id}")
    assert len(re.findall("data-judged=", shown("camera=nobody&sort=nonsense&before=" + "9" * 40))) == 12


def test_picture_that_was_only_taken_once_more_is_no_failure(pages, viewer):
    timelapse = make_timelapse()
    capture = picture(timelapse)
    judged(capture, action="retried")
    judged(capture, score=95)
    text = words_of(pages(viewer).get(camera_page(timelapse.camera)))
    assert "No bad picture" in text
    assert "Taken once more 1" in text


# --- one camera -----------------------------------------------------------------------------------------------------


def test_cameras_page_says_how_it_stands_and_what_was_read(pages, viewer):
    timelapse = make_timelapse(camera=make_camera(is_degraded=True, good_in_row=3))
    camera = timelapse.camera
    Alert.objects.create(
        camera=camera,
        kind="degraded",
        reason="bad_in_row",
        words="10 bad pictures in a row.",
        raised_at=clock.now(),
    )
    Alert.objects.create(
        camera=camera, kind="covered", reason="covered", words="Clean it.", raised_at=clock.now()
    )
    flagged(timelapse)
    unreadable = picture(timelapse, minutes=8)
    judged(unreadable, score=0, verdict="", action="saved", error="ValueError: no", is_bad=False)
    text = words_of(pages(viewer).get(camera_page(camera)))
    assert (
        "10 bad pictures in a row. It is left after 20 good pictures in a row; there were 3 until now."
        in text
    )
    assert "Covered since" in text
    assert "Leave degraded mode" not in text
    assert "Good enough from 70 points." in text
    assert "Could not be judged ValueError: no" in text
    assert {detector.help for detector in DETECTORS if detector.help not in text} == set()
    assert "Nothing lies in the quarantine." in text


def test_evaluations_are_paged_in_their_order(pages, viewer):
    timelapse = make_timelapse()
    for number in range(23):
        judged(picture(timelapse, minutes=number), score=100 - number)
    client = pages(viewer)
    first = client.get(camera_page(timelapse.camera)).content.decode()
    table = first[first.index("evaluations-table") :]
    scores = re.findall(r"Quality (\d+) of 100", table)
    assert scores == [str(100 - number) for number in range(20)]
    older = re.search(r"\?until=(\d+)", table)[1]
    second = client.get(camera_page(timelapse.camera, until=older)).content.decode()
    assert re.findall(r"Quality (\d+) of 100", second[second.index("evaluations-table") :]) == [
        "80",
        "79",
        "78",
    ]


def test_operator_leaves_degraded_mode_for_a_camera(pages, operator, viewer):
    camera = make_camera(is_degraded=True, degraded_since=clock.now())
    address = reverse("quality-leave", args=[camera.pk])
    assert pages(viewer).post(address).status_code == 403
    client = pages(operator)
    assert address in client.get(camera_page(camera)).content.decode()
    assert client.post(address).status_code == 302
    camera.refresh_from_db()
    assert not camera.is_degraded
    assert "has left degraded mode" in words_of(client.get(camera_page(camera)))
    assert "is not degraded" in words_of(client.post(address, follow=True))


def test_operator_has_a_view_learnt_anew(pages, operator, viewer):
    camera = make_camera()
    CameraPast.objects.create(camera=camera, remembered=b"what was seen", updated_at=clock.now())
    Alert.objects.create(camera=camera, kind="covered", words="Clean it.", raised_at=clock.now())
    Alert.objects.create(camera=camera, kind="offline", words="No answer.", raised_at=clock.now())
    address = reverse("quality-learn", args=[camera.pk])
    assert pages(viewer).post(address).status_code == 403
    client = pages(operator)
    assert address in client.get(camera_page(camera)).content.decode()

    assert client.post(address).status_code == 302

    assert not CameraPast.objects.exists()
    assert [*Alert.objects.filter(cleared_at=None).values_list("kind", flat=True)] == ["offline"]
    assert Alert.objects.get(kind="covered").cleared_by == "otto"
    assert Decision.objects.filter(action="view_learnt_anew", by="otto").count() == 1


# --- flags and quarantine -------------------------------------------------------------------------------------------


def test_flag_is_set_and_taken_away_on_the_pictures_page(pages, operator, viewer):
    capture = picture(make_timelapse(), score=95, verdict="good")
    on, off = (reverse("capture-flag", args=[capture.pk, wish]) for wish in ("on", "off"))
    assert pages(viewer).post(on).status_code == 403
    client = pages(operator)
    page = client.get(reverse("picture", args=[capture.pk]), headers=HTMX)
    assert f'hx-post="{on}"' in page.content.decode()
    answer = client.post(on, headers=HTMX | {"HX-Target": "evaluation"})
    assert answer["HX-Trigger"] == "changed"
    assert "Flagged by otto" in words_of(answer)
    assert f'hx-post="{off}"' in answer.content.decode()
    assert client.post(off, {"next": "/quality/"})["Location"] == "/quality/"
    capture.refresh_from_db()
    assert (capture.is_flagged, capture.flagged_by) == (False, "otto")
    assert client.post(reverse("capture-flag", args=[capture.pk, "perhaps"])).status_code == 404


def test_flagged_pictures_have_their_word_in_the_strip_and_a_strip_of_their_own(pages, viewer):
    timelapse = make_timelapse(state="running")
    bad, fine = flagged(timelapse), picture(timelapse, minutes=9, score=95, verdict="good")
    client = pages(viewer)

    def strip(address):
        text = client.get(address).content.decode()
        return re.findall(r'<li data-slot=.*?href="/captures/(\d+)/".*?</li>', text, re.S), text.count(
            "Flagged: "
        )

    whole, alone = reverse("timelapse", args=[timelapse.pk]), reverse("timelapse-strip", args=[timelapse.pk])
    assert strip(whole) == ([str(bad.pk), str(fine.pk)], 1)
    assert strip(whole + "?show=flagged") == ([str(bad.pk)], 1)
    assert strip(alone + "?show=flagged") == ([str(bad.pk)], 1)
    assert "Average" in words_of(client.get(whole))


def test_discarded_picture_is_seen_and_restored_by_those_who_may(pages, operator, viewer):
    timelapse = make_timelapse()
    capture = discarded(timelapse)
    seen, restore = (reverse(name, args=[capture.pk]) for name in ("quarantined-picture", "capture-restore"))
    assert pages().get(seen)["Location"].startswith("/login/")
    assert pages(viewer).post(restore).status_code == 403
    answer = pages(viewer).get(seen)
    assert b"".join(answer.streaming_content)[:3] == b"\xff\xd8\xff"
    client = pages(operator)
    files.write("quarantine/1.webp", b"RIFF")
    Capture.objects.filter(pk=capture.pk).update(file="quarantine/1.webp")
    assert pages(viewer).head(seen)["Content-Type"] == "image/webp"
    Capture.objects.filter(pk=capture.pk).update(file=capture.file)
    assert restore in client.get(camera_page(timelapse.camera)).content.decode()
    assert "is restored" in words_of(client.post(restore, follow=True))
    assert Capture.objects.get(pk=capture.pk).state == "stored"
    assert client.get(seen).status_code == 404
    assert "not in the quarantine" in words_of(client.post(restore, follow=True))
    assert "Restored" in words_of(client.get(camera_page(timelapse.camera)))


# --- a picture on trial ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smeared():
    scene = CommandedScene(640, 360, noon=NOON)
    scene.trouble = Trouble.SMEAR
    return encode_jpeg(scene.draw(NOON))


def try_out(client, data, name="smear.jpg"):
    return client.post("/quality/test/", {"picture": SimpleUploadedFile(name, data)})


def test_picture_on_trial_is_judged_and_kept_nowhere(pages, operator, viewer, settings, smeared):
    assert pages(viewer).get("/quality/test/").status_code == 403
    client = pages(operator)
    assert client.get("/quality/test/").status_code == 200
    answer = try_out(client, smeared)
    text = words_of(answer)
    assert answer.status_code == 200
    assert re.search(r"smear\.jpg 640 × 360", text)
    assert "The camera is asked once more; if that is no better, the better one is kept with a flag." in text
    assert re.search(r"Score \d+ Fast \d+ Close \d+ Decoding [\d.]+ ms Judging [\d.]+ ms", text)
    assert answer.context["found"].evaluation.verdict == "smear"
    assert "data:image/jpeg;base64," in answer.content.decode()
    assert not JudgedPicture.objects.exists()
    assert not settings.MEDIA_ROOT.exists()


def test_what_is_no_picture_is_said_so(pages, operator, smeared):
    client = pages(operator)
    for data in (b"<html>", smeared[:200], b"\x89PNG\r\n\x1a\n"):
        answer = try_out(client, data)
        assert answer.status_code == 422, data[:10]
        assert "This cannot be judged" in words_of(answer)
    assert "Choose a picture first." in words_of(client.post("/quality/test/"))


def test_picture_that_is_too_large_is_refused(pages, operator):
    answer = try_out(pages(operator), bytes(MOST_BYTES + 1))
    assert answer.status_code == 413
    assert "at most 50 MB" in words_of(answer)


def test_length_is_looked_at_before_anything_is_read(pages, operator, monkeypatch):
    read = []
    monkeypatch.setattr(HttpRequest, "_load_post_and_files", lambda request: read.append(request.path))
    picture = {"picture": SimpleUploadedFile("mine.jpg", b"x")}
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    assert client.post("/quality/test/", picture, CONTENT_LENGTH=60 * 2**20).status_code == 413
    assert read == []


def test_form_without_its_token_is_refused(operator, smeared):
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    assert try_out(client, smeared).status_code == 403
    token = re.search(
        r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get("/quality/test/").content.decode()
    )[1]
    form = {"picture": SimpleUploadedFile("x.jpg", smeared), "csrfmiddlewaretoken": token}
    assert client.post("/quality/test/", form).status_code == 200


def test_page_and_api_count_the_same_trials(pages, operator, api, monkeypatch):
    monkeypatch.setattr(TrialThrottle, "rate", "2/min")
    client = pages(operator)
    form = {"picture": SimpleUploadedFile("x.jpg", b"no picture")}
    assert api(operator).post("/api/v1/quality/test/", form, format="multipart").status_code == 400
    assert try_out(client, b"no picture").status_code == 422
    answer = try_out(client, b"no picture")
    assert (answer.status_code, "Try again in a minute." in words_of(answer)) == (429, True)
    assert 1 <= int(answer["Retry-After"]) <= 60


def test_one_picture_at_a_time_is_on_trial(pages, operator, api, smeared, monkeypatch):
    answers, judge = [], trial.evaluate

    def ask_meanwhile(*args, **kw):
        form = {"picture": SimpleUploadedFile("x.jpg", smeared)}
        answers.append(try_out(pages(operator), smeared))
        answers.append(api(operator).post("/api/v1/quality/test/", form, format="multipart"))
        return judge(*args, **kw)

    monkeypatch.setattr(trial, "evaluate", ask_meanwhile)
    assert try_out(pages(operator), smeared).status_code == 200
    assert [(answer.status_code, answer["Retry-After"]) for answer in answers] == [(429, "2")] * 2
    assert "Another picture is on trial just now." in words_of(answers[0])
    monkeypatch.undo()
    assert try_out(pages(operator), smeared).status_code == 200


def test_bomb_is_refused_by_what_its_header_says(pages, operator, monkeypatch):
    monkeypatch.setattr(trial.Picture, "of_bytes", lambda *args, **kw: pytest.fail("it was decoded"))
    answer = try_out(pages(operator), png_header(8_000, 5_001))
    assert answer.status_code == 422
    assert "8000 x 5001 are too many pixels for a trial" in words_of(answer)


# --- all of them ----------------------------------------------------------------------------------------------------


def test_pages_of_quality_have_no_inline_script_or_style_and_their_parts_are_drawn_alone(pages, operator):
    timelapse = make_timelapse(camera=make_camera(is_degraded=True), state="running")
    flagged(timelapse)
    discarded(timelapse)
    client = pages(operator)
    camera = timelapse.camera_id
    for address in (
        "/quality/",
        "/quality/test/",
        reverse("camera-quality", args=[camera]),
        reverse("quality-parts") + "?part=summary&part=cameras&part=failures",
        reverse("camera-quality-parts", args=[camera])
        + "?part=standing&part=history&part=failures&part=quarantine&part=evaluations",
        reverse("camera-parts", args=[camera]) + "?part=quality",
        reverse("timelapse-parts", args=[timelapse.pk]) + "?part=quality",
    ):
        answer = client.get(address)
        text = answer.content.decode()
        assert answer.status_code == 200, address
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\bsrc=)", text), address
        asked = address.count("part=")
        assert text.count('hx-swap-oob="true"') == asked, address
    assert client.get(reverse("camera-quality", args=[Camera.objects.count() + 999])).status_code == 404


def test_overview_shows_the_cameras_to_look_at_first_and_all_where_asked(pages, viewer):
    for number in range(60):
        make_camera(name=f"Camera {number:02}")
    browser = pages(viewer)

    first = browser.get("/quality/").content.decode()
    every = browser.get("/quality/?cameras=all").content.decode()

    assert (first.count("data-camera="), every.count("data-camera=")) == (50, 60)
    assert "Show the other 10 cameras, too" in first
    assert "Show the other" not in every
