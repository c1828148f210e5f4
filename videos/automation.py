"""Films that nobody asks for by hand: the one that follows each timelapse."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from django.db.models import F

from media_jobs import correlation
from videos import rendering, selection
from videos.exceptions import TooFewPictures
from videos.models import Recipe, Video

FEWEST_FRAMES = 2


def follow(now: datetime) -> int:
    """Asks for every following film whose timelapse has new pictures or other flags. Returns how many it asked for.

    One whose work has ended its workers stays failed, with its words, until a person asks for it: each new picture
    would end three more.
    """
    behind = (
        Video.objects.filter(follows=True, timelapse__image_count__gte=FEWEST_FRAMES)
        .exclude(
            asked_image_count=F("timelapse__image_count"),
            asked_frames_revision=F("timelapse__frames_revision"),
        )
        .select_related("timelapse__latest_capture", "recipe")
    )
    asked = 0
    for video in behind:
        # One that was asked for in the future, by a clock that was set back since, does not wait for that.
        if video.asked_at and video.asked_at <= now < video.asked_at + timedelta(seconds=video.throttle_s):
            continue
        if rendering.is_given_up(video):
            continue
        if not has_changed(video):
            Video.objects.filter(pk=video.pk).update(
                asked_image_count=video.timelapse.image_count,
                asked_frames_revision=video.timelapse.frames_revision,
            )
            continue
        newest = video.timelapse.latest_capture
        # The film's new end belongs to the picture that it is made for.
        with (
            correlation.following(newest.correlation_id if newest else ""),
            suppress(TooFewPictures),  # of its own days: the others go on
        ):
            asked += rendering.follow(video)
    return asked


def has_changed(video: Video) -> bool:
    """Whether pictures came to the film or went.

    Not where its last day is over and they belong to later ones, and not by a flag where it takes every picture.
    """
    timelapse = video.timelapse
    if video.asked_image_count == timelapse.image_count and video.recipe.frames == Recipe.Frames.ALL:
        return False
    if video.asked_frames_revision != timelapse.frames_revision:
        return True
    if video.until_day is None or video.state != Video.State.READY:
        return True
    return selection.count(video) != video.frame_count + video.omitted_count
