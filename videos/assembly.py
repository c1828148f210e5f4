"""How a film is made: plan, encode what is missing, join, publish.

A render is one job that may wait. Each time it is claimed it looks which segments exist; for those that do not it
records one job each and waits; when none is missing it joins and publishes. So a lost worker, a lost message or a
second wish for the same segment change nothing but the time it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from captures.models import Capture
from media_jobs import clock, files, lifecycle
from media_jobs.events import EventType, emit
from media_jobs.exceptions import JobError, StorageFull, WaitForOthers, WorkCancelled, WorkFailed
from media_jobs.models import MediaJob
from media_jobs.tracked import Running
from videos import looks, revisions, selection
from videos.encoding.errors import DiskFull, EncodingCancelled, EncodingError, NoFrames
from videos.encoding.join import FilmFacts, join_segments
from videos.encoding.keys import encoder_build, segment_key
from videos.encoding.look import Look
from videos.encoding.poster import make_poster
from videos.encoding.segments import encode_segment
from videos.models import Segment, Video
from videos.rendering import note_failure, settle
from videos.selection import Cut, Frame

ENCODE = "videos.encode_segment"
SECONDS_PER_FRAME = 20  # the hard limit; a 4K frame of the slowest preset takes a tenth


def render(running: Running) -> dict[str, Any]:
    """One claim of a film's job: waits for the segments that are missing, or joins and publishes."""
    video = Video.objects.select_related("timelapse", "recipe").filter(pk=running.args["video"]).first()
    if video is None:
        raise WorkFailed("The film is gone.", code="not_found")
    try:
        return _render(running, video)
    except WorkFailed as error:
        if lifecycle.is_asked_to_stop(running.job):
            settle(video.pk)  # it may have been asked for anew
        elif not error.is_passing or running.is_last_try:
            note_failure(video, str(error))
        raise
    except WorkCancelled:
        settle(video.pk)
        raise


def _render(running: Running, video: Video) -> dict[str, Any]:
    # A part that was cancelled (with another film that wanted it) is simply asked for again.
    broken = running.job.needs.filter(state__in=MediaJob.ENDED_BADLY).first()
    if broken is not None:
        raise WorkFailed(f"A part of the film could not be made: {broken.error}", code="segment")
    until = running.job.result.get("until")
    frames = selection.select(video, until=datetime.fromisoformat(until) if until else None)
    if not frames:
        raise WorkFailed("There is no picture that could be in this film.", code="no_frames")
    if until is None:
        # The film of this wish ends here: pictures that come while it is made belong to the next one.
        lifecycle.remember(running.job, until=frames[-1].slot.isoformat())
    Video.objects.filter(pk=video.pk).exclude(state=Video.State.READY).update(
        state=Video.State.RENDERING, error=""
    )
    look = looks.look_of(video, frames[0])
    cuts = selection.cut(
        frames,
        selection.stretches_of(video.timelapse),
        look,
        encoder_build(),
        length=settings.SEGMENT_FRAMES,
    )
    # Marked first: what is found afterwards stays while the film needs it. A run that was the last one when it was
    # encoded is closed by the one behind it.
    keys, now = [cut.key for cut in cuts], clock.now()
    Segment.objects.filter(key__in=keys[:-1]).update(used_at=now, is_open=False)
    Segment.objects.filter(key=keys[-1]).update(used_at=now, is_open=True)
    ready = {segment.key: segment for segment in Segment.objects.filter(key__in=keys)}
    missing = [cut for cut in cuts if cut.key not in ready]
    if missing:
        present = len(frames) - sum(len(cut.frames) for cut in missing)
        lifecycle.remember(running.job, had=present)
        if not lifecycle.renew(running.job, done=present, total=len(frames)):
            raise WorkCancelled
        raise WaitForOthers(_ask_for_segments(running.job, video, look, missing))
    return _join(running, video, look, cuts, [ready[cut.key] for cut in cuts])


def _ask_for_segments(render_job: MediaJob, video: Video, look: Look, cuts: Sequence[Cut]) -> list[MediaJob]:
    wishes = [
        lifecycle.Wish(
            key=cut.key,
            topic=render_job.topic,
            title=f"Segment of “{video.name}”",
            args={
                "timelapse": video.timelapse_id,
                "look": looks.as_values(look),
                "captures": [frame.capture_id for frame in cut.frames],
                "is_open": cut.is_open,
                "build": encoder_build(),
            },
            total=len(cut.frames),
        )
        for cut in cuts
    ]
    recorded = lifecycle.record_many(
        ENCODE, wishes, requested_by=render_job.requested_by, priority=render_job.priority
    )
    return [*recorded.jobs, *recorded.parked]  # one that was given up has ended: the film then says so


