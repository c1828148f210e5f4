from datetime import timedelta

import pytest

from captures import flags
from captures.models import Capture, Timelapse
from media_jobs import clock, kinds, lifecycle, tracked
from media_jobs.models import Event, MediaJob
from tests.factories import make_recipe, make_stored_capture, make_video
from tests.films import film_of, numbers_in, photographed
from videos import automation, rendering, selection
from videos.models import Recipe, Segment, Video

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


def take():
    return lifecycle.claim("video", worker="v1")


def do(job):
    tracked.do(job, kinds.of(job.task).work)


def park(task):
    """Three workers die with each job of `task` that waits (pictures may fall into two segments)."""
    for _ in range(lifecycle.MOST_LOSSES * MediaJob.objects.filter(task=task, state="queued").count()):
        job = take()
        assert job.task == task
        lifecycle.lose(job)


def film_with_a_part_that_kills():
    """A follower that has failed because of it; returns its timelapse and the film."""
    timelapse = photographed(3)
    video = follower_of(timelapse)
    automation.follow(clock.now())
    do(take())
    park("videos.encode_segment")
    do(take())
    video.refresh_from_db()
    return timelapse, video


def test_part_that_ends_its_workers_fails_the_film_once_and_is_left_to_people(broker):
    timelapse, video = film_with_a_part_that_kills()
    assert (video.state, "3 workers went away" in video.error) == ("failed", True)
    count = MediaJob.objects.count()

    for number in range(3, 6):  # with each its open segment is another one
        photographed(1, first=number, timelapse=timelapse)
        assert automation.follow(clock.now()) == 0

    assert MediaJob.objects.count() == count
    assert Event.objects.filter(type="video_failed").count() == 1


def test_person_who_asks_has_the_part_that_was_given_up_tried_again(broker):
    timelapse, video = film_with_a_part_that_kills()

    rendering.request(video, by="ada")
    broker.work_off("video")

    video.refresh_from_db()
    assert (video.state, numbers_in(video)) == ("ready", [0, 1, 2])
    photographed(1, first=3, timelapse=timelapse)
    assert automation.follow(clock.now()) == 1


def test_part_that_a_person_had_done_again_lets_the_film_go_on(broker):
    _, video = film_with_a_part_that_kills()

    for part in MediaJob.objects.filter(state="parked"):
        lifecycle.retry(part, by="ada")
    broker.work_off("video")
    Video.objects.update(asked_image_count=0)  # as with the next picture

    assert automation.follow(clock.now()) == 1
    broker.work_off("video")
    video.refresh_from_db()
    assert video.state == "ready"


def test_another_film_of_the_clock_does_not_take_up_a_part_that_was_given_up(broker):
    timelapse, video = film_with_a_part_that_kills()
    other = Video.objects.create(timelapse=timelapse, recipe=video.recipe, name="The same")

    assert rendering.follow(other)
    do(take())  # it asks for its part
    do(take())  # and finds that it was given up

    other.refresh_from_db()
    assert (other.state, "3 workers went away" in other.error, take()) == ("failed", True, None)


def test_render_that_ends_its_workers_is_not_asked_for_with_the_next_picture(broker):
    timelapse = photographed(3)
    video = follower_of(timelapse)
    automation.follow(clock.now())
    park("videos.render")
    rendering.reconcile()
    photographed(1, first=3, timelapse=timelapse)

    assert automation.follow(clock.now()) == 0
    video.refresh_from_db()
    assert (video.state, "3 workers went away" in video.error) == ("failed", True)


def test_flag_takes_a_picture_out_of_a_clean_film_and_encodes_its_own_segment_alone(broker, settings):
    settings.SEGMENT_FRAMES = 4
    timelapse = photographed(12)
    video = rendering.create_follower(timelapse, make_recipe(fps=10, quality="high", frames="clean"))
    every = film_of(timelapse)
    automation.follow(clock.now())
    rendering.request(every, by="otto")
    broker.work_off("video")
    video.refresh_from_db()
    assert numbers_in(video) == list(range(12))
    before = set(Segment.objects.values_list("pk", flat=True))
    capture = timelapse.captures.order_by("slot")[5]

    flags.set_flag(capture, is_flagged=True, by="otto")

    assert not Video.objects.get(pk=every.pk).is_outdated
    assert automation.follow(clock.now()) == 1
    broker.work_off("video")
    video.refresh_from_db()
    assert numbers_in(video) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert len(set(Segment.objects.values_list("pk", flat=True)) - before) == 1
    assert automation.follow(clock.now()) == 0
    Recipe.objects.filter(pk=every.recipe_id).update(frames="flawless")
    assert Video.objects.select_related("recipe", "timelapse").get(pk=every.pk).is_outdated
    Capture.objects.exclude(pk=capture.pk).order_by("slot").update(verdict="good")
    assert len(selection.select(Video.objects.get(pk=every.pk))) == 11

    flags.set_flag(capture, is_flagged=False, by="otto")
    assert automation.follow(clock.now()) == 1
    broker.work_off("video")

    video.refresh_from_db()
    assert numbers_in(video) == list(range(12))
    assert (
        len(set(Segment.objects.values_list("pk", flat=True)) - before) == 1
    )  # the first one is still there
    assert len(selection.select(Video.objects.get(pk=every.pk))) == 11  # nobody has found that one good


def test_flag_is_no_news_for_a_film_of_every_picture(broker):
    timelapse = photographed(3)
    video = follower_of(timelapse)
    automation.follow(clock.now())
    broker.work_off("video")

    flags.set_flag(timelapse.captures.first(), is_flagged=True, by="otto")

    assert automation.follow(clock.now()) == 0
    video.refresh_from_db()
    assert (video.revision, video.asked_frames_revision) == (1, 1)


def test_page_says_which_film_is_outdated(pages, viewer):
    video = make_video(state="ready", revision=1, file="f", recipe=make_recipe(frames="clean"))

    def shown():
        return pages(viewer).get(f"/timelapses/{video.timelapse_id}/").content.decode()

    assert "have changed since it was made" not in shown()
    Timelapse.objects.update(frames_revision=1)
    assert "have changed since it was made" in shown()
