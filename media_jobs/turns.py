"""Fair turns: within a priority the topics of a queue take turns, so that a crowd of one delays nobody else.

Start-time fair queueing (Goyal, Vin, Cheng 1996) with pieces of equal length: a new job's turn is the lowest that is
due in its line, or the one behind its topic's last. Within a topic first come is first served.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Max, Min

from media_jobs.models import MediaJob


class Turns:
    """Gives out turns in one line (a queue's priority), knowing what waits in it now."""

    def __init__(self, queue: str, priority: int, topics: Iterable[str], now: datetime) -> None:
        line = MediaJob.objects.filter(queue=queue, priority=priority, state=MediaJob.State.QUEUED)
        self._lowest: int = line.filter(run_after__lte=now).aggregate(lowest=Min("turn"))["lowest"] or 0
        of_topics = line.filter(topic__in=set(topics)).values_list("topic").annotate(last=Max("turn"))
        self._last: dict[str, int] = dict(of_topics.order_by())

    def next(self, topic: str) -> int:
        """The turn of one more job of `topic`."""
        last = self._last.get(topic)
        turn = self._lowest if last is None else max(self._lowest, last + 1)
        self._last[topic] = turn
        return turn
