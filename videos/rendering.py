"""The wish for a film, and what becomes of the film's row; how it is made is in videos.assembly."""

from __future__ import annotations

from django.db import transaction

from captures.models import Timelapse
from media_jobs import clock, files, lifecycle
from media_jobs.events import EventType, emit
from media_jobs.models import MediaJob
from videos import revisions, selection
from videos.exceptions import FilmInUse, TooFewPictures
from videos.models import Recipe, Video

RENDER = "videos.render"


def request(
    video: Video, *, by: str, priority: int = MediaJob.Priority.HIGH, is_quiet: bool = False
) -> tuple[MediaJob, bool]:
    """Asks for the film to be rendered, and says whether the job is new: one film has one active job.

    Raises TooFewPictures where no picture could be in it.
    """
    now = clock.now()
    if not selection.exists(video):
        raise TooFewPictures
    image_count = Timelapse.objects.values_list("image_count", flat=True).get(pk=video.timelapse_id)
    with transaction.atomic():
        job, is_new = lifecycle.record(
            RENDER,
            key=_key(video.pk),
            topic=f"timelapse.{video.timelapse_id}",
            title=f"Film “{video.name}”",
            args={"video": video.pk},
            requested_by=by,
            priority=priority,
            is_quiet=is_quiet,
        )
        if is_new:
            Video.objects.filter(pk=video.pk).update(asked_at=now, asked_image_count=image_count)
            Video.objects.filter(pk=video.pk).exclude(state=Video.State.READY).update(
                state=Video.State.RENDERING, error=""
            )
            video.refresh_from_db()
    return job, is_new


def cancel(video: Video, *, by: str) -> None:
    """Stops the film's active job, if it has one; a film that was published before stays."""
    for job in MediaJob.objects.active().filter(task=RENDER, key=_key(video.pk)):
        lifecycle.cancel(job, by=by)
    settle(video.pk)


def create_follower(timelapse: Timelapse, recipe: Recipe, *, throttle_s: int = 0) -> Video:
    """The film that follows `timelapse`: always ready, renewed after each capture."""
    return Video.objects.create(
        timelapse=timelapse, recipe=recipe, name=timelapse.name, follows=True, throttle_s=throttle_s
    )


def reconcile() -> int:
    """Settles films whose job ended without them: cancelled while it waited, or given up. Returns how many."""
    settled = 0
    for video in Video.objects.filter(state=Video.State.RENDERING).select_related("timelapse"):
        jobs = MediaJob.objects.filter(task=RENDER, key=_key(video.pk))
        if jobs.active().exists():
            continue
        last = jobs.order_by("-requested_at").first()
        if last is not None and last.state == MediaJob.State.FAILED:
            note_failure(video, last.error)
        else:
            settle(video.pk)
        settled += 1
    return settled


def note_failure(video: Video, message: str) -> None:
    """The film is failed; a revision that was published before stays."""
    with transaction.atomic():
        Video.objects.filter(pk=video.pk).update(state=Video.State.FAILED, error=message)
        payload = {"video": video.pk, "timelapse": video.timelapse_id, "error": message}
        emit(EventType.VIDEO_FAILED, f"timelapse.{video.timelapse_id}", payload)


def settle(video_id: int) -> None:
    """A film whose render was cancelled is what it was before: ready with its last revision, or cancelled.

    One that was asked for anew meanwhile stays as it is.
    """
    wish = MediaJob.objects.active().filter(task=RENDER, key=_key(video_id), cancel_requested=False)
    if wish.exists():
        return
    stopped = Video.objects.filter(pk=video_id, state=Video.State.RENDERING)
    stopped.filter(revision__gt=0).update(state=Video.State.READY)
    stopped.filter(revision=0).update(state=Video.State.CANCELLED)


def discard(video: Video) -> None:
    """Removes the film and its files; segments go when nobody has used them for a while. Raises FilmInUse."""
    if MediaJob.objects.active().filter(task=RENDER, key=_key(video.pk)).exists():
        raise FilmInUse
    folder = revisions.folder_of(video)
    video.delete()
    files.delete_folder(folder)


def _key(video_id: int) -> str:
    return f"video.{video_id}"
