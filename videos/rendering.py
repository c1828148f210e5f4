"""The wish for a film, and what becomes of the film's row; how it is made is in videos.assembly."""

from __future__ import annotations

from django.db import transaction

from captures.models import Timelapse
from media_jobs import audit, clock, files, lifecycle
from media_jobs.events import EventType, emit
from media_jobs.exceptions import NotRepeatable
from media_jobs.models import MediaJob
from videos import revisions, selection
from videos.exceptions import FilmInUse, TooFewPictures
from videos.models import Recipe, Video

RENDER = "videos.render"


def request(
    video: Video, *, by: str, priority: int = MediaJob.Priority.HIGH, rule: str = ""
) -> tuple[MediaJob, bool]:
    """Asks for the film to be rendered, and says whether the job is new: one film has one active job.

    `rule` says why the clock asks for it: its steps are no news then, and the job's row is the decision.
    Raises TooFewPictures where no picture could be in it.
    """
    now = clock.now()
    if not selection.exists(video):
        raise TooFewPictures
    counts = Timelapse.objects.values_list("image_count", "frames_revision")
    image_count, frames_revision = counts.get(pk=video.timelapse_id)
    with transaction.atomic():
        job, is_new = lifecycle.record(
            RENDER,
            key=_key(video.pk),
            topic=topic_of(video),
            title=f"Film “{video.name}”",
            args={"video": video.pk} | ({"rule": rule} if rule else {}),
            requested_by=by,
            priority=priority,
            is_quiet=bool(rule),
        )
        if not rule:
            facts = {"video": video.pk, "job": str(job.pk), "is_new": is_new}
            audit.note("video_requested", topic=topic_of(video), by=by, facts=facts, now=now)
        if is_new:
            Video.objects.filter(pk=video.pk).update(
                asked_at=now, asked_image_count=image_count, asked_frames_revision=frames_revision
            )
            Video.objects.filter(pk=video.pk).exclude(state=Video.State.READY).update(
                state=Video.State.RENDERING, error=""
            )
            video.refresh_from_db()
    return job, is_new


def follow(video: Video) -> bool:
    """Asks for the new end of a film that follows its timelapse; whether nobody was at it. Raises TooFewPictures."""
    rule = "it follows its timelapse, which has new pictures or other flags"
    return request(video, by=audit.CLOCK, priority=MediaJob.Priority.MEDIUM, rule=rule)[1]


def request_again(job: MediaJob, by: str) -> MediaJob:
    """What a person wants who asks for an ended render once more: the film. Raises NotRepeatable."""
    video = Video.objects.filter(pk=job.args["video"]).first()
    if video is None:
        raise NotRepeatable("The film is gone.")
    try:
        return request(video, by=by)[0]
    except TooFewPictures as error:
        raise NotRepeatable(str(error)) from error


def is_given_up(video: Video) -> bool:
    """Whether the film's newest render, or a part that it needed, has ended its workers: people may ask for it anew."""
    ended = MediaJob.objects.ended().filter(task=RENDER, key=_key(video.pk))
    last = ended.order_by("-requested_at").first()
    if last is None or last.state != MediaJob.State.FAILED:
        return last is not None and last.state == MediaJob.State.PARKED
    parts = last.needs.filter(state=MediaJob.State.PARKED)
    return any(lifecycle.parked(part.task, [part.key]) for part in parts)  # unless it went well since


def cancel(video: Video, *, by: str) -> None:
    """Stops the film's active job, if it has one; a film that was published before stays."""
    for job in MediaJob.objects.active().filter(task=RENDER, key=_key(video.pk)):
        if lifecycle.cancel(job, by=by):
            tell(EventType.VIDEO_CANCELLED, video, by=by, job=str(job.pk))
    settle(video.pk)


def create_follower(
    timelapse: Timelapse, recipe: Recipe, *, throttle_s: int = 0, by: str = audit.CLOCK
) -> Video:
    """The film that follows `timelapse`: always ready, renewed after each capture."""
    with transaction.atomic():
        video = Video.objects.create(
            timelapse=timelapse, recipe=recipe, name=timelapse.name, follows=True, throttle_s=throttle_s
        )
        tell(EventType.VIDEO_CREATED, video, by=by)
    return video


def tell(type_: EventType, video: Video, *, by: str, **facts: object) -> None:
    """What somebody did with the film: noted, and told to those who look at it."""
    payload = {"video": video.pk, "timelapse": video.timelapse_id, "name": video.name, "by": by, **facts}
    with transaction.atomic():
        audit.note(type_, topic=topic_of(video), by=by, facts={"video": video.pk, **facts})
        emit(type_, topic_of(video), payload)


def reconcile() -> int:
    """Settles films whose job ended without them: cancelled while it waited, or given up. Returns how many."""
    settled = 0
    for video in Video.objects.filter(state=Video.State.RENDERING).select_related("timelapse"):
        jobs = MediaJob.objects.filter(task=RENDER, key=_key(video.pk))
        if jobs.active().exists():
            continue
        last = jobs.order_by("-requested_at").first()
        if last is not None and last.state in MediaJob.ENDED_BADLY:
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
        emit(EventType.VIDEO_FAILED, topic_of(video), payload)


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


def discard(video: Video, *, by: str) -> None:
    """Removes the film and its files; segments go when nobody has used them for a while. Raises FilmInUse."""
    if MediaJob.objects.active().filter(task=RENDER, key=_key(video.pk)).exists():
        raise FilmInUse
    folder = revisions.folder_of(video)
    with transaction.atomic():
        tell(EventType.VIDEO_DELETED, video, by=by)
        video.delete()
    files.delete_folder(folder)


def topic_of(video: Video) -> str:
    return f"timelapse.{video.timelapse_id}"


def _key(video_id: int) -> str:
    return f"video.{video_id}"
