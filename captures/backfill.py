"""Thumbnails that a person asks for: of one picture at once, of many by one job that gives way to everything else."""

from __future__ import annotations

from django.db import transaction

from captures.models import Capture, Timelapse
from captures.stretches import STORED, count
from media_jobs import audit, lifecycle
from media_jobs.models import MediaJob

ONE, MANY = "captures.make_thumbnails", "captures.make_many_thumbnails"
TITLE = "Thumbnails"
EVERYTHING = "storage"  # the topic of what concerns no single timelapse


def topic_of(timelapse: Timelapse | None) -> str:
    return timelapse.topic if timelapse else EVERYTHING


def request_thumbnail(capture: Capture, *, by: str) -> tuple[MediaJob, bool]:
    """The thumbnail and the small of one stored picture, now. Returns the job, and whether it is new.

    Raises TooManyWaiting.
    """
    return lifecycle.record(
        ONE,
        key=f"capture.{capture.pk}",
        topic=capture.timelapse.topic,
        title=TITLE,
        args={"capture": capture.pk},
        requested_by=by,
        priority=MediaJob.Priority.HIGH,
        unit="pictures",
    )


def request_thumbnails(timelapse: Timelapse | None, *, by: str, again: bool = False) -> tuple[MediaJob, bool]:
    """Those of a timelapse, or of all, that are missing, or all of them `again`; newest first, by one job.

    Returns the job, and whether it is new. Raises TooManyWaiting.
    """
    scope = timelapse.pk if timelapse else None
    whose = f"of “{timelapse.name}”" if timelapse else "of all timelapses"
    with transaction.atomic():
        job, is_new = lifecycle.record(
            MANY,
            key=f"{topic_of(timelapse)}{'.again' if again else ''}",
            topic=topic_of(timelapse),
            title=f"{'All' if again else 'Missing'} thumbnails {whose}"[:200],
            args={"timelapse": scope, "again": again},
            requested_by=by,
            priority=MediaJob.Priority.LOW,
            total=count(scope, STORED),
            unit="pictures",
        )
        if is_new:
            facts = {"again": again, "pictures": job.progress_total}
            audit.note("thumbnails_requested", topic=topic_of(timelapse), by=by, facts=facts)
    return job, is_new