def encode(running: Running) -> dict[str, Any]:
    """Encodes one segment, unless it has been made meanwhile."""
    args, key = running.args, running.job.key
    if Segment.objects.filter(key=key).exists():
        return {"reused": True}
    if args["build"] != encoder_build():
        # Its segment would not join with the others; a worker like the one that planned may have it.
        raise WorkFailed(
            f"This worker's encoder ({encoder_build()}) is not the planner's ({args['build']}): "
            "install the same release on all machines.",
            code="encoder_differs",
            is_passing=True,
        )
    look = looks.from_values(args["look"])
    captures = {capture.pk: capture for capture in Capture.objects.filter(pk__in=args["captures"])}
    wanted = [captures[pk] for pk in args["captures"] if pk in captures]
    if segment_key((capture.checksum for capture in wanted), look, encoder_build()) != key:
        return {"stale": True}  # a frame was changed or taken out: whoever waits will plan anew
    files.require_space()
    name = f"{_root(wanted[0])}/segments/{key[:2]}/{key}.mp4"
    with files.workshop() as folder:
        out = folder / "segment.mp4"
        try:
            facts = encode_segment(
                [_reader(capture.file) for capture in wanted],
                look,
                out,
                on_progress=running.progress,
                should_stop=running.should_stop,
                time_limit_s=60 + SECONDS_PER_FRAME * len(wanted),
                threads=settings.ENCODER_THREADS,
            )
        except NoFrames:
            return _keep_segment(args, key, "", 0, [capture.pk for capture in wanted], 0)
        except EncodingError as error:
            raise _as_job_error(error) from error
        if not lifecycle.renew(running.job, done=len(wanted), total=len(wanted)):
            raise WorkCancelled
        files.adopt(out, name)
    omitted = [wanted[position].pk for position in facts.omitted]
    try:
        return _keep_segment(args, key, name, facts.frame_count, omitted, facts.bytes)
    except IntegrityError as error:
        files.delete(name)  # the timelapse went while it was encoded
        raise WorkCancelled from error


def _keep_segment(
    args: dict[str, Any], key: str, name: str, frame_count: int, omitted: list[int], size: int
) -> dict[str, Any]:
    now = clock.now()
    Segment.objects.get_or_create(
        key=key,
        defaults={
            "timelapse_id": args["timelapse"],
            "file": name,
            "frame_count": frame_count,
            "omitted": omitted,
            "bytes": size,
            "is_open": args["is_open"],
            "created_at": now,
            "used_at": now,
        },
    )
    return {"frames": frame_count, "omitted": omitted, "bytes": size}


def _join(
    running: Running, video: Video, look: Look, cuts: Sequence[Cut], segments: Sequence[Segment]
) -> dict[str, Any]:
    parts = [segment for segment in segments if segment.frame_count]
    if not parts:
        raise WorkFailed("None of the pictures could be read.", code="no_frames")
    files.require_space()
    with files.workshop() as folder:
        film = folder / "film.mp4"
        try:
            names = [segment.file for segment in parts]
            with files.local_copies(names, folder, should_stop=running.should_stop) as paths:
                facts = join_segments(paths, look, film, should_stop=running.should_stop)
            picture = make_poster(_poster_candidates(cuts), look)
        except EncodingError as error:
            _forget_lost(parts)
            raise _as_job_error(error) from error
        except OSError as error:
            _forget_lost(parts)
            raise WorkFailed(
                f"A segment's file is missing: {error.strerror}.", code="segment_missing", is_passing=True
            ) from error
        if not lifecycle.renew(running.job, done=facts.frame_count, total=facts.frame_count):
            raise WorkCancelled
        omitted = sum(len(segment.omitted) for segment in segments)
        revision = revisions.take_number(video)
        name, poster = (revisions.revision_file(video, revision, suffix) for suffix in ("mp4", "jpg"))
        try:
            files.adopt(film, name)
            files.write(poster, picture.data)
            _publish(running.job, video, revision, name, poster, facts, omitted)
        except JobError:
            files.delete(name, poster)
            raise
    revisions.delete_others(video)
    return {"video": video.pk, "revision": revision, "frames": facts.frame_count, "omitted": omitted}


def _publish(
    job: MediaJob,
    video: Video,
    revision: int,
    name: str,
    poster: str,
    facts: FilmFacts,
    omitted: int,
) -> None:
    now = clock.now()
    superseded = revisions.with_current(video, now)
    with transaction.atomic():
        # Held, so that a cancel comes either before and wins, or after the film is there.
        won = lifecycle.hold(job) and Video.objects.filter(pk=video.pk, revision=video.revision).update(
            state=Video.State.READY,
            error="",
            revision=revision,
            file=name,
            poster=poster,
            superseded=superseded,
            bytes=facts.bytes,
            frame_count=facts.frame_count,
            omitted_count=omitted,
            duration_s=float(facts.duration),
            width=facts.width,
            height=facts.height,
            rendered_at=now,
        )
        if not won:
            raise WorkCancelled
        emit(
            EventType.VIDEO_READY,
            f"timelapse.{video.timelapse_id}",
            {
                "video": video.pk,
                "timelapse": video.timelapse_id,
                "revision": revision,
                "frame_count": facts.frame_count,
                "duration_s": float(facts.duration),
                "bytes": facts.bytes,
            },
            now=now,
        )
    video.revision, video.superseded = revision, superseded


def _forget_lost(segments: Sequence[Segment]) -> None:
    """Segments whose files are gone, or are not what was written, are encoded again."""
    lost = [segment.pk for segment in segments if files.size(segment.file) != segment.bytes]
    Segment.objects.filter(pk__in=lost).delete()


def _as_job_error(error: EncodingError) -> WorkCancelled | StorageFull | WorkFailed:
    if isinstance(error, EncodingCancelled):
        return WorkCancelled()
    if isinstance(error, DiskFull):
        return StorageFull()
    return WorkFailed(str(error), code="encoding", is_passing=True)


def _poster_candidates(cuts: Sequence[Cut]) -> list[Any]:
    newest: list[Frame] = [frame for cut in cuts[-2:] for frame in cut.frames][-5:]
    names = dict(
        Capture.objects.filter(pk__in=[frame.capture_id for frame in newest]).values_list("pk", "file")
    )
    return [_reader(names[frame.capture_id]) for frame in reversed(newest) if frame.capture_id in names]


def _reader(name: str) -> Any:
    return lambda: files.read(name)


def _root(capture: Capture) -> str:
    return str(Path(capture.file).parents[2])
