"""The pages of settings without a browser: what is shown, and that only what was touched is written."""

import html
import json
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from cameras.configured import change, global_row
from cameras.models import Camera, GlobalSettings, SettingChange
from cameras.settings import Level
from captures.models import Timelapse
from media_jobs.models import MediaJob
from tests.factories import NOON, make_camera, make_timelapse

KEY = "k3y-0f-the-sky"


@pytest.fixture
def timelapse(db):
    return make_timelapse(camera=make_camera(name="Garden"))


def form_of(response):
    """What a browser would send of the page's form, untouched."""
    text = response.content.decode()
    form = re.search(r"<form[^>]*data-settings-form.*?</form>", text, re.S).group()
    sent = {}
    for tag in re.findall(r"<input[^>]*>", form):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        name, kind = attributes.get("name"), attributes.get("type", "text")
        if name and (kind != "checkbox" or re.search(r"\schecked[\s>]", tag)):
            sent[name] = html.unescape(attributes.get("value", ""))
    for name, inner in re.findall(r'<select name="([^"]*)".*?>(.*?)</select>', form, re.S):
        sent[name] = re.search(r'value="([^"]*)" selected', inner).group(1)
    sent.pop("csrfmiddlewaretoken")
    return sent


def words_of(response):
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))
    return html.unescape(text).replace(" ,", ",")


def without(form, *names):
    return {name: value for name, value in form.items() if name not in names}


def test_what_is_not_touched_is_not_written(admin, pages, timelapse):
    browser = pages(admin)
    change(Level.GLOBAL, global_row(), {"latitude": 48.25, "longitude": -16.4}, by="eva", now=NOON)
    SettingChange.objects.all().delete()

    for path in ("/settings/", "/cameras/{camera}/settings/", "/timelapses/{timelapse}/settings/"):
        path = path.format(camera=timelapse.camera_id, timelapse=timelapse.pk)
        answer = browser.post(path, form_of(browser.get(path)), follow=True)
        assert answer.redirect_chain == [(path, 302)]
        assert "Nothing was changed." in words_of(answer)

    assert not SettingChange.objects.exists()


def test_each_kind_of_field_is_changed_held_and_inherited_again(admin, pages, timelapse):
    browser, path = pages(admin), f"/cameras/{timelapse.camera_id}/settings/"
    change(Level.CAMERA, timelapse.camera, {"jpeg_quality": 77, "offline_after": 9}, by="eva", now=NOON)
    form = form_of(browser.get(path))

    wish = without(form, "quality_retry") | {
        "quality_heavy": "yes",
        "quality_threshold": "55",
        "small_mode": "latest",
        "keep-small_width": "yes",
        "inherit-jpeg_quality": "yes",
    }
    answer = browser.post(path, wish, follow=True)

    assert Camera.objects.get(pk=timelapse.camera_id).said == {
        "offline_after": 9,
        "quality_heavy": True,
        "quality_retry": False,
        "quality_threshold": 55,
        "small_mode": "latest",
        "small_width": 800,
    }
    words = words_of(answer)
    assert "6 settings are changed, in force from the next picture on." in words
    assert "Good enough from inherited → 55 points ada" in words
    assert "JPEG quality 77 → inherited ada" in words


def test_each_value_says_where_it_comes_from(viewer, pages, timelapse):
    change(Level.GLOBAL, global_row(), {"jpeg_quality": 80}, by="eva", now=NOON)
    change(Level.CAMERA, timelapse.camera, {"quality_threshold": 60}, by="eva", now=NOON)
    change(Level.TIMELAPSE, timelapse, {"small_mode": "latest"}, by="eva", now=NOON)

    answer = pages(viewer).get(f"/timelapses/{timelapse.pk}/settings/")

    words = words_of(answer)
    assert "80, set for all cameras" in words
    assert "60 points, set for Garden" in words
    assert "yes, the default" in words
    assert "Set for this timelapse" in words
    assert "Provider Open-Meteo (no key), the default" in words
    assert "may look at these settings, and not change them" in words
    assert (
        f'href="/cameras/{timelapse.camera_id}/settings/#setting-quality_threshold"'
        in answer.content.decode()
    )


