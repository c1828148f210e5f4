from datetime import timedelta

import pytest

from captures.models import Timelapse
from media_jobs import clock
from media_jobs.models import Event, MediaJob
from tests.factories import make_recipe, make_stored_capture
from tests.films import film_of, numbers_in, photographed
from videos import automation, rendering
from videos.models import Video

pytestmark = pytest.mark.django_db(transaction=True)


def follower_of(timelapse, **kw):
    return rendering.create_follower(timelapse, make_recipe(fps=10, quality="high"), **kw)


def test_follower_is_renewed_after_each_picture(broker):
    timelapse = photographed(3)
    video = follower_of(timelapse)

    for count in (3, 4, 5):
        if count > 3:
            photographed(1, first=count - 1, timelapse=timelapse)
        assert automation.follow(clock.now()) == 1
        broker.work_off("video")
        video.refresh_from_db()
        assert numbers_in(video) == list(range(count))
        assert automation.follow(clock.now()) == 0

    assert video.revision == 3
    # Its steps are no news, its outcome is.
    told = set(Event.objects.values_list("type", flat=True))
    assert told == {"timelapse_started", "video_created", "video_ready"}


def test_follower_is_asked_for_once_while_it_is_made(broker):
    timelapse = photographed(3)
    follower_of(timelapse)
    automation.follow(clock.now())
    photographed(1, first=3, timelapse=timelapse)

    assert automation.follow(clock.now()) == 0
    broker.work_off("video")
    assert automation.follow(clock.now()) == 1


def test_throttled_follower_waits():
    timelapse = photographed(3)
    video = follower_of(timelapse, throttle_s=600)
    Video.objects.update(asked_at=clock.now(), asked_image_count=2)

    assert automation.follow(clock.now() + timedelta(seconds=599)) == 0
    assert automation.follow(clock.now() + timedelta(seconds=601)) == 1
    assert MediaJob.objects.get().key == f"video.{video.pk}"


def test_one_picture_is_no_film_and_films_that_do_not_follow_are_left_alone():
    follower_of(photographed(1))
    film_of(photographed(3))

    assert automation.follow(clock.now()) == 0


def test_follower_without_pictures_of_its_days_stops_no_other():
    empty = follower_of(photographed(3))
    empty.from_day = (clock.now() + timedelta(days=30)).date()
    empty.save()
    follower_of(photographed(3))

    assert automation.follow(clock.now()) == 1


def test_follower_of_days_that_are_over_is_made_once(broker):
    timelapse = photographed(3)
    video = follower_of(timelapse)
    last_day = timelapse.captures.latest("slot").slot.astimezone(timelapse.zone).date()
    Video.objects.update(until_day=last_day)
    assert automation.follow(clock.now()) == 1
    broker.work_off("video")
    next_week = timelapse.captures.latest("slot").slot + timedelta(days=7)
    make_stored_capture(timelapse=timelapse, slot=next_week)
    Timelapse.objects.update(image_count=4)

    assert automation.follow(clock.now()) == 0
    assert automation.follow(clock.now()) == 0

    timelapse.captures.earliest("slot").delete()
    Timelapse.objects.update(image_count=3)
    assert automation.follow(clock.now()) == 1
    broker.work_off("video")
    video.refresh_from_db()
    assert numbers_in(video) == [1, 2]
