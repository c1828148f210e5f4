"""Who deletes what films no longer need: segments that nobody has used for a while, revisions that were superseded."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q

from media_jobs import audit, files
from media_jobs.push import FLEET
from videos import revisions
from videos.models import Segment

KEEP_OPEN = timedelta(minutes=10)
KEEP_CLOSED = timedelta(days=7)


def tidy(now: datetime, *, limit: int = 1000) -> int:
    """Deletes superseded revisions, segments whose run has grown since, and those not used for a week.

    Returns how many segments.

    A render that is being planned marks the segments that it counts on as used; one that does so meanwhile keeps
    them, as the deletion asks again.
    """
    revisions.tidy(now)
    unused = Segment.objects.filter(
        Q(is_open=True, used_at__lt=now - KEEP_OPEN) | Q(used_at__lt=now - KEEP_CLOSED)
    )
    doomed = dict(unused.values_list("pk", "file")[:limit])
    gone, _ = unused.filter(pk__in=doomed).delete()
    # The same key again has the same file again.
    still_used = set(Segment.objects.filter(file__in=doomed.values()).values_list("file", flat=True))
    files.delete(*(set(doomed.values()) - still_used))
    if gone:
        rule = "superseded for 10 minutes, or not used for 7 days"
        audit.note(
            "segments_deleted", topic=FLEET, by=audit.CLOCK, rule=rule, facts={"segments": gone}, now=now
        )
    return gone
