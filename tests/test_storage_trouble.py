"""A disk that keeps nothing is said aloud: on the dashboard, in the API, to monitors."""

from datetime import UTC, datetime, timedelta

import pytest

from media_jobs import clock
from media_jobs.models import Pulse
from tests.factories import make_capture, make_stored_capture, make_timelapse
from timelapser.health import find_faults, storage_trouble

pytestmark = pytest.mark.django_db
WORDS = "The media folder cannot be written."


def refused(**kw):
    now = clock.now()
    return make_capture(
        **{
            "state": "failed",
            "reason": "storage_unwritable",
            "detail": WORDS,
            "slot": now - timedelta(minutes=1),
        }
        | kw
    )


def test_refused_picture_is_said_until_the_next_one_is_kept(pages, viewer):
    capture = refused()

    assert storage_trouble(clock.now()) == WORDS
    assert WORDS in find_faults()
    assert WORDS in pages(viewer).get("/").content.decode()

    make_stored_capture(timelapse=make_timelapse(), slot=capture.slot + timedelta(seconds=1))
    assert storage_trouble(clock.now()) == ""


@pytest.mark.parametrize("fields", [{"reason": "camera_refused"}, {"slot": datetime(2026, 1, 1, tzinfo=UTC)}])
def test_other_failures_and_old_ones_are_no_trouble_of_the_storage(fields):
    refused(**fields)
    assert storage_trouble(clock.now()) == ""


@pytest.mark.parametrize(("free_mb", "words"), [(100, "The disk is full: 100 MB are free"), (300, "")])
def test_worker_with_a_full_disk_is_said_before_a_picture_is_lost(settings, free_mb, words):
    settings.MIN_FREE_BYTES = 200 * 2**20
    facts = {"queues": ["capture"], "disk_free_bytes": free_mb * 2**20}
    Pulse.objects.create(name="capture@here", kind="worker", at=clock.now(), facts=facts)

    trouble = storage_trouble(clock.now())
    assert trouble.startswith(words)
    assert bool(trouble) is bool(words)
