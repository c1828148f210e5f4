from io import BytesIO

import pytest
from PIL import Image

from captures import ledger
from media_jobs import files
from media_jobs.models import Event, MediaJob
from tests.factories import make_jpeg, make_stored_capture

pytestmark = pytest.mark.django_db(transaction=True)


def size_of(name):
    return Image.open(BytesIO(files.read(name))).size


def derive(broker, capture):
    ledger.record_thumbnails(capture)
    broker.work_off("thumbnail")
    capture.refresh_from_db()
    return MediaJob.objects.latest("requested_at")


def test_both_are_made_and_told(broker):
    capture = make_stored_capture(make_jpeg(1600, 1200))

    job = derive(broker, capture)

    assert (size_of(capture.thumbnail), size_of(capture.small)) == ((200, 150), (800, 600))
    assert (job.state, job.result["small_bytes"]) == ("done", len(files.read(capture.small)))
    events = Event.objects.values_list("type", flat=True)
    assert list(events) == ["thumbnail_ready"]  # the quiet job's steps are no news
    assert "/thumbnails/" in capture.thumbnail
    assert "/smalls/" in capture.small


def test_made_again_they_are_the_same(broker):
    capture = make_stored_capture(make_jpeg(1600, 1200))
    derive(broker, capture)
    before = (capture.thumbnail, capture.small, files.read(capture.thumbnail))

    derive(broker, capture)

    assert (capture.thumbnail, capture.small, files.read(capture.thumbnail)) == before


def test_picture_that_cannot_be_decoded_fails_with_its_reason(broker):
    capture = make_stored_capture()
    files.write(capture.file, b"\xff\xd8\xff no picture")

    job = derive(broker, capture)

    assert (job.state, job.error_code, capture.thumbnail) == ("failed", "broken_picture", "")


def test_file_that_is_missing_is_tried_again(broker):
    capture = make_stored_capture()
    files.delete(capture.file)

    job = derive(broker, capture)

    assert (job.state, job.error_code) == ("queued", "file_missing")


def test_capture_that_is_gone_ends_the_job(broker):
    capture = make_stored_capture()
    ledger.record_thumbnails(capture)
    capture.delete()

    broker.work_off("thumbnail")

    assert (MediaJob.objects.get().state, MediaJob.objects.get().error_code) == ("failed", "not_found")
