"""Thumbnails that a person asks for: of one picture, or of a whole timelapse when there is nothing better to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from django.db import transaction

from captures.models import Capture, Timelapse
from media_jobs import audit, lifecycle
from media_jobs.lifecycle import Wish
from media_jobs.models import MediaJob

TASK = "captures.make_thumbnails"
TITLE = "Thumbnails"
MOST_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of the wish for many: jobs that are new, that waited already, and pictures left for another time."""

    asked: int
    waiting: int
    left: int


def request_thumbnail(capture: Capture, *, by: str) -> tuple[MediaJob, bool]:
    """The thumbnail and the small of one stored picture, now. Returns the job, and whether it is new.

    Raises TooManyWaiting.
    """
    return lifecycle.record(
        TASK,
        key=_key(capture.pk),
        topic=capture.timelapse.topic,
        title=TITLE,
        args={"capture": capture.pk},
        requested_by=by,
        priority=MediaJob.Priority.HIGH,
        unit="pictures",
    )


def request_thumbnails(timelapse: Timelapse, *, by: str, again: bool = False) -> Asked:
    """The thumbnails of a timelapse that are missing, or all of them `again`, newest first, as backfill.

    What there is no room for is left: it is found when somebody asks once more.
    """
    wanted = Capture.objects.stored().filter(timelapse=timelapse)
    if not again:
        wanted = wanted.filter(thumbnail="")
    count = wanted.count()
    pks = wanted.order_by("-slot").values_list("pk", flat=True)[:MOST_AT_ONCE]
    wishes = [Wish(_key(pk), timelapse.topic, TITLE, {"capture": pk}) for pk in pks]
    with transaction.atomic():
        recorded = lifecycle.record_many(
            TASK, wishes, requested_by=by, priority=MediaJob.Priority.LOW, unit="pictures"
        )
        found = len(recorded.jobs)
        asked = Asked(asked=recorded.new, waiting=found - recorded.new, left=max(0, count - found))
        audit.note(
            "thumbnails_requested", topic=timelapse.topic, by=by, facts=asdict(asked) | {"again": again}
        )
    return asked


def _key(capture_id: int) -> str:
    return f"capture.{capture_id}"
