"""Timelapses with painted pictures, and films of them."""

from fractions import Fraction

from django.conf import settings

from captures.models import Capture, Timelapse
from tests.campaigns import running
from tests.factories import make_recipe, make_stored_capture, make_video
from tests.painted import painted_jpeg, read_film
from videos import rendering

QUEUES = ("video",)


def photographed(count, *, first=0, timelapse=None, size=(192, 108), **kw):
    """A timelapse of one picture a second; picture k shows the number k. `first` goes on behind earlier ones."""
    timelapse = timelapse or running(interval_s=1, **kw)
    start = timelapse.schedules.first().timetable.first_from(timelapse.schedules.first().from_at)
    for number in range(first, first + count):
        slot = start + number * timelapse.interval
        make_stored_capture(painted_jpeg(number, *size), timelapse=timelapse, slot=slot)
    Timelapse.objects.filter(pk=timelapse.pk).update(image_count=timelapse.captures.stored().count())
    timelapse.refresh_from_db()
    return timelapse


def film_of(timelapse, *, fps=10, **kw):
    return make_video(timelapse=timelapse, recipe=make_recipe(fps=fps, quality="high"), **kw)


def render(video, broker):
    """Asks for the film and does the work of the video pool. Returns the film's job."""
    job, _ = rendering.request(video, by="otto")
    broker.work_off(*QUEUES)
    video.refresh_from_db()
    job.refresh_from_db()
    return job


def numbers_in(video):
    """The numbers painted into the film's frames; its instants are checked to be exact."""
    numbers, instants = read_film(settings.MEDIA_ROOT / video.file)
    assert instants == [Fraction(k, video.recipe.fps) for k in range(len(numbers))]
    return numbers


def captures_of(timelapse):
    return list(Capture.objects.filter(timelapse=timelapse).order_by("slot"))
