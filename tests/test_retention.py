import threading
from datetime import timedelta

import pytest
from django.db import connection, connections

from media_jobs import clock
from media_jobs.models import MediaJob
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


def test_film_that_grew_keeps_all_its_segments_but_the_last(broker, settings):
    timelapse = photographed(3)
    video = film_of(timelapse)
    render(video, broker)
    for count in (5, 7, 9, 11, 13):
        photographed(2, first=count - 2, timelapse=timelapse)
        render(video, broker)
    for segment in Segment.objects.all():
        unused_for(segment, timedelta(minutes=11))

    retention.tidy(clock.now())

    kept = list(Segment.objects.all())
    assert 13 - settings.SEGMENT_FRAMES <= sum(segment.frame_count for segment in kept) < 13
    assert all((settings.MEDIA_ROOT / segment.file).exists() for segment in kept)
    before = MediaJob.objects.filter(task="videos.encode_segment").count()
    render(video, broker)
    assert MediaJob.objects.filter(task="videos.encode_segment").count() == before + 1
    assert numbers_in(video) == list(range(13))


def test_segment_that_is_used_while_tidy_looks_stays_with_its_file(broker, settings):
    render(film_of(photographed(12)), broker)
    for segment in Segment.objects.all():
        unused_for(segment, timedelta(days=8))
    rescued = Segment.objects.order_by("pk").first()
    now, asked, is_used = clock.now(), [], []

    def use_it(execute, sql, params, many, context):
        if any("videos_segment" in each for each in asked) and not is_used:
            is_used.append(True)  # tidy knows what it wants to delete, and has not begun to
            elsewhere(lambda: unused_for(rescued, timedelta(0)))
        asked.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(use_it):
        retention.tidy(now)

    assert is_used
    assert list(Segment.objects.all()) == [rescued]
    assert (settings.MEDIA_ROOT / rescued.file).exists()


def test_file_that_a_fresh_segment_uses_stays(broker, settings):
    timelapse = photographed(3)
    render(film_of(timelapse), broker)
    old = Segment.objects.order_by("pk").first()
    fresh = Segment.objects.get(pk=old.pk)
    fresh.pk, fresh.key = None, "f" * 64
    fresh.save()
    unused_for(old, timedelta(days=8))

    assert retention.tidy(clock.now()) == 1

    assert (settings.MEDIA_ROOT / fresh.file).exists()


def elsewhere(work):
    """Does `work` over a connection of its own."""

    def run():
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)


def test_film_is_made_again_after_its_segments_are_gone(broker):
    timelapse = photographed(7)
    video = film_of(timelapse)
    render(video, broker)
    retention.tidy(clock.now() + timedelta(days=30))
    assert not Segment.objects.exists()

    render(video, broker)

    assert (numbers_in(video), video.revision) == (list(range(7)), 2)