def test_an_error_is_told_also_where_nobody_has_set_anything_yet(admin, pages):
    browser = pages(admin)

    answer = browser.post("/settings/", form_of(browser.get("/settings/")) | {"latitude": "48.2"})

    assert answer.status_code == 422
    assert "A place has both, latitude and longitude." in words_of(answer)
    assert not GlobalSettings.objects.exists()


def test_errors_stand_at_their_fields_and_what_was_typed_stays(admin, pages, timelapse):
    browser, path = pages(admin), f"/cameras/{timelapse.camera_id}/settings/"
    form = form_of(browser.get(path))

    answer = browser.post(
        path, form | {"jpeg_quality": "20", "offline_after": "many", "small_mode": "latest"}
    )
    again = form_of(answer)

    assert answer.status_code == 422
    words = words_of(answer)
    assert "At least 50." in words
    assert "A whole number." in words
    assert (again["jpeg_quality"], again["offline_after"], again["small_mode"]) == ("20", "many", "latest")
    assert Camera.objects.get(pk=timelapse.camera_id).said == {}
    browser.post(path, again | {"jpeg_quality": "60", "offline_after": "3"})
    assert Camera.objects.get(pk=timelapse.camera_id).said == {
        "jpeg_quality": 60,
        "offline_after": 3,
        "small_mode": "latest",
    }


def test_two_who_edit_at_once_keep_each_others_fields(admin, pages, timelapse):
    browser, path = pages(admin), f"/cameras/{timelapse.camera_id}/settings/"
    first, second = form_of(browser.get(path)), form_of(browser.get(path))

    browser.post(path, first | {"jpeg_quality": "60", "small_mode": "latest"})
    kept = browser.post(path, second | {"offline_after": "9"})
    overtaken = browser.post(path, second | {"jpeg_quality": "70", "offline_after": "12"})

    assert (kept.status_code, overtaken.status_code) == (302, 422)
    said = {"jpeg_quality": 60, "small_mode": "latest", "offline_after": 9}
    assert Camera.objects.get(pk=timelapse.camera_id).said == said
    assert "Somebody else has changed it meanwhile" in words_of(overtaken)
    # It was read: who saves once more means it. What was not touched has not become a wish by that.
    browser.post(path, form_of(overtaken))
    assert Camera.objects.get(pk=timelapse.camera_id).said == said | {"jpeg_quality": 70, "offline_after": 12}


def test_a_key_is_written_kept_and_removed_and_never_shown(admin, pages):
    browser = pages(admin)
    form = form_of(browser.get("/settings/"))

    set_ = browser.post("/settings/", form | {"openweather_key": KEY}, follow=True)
    kept = browser.post("/settings/", form_of(set_) | {"jpeg_quality": "60"}, follow=True)
    is_set = "openweather_key" in GlobalSettings.objects.get().said
    wrong = browser.post("/settings/", form_of(kept) | {"openweather_key": KEY, "jpeg_quality": "1"})
    removed = browser.post("/settings/", form_of(kept) | {"inherit-openweather_key": "yes"}, follow=True)

    assert is_set
    assert GlobalSettings.objects.get().said == {"jpeg_quality": 60}
    assert "Set. It is never shown again." in words_of(kept)
    assert "Not set." in words_of(removed)
    for answer in (set_, kept, wrong, removed):
        assert KEY not in answer.content.decode()


@pytest.mark.parametrize(
    ("role", "may"), [("viewer", [403, 403, 403]), ("operator", [403, 403, 302]), ("admin", [302, 302, 302])]
)
def test_who_may_save(request, pages, timelapse, role, may):
    browser = pages(request.getfixturevalue(role))
    paths = [
        "/settings/",
        f"/cameras/{timelapse.camera_id}/settings/",
        f"/timelapses/{timelapse.pk}/settings/",
    ]

    assert [browser.get(path).status_code for path in paths] == [200, 200, 200]
    assert [browser.post(path, {}).status_code for path in paths] == may


