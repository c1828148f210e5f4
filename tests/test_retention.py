from datetime import timedelta

import pytest

from media_jobs import clock
from tests.films import film_of, numbers_in, photographed, render
from videos import retention
from videos.models import Segment

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _short_segments(settings):
    settings.SEGMENT_FRAMES = 5


def unused_for(segment, span):
    Segment.objects.filter(pk=segment.pk).update(used_at=clock.now() - span)


def test_tidy_deletes_open_segments_soon_and_closed_ones_after_a_week(broker, settings):
    timelapse = photographed(12)
    video = film_of(timelapse)
    render(video, broker)
    opened = Segment.objects.get(is_open=True)
    closed = list(Segment.objects.filter(is_open=False).order_by("pk"))
    for segment in Segment.objects.all():
        unused_for(segment, timedelta(minutes=11))
    unused_for(closed[0], timedelta(days=8))

    assert retention.tidy(clock.now()) == 2

    assert not (settings.MEDIA_ROOT / opened.file).exists()
    assert not (settings.MEDIA_ROOT / closed[0].file).exists()
    assert list(Segment.objects.values_list("pk", flat=True)) == [segment.pk for segment in closed[1:]]
    assert all((settings.MEDIA_ROOT / segment.file).exists() for segment in closed[1:])
    assert numbers_in(video) == list(range(12))  # the film needs none of them


def test_render_marks_what_it_counts_on_as_used(broker):
    timelapse = photographed(12)
    video = film_of(timelapse)
    render(video, broker)
    for segment in Segment.objects.all():
        unused_for(segment, timedelta(days=8))
    render(video, broker)

    assert retention.tidy(clock.now()) == 0


def test_film_is_made_again_after_its_segments_are_gone(broker):
    timelapse = photographed(7)
    video = film_of(timelapse)
    render(video, broker)
    retention.tidy(clock.now() + timedelta(days=30))
    assert not Segment.objects.exists()

    render(video, broker)

    assert (numbers_in(video), video.revision) == (list(range(7)), 2)
