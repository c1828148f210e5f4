"""Far pages of long lists: the same rows as counting through all of them gives, in as many queries as near ones."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from captures.models import Capture
from media_jobs import paging
from tests.factories import NOON, make_timelapse

pytestmark = pytest.mark.django_db
COUNT = 60


@pytest.fixture
def timelapse(monkeypatch):
    monkeypatch.setattr(paging, "NEAR", 10)
    timelapse = make_timelapse()
    Capture.objects.bulk_create(
        Capture(
            timelapse=timelapse,
            slot=NOON + timedelta(minutes=number),
            give_up_at=NOON,
            state="missed" if number % 3 else "skipped",
            reason="no_worker",
        )
        for number in range(COUNT)
    )
    other = make_timelapse()
    Capture.objects.bulk_create(
        Capture(timelapse=other, slot=row.slot, give_up_at=NOON, state="missed", reason="no_worker")
        for row in timelapse.captures.all()[:30]
    )
    return timelapse


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("", lambda of: Capture.objects.order_by("-slot", "-id")),
        ("timelapse={0.pk}&", lambda of: of.captures.order_by("-slot", "-id")),
        ("camera={0.camera_id}&", lambda of: of.captures.order_by("-slot", "-id")),
        ("state=missed&state=skipped&", lambda of: Capture.objects.order_by("-slot", "-id")),
        ("state=skipped&ordering=slot&", lambda of: of.captures.filter(state="skipped").order_by("slot")),
    ],
)
def test_pages_far_from_the_first_have_the_rows_that_counting_gives(viewer, api, timelapse, query, rows):
    expected = list(rows(timelapse).values_list("pk", flat=True))
    client, found, page, costs = api(viewer), [], 1, set()
    while page:
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(f"/api/v1/captures/?{query.format(timelapse)}page_size=7&page={page}").json()
        costs.add(len(queries))
        assert answer["count"] == len(expected)
        found += [row["id"] for row in answer["results"]]
        page = page + 1 if answer["next"] else None
    assert found == expected
    assert max(costs) - min(costs) <= 2
    assert client.get(f"/api/v1/captures/?{query.format(timelapse)}page_size=7&page=99").status_code == 404


def test_the_gallery_costs_the_same_for_many_pictures_and_far_back(viewer, pages):
    timelapse, client = make_timelapse(), pages(viewer)

    def add(first, count):
        Capture.objects.bulk_create(
            Capture(
                timelapse=timelapse,
                slot=NOON + timedelta(minutes=number),
                taken_at=NOON,
                give_up_at=NOON,
                state="stored",
                file="f",
                bytes=1,
                checksum="c",
            )
            for number in range(first, first + count)
        )

    def cost(query=""):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/timelapses/{timelapse.pk}/strip/{query}").status_code == 200
        return len(queries)

    add(0, 3)
    cost()
    few = cost()
    add(3, 200)
    assert cost() == few
    assert cost("?before=2026-05-04T13:00:00Z") == few