@pytest.mark.parametrize(
    "memory", ["", "{", "[]", '{"value": [{}, 1], "own": true}', '{"value": 1, "own": 3}']
)
def test_a_form_that_was_tampered_with_breaks_nothing(admin, pages, timelapse, memory):
    path = f"/timelapses/{timelapse.pk}/settings/"

    answer = pages(admin).post(path, {"was-jpeg_quality": memory, "jpeg_quality": "60", "was-gone": memory})

    assert answer.status_code in {302, 422}
    assert Timelapse.objects.get().said in ({}, {"jpeg_quality": 60})


def test_the_configuration_goes_out_and_comes_in_by_its_page(admin, operator, pages, timelapse):
    browser = pages(admin)
    assert pages(operator).get("/settings/configuration/").status_code == 403

    taken = browser.post("/settings/configuration/export/", {"passphrase": ""})
    document = json.loads(taken.content)
    document["cameras"][0]["settings"] = {"jpeg_quality": 66}

    def send(**deed):
        file = SimpleUploadedFile("configuration.json", json.dumps(document).encode())
        return browser.post("/settings/configuration/import/", {"file": file, "passphrase": "", **deed})

    trial = send()
    before = Camera.objects.get().said
    done = send(**{"import": "yes"})
    document["cameras"][0]["settings"] = {"jpeg_quality": 6}
    refused = send(**{"import": "yes"})
    empty = browser.post("/settings/configuration/import/", {})
    short = browser.post("/settings/configuration/export/", {"passphrase": "short"})

    assert taken["Content-Disposition"].startswith('attachment; filename="timelapser-')
    assert "This is what would be done; nothing was changed." in words_of(trial)
    assert (before, Camera.objects.get().said) == ({}, {"jpeg_quality": 66})
    assert "Imported." in words_of(done)
    assert "settings.jpeg_quality: At least 50." in words_of(refused)
    assert (empty.status_code, short.status_code) == (422, 422)
    assert "Choose a file first. Nothing was changed." in words_of(empty)


def test_the_saved_key_is_checked_by_a_job_and_its_state_is_told(admin, operator, pages):
    browser = pages(admin)
    assert pages(operator).post("/settings/weather-key/").status_code == 403
    wishes = {"openweather_key": KEY, "weather_provider": "openweather"}
    change(Level.GLOBAL, global_row(), wishes, by="ada", now=NOON)
    before = words_of(browser.get("/settings/"))

    asked = browser.post("/settings/weather-key/", headers={"HX-Request": "true"})
    job = MediaJob.objects.get(task="cameras.check_weather_key")
    MediaJob.objects.update(state="failed", error="Nobody answers.", finished_at=NOON)
    failed = browser.get("/settings/weather-key/")
    plain = browser.post("/settings/weather-key/")

    assert "Nobody has tried the key yet." in before
    assert "The saved key is being checked" in words_of(asked)
    assert "The last check: Nobody answers." in words_of(failed)
    assert (job.requested_by, plain.status_code) == ("ada", 302)
    assert KEY not in repr(job.args) + asked.content.decode() + failed.content.decode()


def test_the_detectors_are_told_and_can_be_left_out(admin, pages, timelapse):
    browser, path = pages(admin), f"/cameras/{timelapse.camera_id}/settings/"
    form = form_of(browser.get(path))

    answer = browser.post(path, form | {"quality_ignored": ["smear", "torn"]}, follow=True)

    assert Camera.objects.get().said == {"quality_ignored": ["smear", "torn"]}
    words = words_of(answer)
    assert "Do not ask inherited → Smear, Torn ada" in words
    assert "Smear not asked" in words
