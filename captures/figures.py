"""How many pictures have their thumbnails and smalls, how large all of it is, and how long the making takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Q, Sum

from captures.models import Capture, Timelapse
from media_jobs.models import MediaJob

ONE, MANY = "captures.make_thumbnails", "captures.make_many_thumbnails"
KEPT_S = 15  # the counts of a million rows take some tenths of a second: a page that is looked at asks again and again
LATEST_JOBS = 200


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one timelapse, or of all. `average_ms` is that of the last pictures; None where none was made lately."""

    pictures: int = 0
    thumbnails: int = 0
    smalls: int = 0
    frame_bytes: int = 0
    thumbnail_bytes: int = 0
    small_bytes: int = 0
    average_ms: float | None = None

    @property
    def coverage(self) -> float:
        """Pictures that have their thumbnail, in [0, 1]; 1 where there are none."""
        return self.thumbnails / self.pictures if self.pictures else 1.0

    @property
    def derived_bytes(self) -> int:
        return self.thumbnail_bytes + self.small_bytes


_SUMS: dict[str, Any] = {
    "pictures": Count("pk"),
    "thumbnails": Count("pk", filter=~Q(thumbnail="")),
    "smalls": Count("pk", filter=~Q(small="")),
    "frame_bytes": Sum("bytes"),
    "thumbnail_bytes": Sum("thumbnail_bytes"),
    "small_bytes": Sum("small_bytes"),
}


def figures(timelapse: Timelapse | None = None) -> Figures:
    """What the rows say; at most KEPT_S old. Two queries, or none."""
    scope = timelapse.pk if timelapse else 0
    found: Figures | None = cache.get(f"figures.{scope}")
    if found is None:
        found = _counted(timelapse)
        cache.set(f"figures.{scope}", found, KEPT_S)
    return found


def by_timelapse(timelapses: list[Timelapse]) -> dict[int, Figures]:
    """The same for several, in one query, without the time that it takes."""
    rows = Capture.objects.stored().filter(timelapse__in=[row.pk for row in timelapses])
    counted: Any = rows.values("timelapse").annotate(**_SUMS).order_by()
    return {sums["timelapse"]: _of(sums) for sums in counted}


def _counted(timelapse: Timelapse | None) -> Figures:
    rows = Capture.objects.stored()
    sums = (rows.filter(timelapse=timelapse) if timelapse else rows).aggregate(**_SUMS)
    return _of(sums, _average_ms(timelapse))


def _of(sums: dict[str, Any], average_ms: float | None = None) -> Figures:
    return Figures(**{name: sums[name] or 0 for name in _SUMS}, average_ms=average_ms)


def _average_ms(timelapse: Timelapse | None) -> float | None:
    """Of the last pictures that were made one by one; else of the last time that all were made."""
    jobs = MediaJob.objects.filter(state=MediaJob.State.DONE).order_by("-requested_at")
    if timelapse is not None:
        jobs = jobs.filter(topic=timelapse.topic)
    results = jobs.filter(task=ONE).values_list("result", flat=True)[:LATEST_JOBS]
    times = [result["elapsed_ms"] for result in results if "elapsed_ms" in result]
    if times:
        return float(round(sum(times) / len(times), 1))
    last = jobs.filter(task=MANY).values_list("result", flat=True).first()
    average = (last or {}).get("average_ms")
    return None if average is None else float(average)
