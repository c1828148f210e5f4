"""Who deletes what films no longer need: segments that nobody has used for a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q

from media_jobs import files
from videos.models import Segment

KEEP_OPEN = timedelta(minutes=10)
KEEP_CLOSED = timedelta(days=7)


def tidy(now: datetime, *, limit: int = 1000) -> int:
    """Deletes segments whose run has grown since, and those not used for a week. Returns how many.

    A render that is being planned marks the segments that it counts on as used.
    """
    unused = Segment.objects.filter(
        Q(is_open=True, used_at__lt=now - KEEP_OPEN) | Q(used_at__lt=now - KEEP_CLOSED)
    )
    doomed = list(unused.values_list("pk", "file")[:limit])
    Segment.objects.filter(pk__in=[pk for pk, _ in doomed]).delete()
    files.delete(*(file for _, file in doomed))
    return len(doomed)
