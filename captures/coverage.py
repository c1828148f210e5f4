"""How the promise was kept: counts with reasons, and what would contradict the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, F, IntegerField, Q, Sum
from django.db.models.functions import Coalesce

from cameras.models import Camera
from captures.models import NOT_CALCULATED, Capture, Timelapse

State = Capture.State


@dataclass(frozen=True, slots=True)
class Coverage:
    """How a stretch of time was kept: the states add up to `owed_total`."""

    owed_total: int = 0
    stored: int = 0
    discarded: int = 0
    failed: int = 0
    missed: int = 0
    skipped: int = 0
    pending: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def wanted(self) -> int:
        """What was wanted by now: neither pending nor skipped on purpose."""
        return self.stored + self.discarded + self.failed + self.missed

    @property
    def ratio(self) -> float:
        """Stored of what was wanted by now, in [0, 1]; 1 where nothing was."""
        return self.stored / self.wanted if self.wanted else 1.0


def coverage(timelapse: Timelapse, start: datetime, end: datetime) -> Coverage:
    """How the slots in [start, end) were kept, gaps that are not written yet included."""
    rows = timelapse.captures.filter(slot__gte=start, slot__lt=end)
    states: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for state, reason, count in rows.values_list("state", "reason").annotate(count=Count("id")).order_by():
        states[state] += count
        if reason and state != State.OWED:  # there it is a note
            reasons[reason] += count
    for gap in timelapse.gaps.filter(from_at__lt=end, until_at__gt=start).select_related("schedule"):
        count = gap.count(start, end)
        states[State.MISSED] += count
        reasons[gap.reason] += count
    return Coverage(
        owed_total=sum(states.values()),
        stored=states[State.STORED],
        discarded=states[State.DISCARDED],
        failed=states[State.FAILED],
        missed=states[State.MISSED],
        skipped=states[State.SKIPPED],
        pending=states[State.OWED],
        reasons=dict(reasons.most_common()),
    )


def faults(timelapse: Timelapse, now: datetime) -> Iterable[str]:
    """What contradicts the promise "every slot that was owed has a row": nothing, if all is well."""
    owed = timelapse.captures.filter(origin=Capture.Origin.GRID)
    for schedule in timelapse.schedules.all():
        end = schedule.until_at or timelapse.next_slot_at or _end_of_all(timelapse, now)
        gaps = timelapse.gaps.filter(schedule=schedule)
        try:
            expected = schedule.timetable.count(schedule.from_at, end)
            in_gaps = sum(schedule.timetable.count(gap.from_at, gap.until_at) for gap in gaps)
        except NOT_CALCULATED as error:
            yield f"from {schedule.from_at:%Y-%m-%d %H:%M:%S}: the timetable cannot be calculated ({error!r})"
            for gap in gaps:
                yield f"{gap}: nobody knows its slots"
            continue
        rows = owed.filter(slot__gte=schedule.from_at, slot__lt=end).count()
        if rows + in_gaps != expected:
            yield f"{schedule}: {expected} slots were owed, {rows} have rows, {in_gaps} are in gaps"
    counted = timelapse.captures.aggregate(
        stored=Count("pk", filter=Q(state=State.STORED)),
        discarded=Count("pk", filter=Q(state=State.DISCARDED)),
        flagged=Count("pk", filter=Q(state=State.STORED, is_flagged=True)),
    )
    for word, counter in (
        ("stored", timelapse.image_count),
        ("discarded", timelapse.discarded_count),
        ("flagged", timelapse.flagged_count),
    ):
        if counted[word] != counter:
            yield f"{counted[word]} captures are {word}, the counter says {counter}"
    forgotten = timelapse.captures.owed().filter(give_up_at__lt=now - timedelta(minutes=5)).count()
    if forgotten:
        yield f"{forgotten} captures are owed though their grace passed long ago"


def faults_of_cameras() -> Iterable[str]:
    """Which cameras' counters are not the sum of their timelapses': none, if all is well."""
    counted = Coalesce(Sum("timelapses__image_count"), 0, output_field=IntegerField())
    wrong = Camera.objects.annotate(counted=counted).exclude(image_count=F("counted")).order_by("pk")
    for camera in wrong:
        yield (
            f"camera {camera.pk} “{camera.name}”: its timelapses have {camera.counted} pictures,"
            f" its counter says {camera.image_count}"
        )


def _end_of_all(timelapse: Timelapse, now: datetime) -> datetime:
    """Where the version in force owes nothing further: all that it owes lies before, at most a tick ahead."""
    soon = now + timedelta(days=1)
    return min(timelapse.stops_at or soon, soon)
