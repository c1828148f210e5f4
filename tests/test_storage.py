"""The storage page and its API: who may what, what is shown, and that a deed is a job."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from captures.figures import figures
from captures.models import Capture, Timelapse
from media_jobs.models import Decision, MediaJob
from tests import wrecked
from tests.factories import make_camera, make_stored_capture, make_timelapse

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def wreck(settings):
    found = wrecked.build(settings.MEDIA_ROOT, 40)
    wrecked.wreck_some(found, 0.5)
    whole = found.timelapses[0].captures.select_related("timelapse__camera").order_by("slot")[1]
    wrecked.row_lacks("thumbnail", found, whole)
    return found


def test_figures_are_those_of_the_rows_and_files(wreck, settings):
    rows = Capture.objects.stored()
    found = figures()

    assert (found.pictures, found.thumbnails) == (rows.count(), rows.exclude(thumbnail="").count())
    assert found.coverage == found.thumbnails / found.pictures
    assert found.small_bytes == sum(rows.values_list("small_bytes", flat=True))
    assert figures(make_timelapse()).coverage == 1


def test_the_api_asks_for_each_deed_and_shows_its_report(admin, api, broker, wreck):
    client, base = api(admin), "/api/v1/storage/"
    standing = client.get(base).json()

    asked = {"verify": client.post(f"{base}verify/", {"deep": True})}
    again = client.post(f"{base}verify/", {"deep": True})
    unsure = client.post(f"{base}delete-thumbnails/", {"confirm": False})
    for deed, wish in (
        ("repair", {}),
        ("clean-up", {}),
        ("thumbnails", {}),
        ("delete-thumbnails", {"confirm": True}),
    ):
        broker.work_off("thumbnail")
        asked[deed] = client.post(f"{base}{deed}/", wish)
    broker.work_off("thumbnail")

    assert (standing["pictures"], 0 < standing["coverage"] < 1) == (figures().pictures, True)
    assert {deed: answer.status_code for deed, answer in asked.items()} == dict.fromkeys(asked, 202)
    assert (again.status_code, again.json()["id"]) == (200, asked["verify"].json()["id"])
    assert (unsure.status_code, "confirm" in unsure.json()["errors"]) == (400, True)
    report = client.get(asked["verify"]["Location"]).json()
    assert (report["state"], report["result"]["faults"]) == ("done", wreck.deep_faults)
    assert Capture.objects.exclude(thumbnail="", small="").count() == 0
    actions = set(Decision.objects.filter(topic="storage").values_list("action", flat=True))
    assert {"verify_requested", "repair_requested", "storage_repaired", "thumbnails_deleted"} <= actions


def test_only_the_admin_deletes(operator, api, pages, wreck):
    client, page = api(operator), pages(operator)

    assert client.post("/api/v1/storage/clean-up/", {"dry_run": True}).status_code == 202
    assert client.post("/api/v1/storage/clean-up/", {"dry_run": False}).status_code == 403
    for deed, status in (
        ("verify", 302),
        ("rehearse", 302),
        ("repair", 403),
        ("clean-up", 403),
        ("delete", 403),
    ):
        assert page.post(reverse("storage-act", args=[deed])).status_code == status
    assert page.post(reverse("storage-act", args=["nonsense"])).status_code == 404


def test_the_page_shows_work_report_and_what_was_done(admin, pages, broker, wreck):
    browser, here = pages(admin), reverse("storage")
    empty = browser.get(here).content.decode()
    browser.post(reverse("storage-act", args=["verify"]))
    waiting = browser.get(here).content.decode()
    broker.work_off("thumbnail")
    verified = browser.get(here).content.decode()
    for deed in ("repair-deep", "rehearse"):
        browser.post(reverse("storage-act", args=[deed]))
        broker.work_off("thumbnail")
    repaired = browser.get(here).content.decode()
    one = browser.get(reverse("timelapse-storage", args=[wreck.timelapses[0].pk])).content.decode()

    assert "Nobody has compared them yet" in empty
    assert "<progress" in waiting
    assert f'<b class="warn">{wreck.faults.total()} things found.</b>' in verified
    assert "What was done" in repaired
    assert "rows that say now that their picture is gone" in repaired
    assert "nothing to clean up" in repaired
    assert wreck.timelapses[0].name in one


def test_all_are_deleted_only_with_a_cross_in_the_box(admin, pages, broker, wreck):
    address = reverse("storage-act", args=["delete"])
    browser = pages(admin)

    browser.post(address)
    without = MediaJob.objects.count()
    browser.post(address, {"confirm": "yes"})
    broker.work_off("thumbnail")

    assert (without, MediaJob.objects.get().state) == (0, "done")
    assert Capture.objects.exclude(thumbnail="", small="").count() == 0


@pytest.mark.parametrize("address", ["dashboard", "storage"])
def test_sixty_cost_no_more_queries_than_three(viewer, pages, address):
    browser = pages(viewer)

    def make(count):
        for _ in range(count):
            capture = make_stored_capture(timelapse=make_timelapse(camera=make_camera(), state="running"))
            Timelapse.objects.filter(pk=capture.timelapse_id).update(latest_capture=capture)

    def queries():
        with CaptureQueriesContext(connection) as found:
            assert browser.get(reverse(address)).status_code == 200
        return len(found)

    make(3)
    browser.get(reverse(address))
    few = queries()
    make(57)

    assert queries() == few
