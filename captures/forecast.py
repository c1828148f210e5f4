"""What a timelapse will take next, what it will leave out and why, and what that comes to. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median

from captures.intervalometer import Coming, LeftOut, Reason, Timetable
from captures.intervalometer.timetable import LOOK_AHEAD
from captures.models import Capture, Timelapse
from captures.versions import INSTANT, timetable_of
from media_jobs import clock

WEIGHED = 50  # so many of the camera's newest pictures say what one weighs
WEEK = timedelta(days=7)
YEAR = timedelta(days=365)
FEW = 7  # fewer slots in a week say little about a day: those of a year do
COUNTED_AHEAD = timedelta(days=366)  # counted exactly; what lies beyond is taken to be alike
HELD_BACK: dict[str, Reason] = {
    Timelapse.State.PAUSED: Reason("timelapse_paused", "The timelapse is paused."),
    Timelapse.State.COMPLETED: Reason("timelapse_ended", "The timelapse is completed."),
    Timelapse.State.ARCHIVED: Reason("timelapse_ended", "The timelapse is archived."),
}
CAMERA_OFF = Reason("camera_disabled", "The camera is switched off here.")
BEFORE_START = Reason("before_start", "The timelapse has not started by then.")
AFTER_END = Reason("after_end", "The timelapse has ended by then.")
ENOUGH = Reason("enough_captures", "It has all its pictures by then, if none before fails.")


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the plan comes to if all goes well; None where it has no end, or no picture tells what one weighs."""

    per_day: float
    until_end: int | None
    bytes_per_day: int | None
    bytes_until_end: int | None
    ends_at: datetime | None


def forecast(
    timelapse: Timelapse, *, limit: int = 10, start: datetime | None = None
) -> list[Coming | LeftOut]:
    """The next `limit` slots of the plan from `start` (now) on, each coming or left out with its reason, in order.

    The timelapse may be unsaved, or have unsaved changes: it is then as if it were started, or changed, at `start`.
    Slots that its rules name outside of their windows are left out in stretches and do not count for the limit.
    Raises PlanRefused.
    """
    now = start or clock.now()
    begin = _first_moment(timelapse, now)
    timetable = _timetable(timelapse, now)
    end = timelapse.end_after(begin)
    left = _left(timelapse)
    held_back = HELD_BACK.get(timelapse.state) or (None if timelapse.camera.is_enabled else CAMERA_OFF)
    lines: list[Coming | LeftOut] = []
    before = timetable.count(now, begin) if begin > now else 0
    if before:
        lines.append(LeftOut(now, begin, before, BEFORE_START, ""))
    for line in timetable.forecast(begin, limit=limit):
        if isinstance(line, LeftOut):
            if end is None or line.from_at < end:
                lines.append(line)
            continue
        reason = AFTER_END if end is not None and line.at >= end else held_back
        if reason is None and left is not None:
            reason = ENOUGH if left <= 0 else None
            left -= 1
        lines.append(line if reason is None else LeftOut(line.at, line.at + INSTANT, 1, reason, line.rule))
    return _joined(lines)


def expectation(timelapse: Timelapse, now: datetime | None = None) -> Expectation:
    """How many pictures, and how many bytes, a day and until the end. Raises PlanRefused.

    `per_day` is the mean from the first coming slot on, however far ahead that is: of the week that begins with it, or
    of the year where that week has few.
    """
    now = now or clock.now()
    begin = _first_moment(timelapse, now)
    timetable = _timetable(timelapse, now)
    end, left = timelapse.end_after(begin), _left(timelapse)
    until_end = None if end is None else _count(timetable, begin, end)
    if left is not None and (until_end is None or left <= until_end):
        until_end = max(0, left)
        end = _instant_of(timetable, begin, until_end)
    per_day = _per_day(timetable, begin)
    each = _weight(timelapse.camera_id)
    return Expectation(
        per_day=per_day,
        until_end=until_end,
        bytes_per_day=None if each is None else round(each * per_day),
        bytes_until_end=None if each is None or until_end is None else round(each * until_end),
        ends_at=end,
    )


def _per_day(timetable: Timetable, begin: datetime) -> float:
    first = timetable.first_from(begin)
    if first is None:
        return 0.0
    in_week = timetable.about(first, first + WEEK)
    return in_week / WEEK.days if in_week >= FEW else timetable.about(first, first + YEAR) / YEAR.days


def _first_moment(timelapse: Timelapse, now: datetime) -> datetime:
    return max(now, timelapse.start_at) if timelapse.start_at else now


def _timetable(timelapse: Timelapse, now: datetime) -> Timetable:
    """The version in force where it still is what the timelapse asks for, else the one that would be."""
    wanted = timetable_of(timelapse, now)
    if timelapse.state == Timelapse.State.RUNNING:
        schedule = timelapse.schedules.filter(until_at__isnull=True).first()
        in_force = schedule and schedule.timetable
        if in_force and (in_force.plan, in_force.zone, in_force.place) == (
            wanted.plan,
            wanted.zone,
            wanted.place,
        ):
            return in_force
    return wanted


def _left(timelapse: Timelapse) -> int | None:
    """How many pictures it may still ask for; None without a limit."""
    if timelapse.stop_after_captures is None:
        return None
    pending = timelapse.captures.owed().count() if timelapse.pk else 0
    return timelapse.stop_after_captures - timelapse.image_count - pending


def _joined(lines: Iterable[Coming | LeftOut]) -> list[Coming | LeftOut]:
    """Neighbours that are left out for the same reason of the timelapse are one stretch."""
    joined: list[Coming | LeftOut] = []
    for line in lines:
        last = joined[-1] if joined else None
        if isinstance(line, LeftOut) and isinstance(last, LeftOut) and line.reason == last.reason:
            rule = last.rule if last.rule == line.rule else ""
            until_at = max(last.until_at, line.until_at)
            joined[-1] = replace(last, until_at=until_at, count=last.count + line.count, rule=rule)
        else:
            joined.append(line)
    return joined


def _count(timetable: Timetable, start: datetime, end: datetime) -> int:
    counted = min(end, start + COUNTED_AHEAD)
    if counted <= start:
        return 0
    count = timetable.about(start, counted)
    return count if counted == end else round(count * ((end - start) / COUNTED_AHEAD))


def _instant_of(timetable: Timetable, start: datetime, number: int) -> datetime | None:
    """When the `number`-th slot from `start` on comes (the first is 1); None where it comes too late to be known."""
    if number < 1:
        return start
    width, from_at = timedelta(days=1), start
    while (count := timetable.about(from_at, from_at + width)) < number:
        number -= count
        from_at += width
        width *= 2
        if from_at + width > start + LOOK_AHEAD:
            return None
    while count > 1 and width > timedelta(seconds=1):
        width /= 2
        count = timetable.about(from_at, from_at + width)
        if count < number:
            number -= count
            from_at += width
            count = timetable.about(from_at, from_at + width)
    slot = timetable.first_from(from_at)
    for _ in range(min(number, count) - 1):  # fewer where `about` was not exact
        slot = slot and timetable.next_after(slot)
    return slot


def _weight(camera_id: int) -> float | None:
    """What a picture of the camera weighs, in bytes: the median of its newest ones."""
    newest = Timelapse.objects.filter(camera=camera_id, latest_capture__isnull=False)
    timelapse = newest.order_by("-latest_capture__slot").values_list("pk", flat=True).first()
    if timelapse is None:
        return None
    stored = Capture.objects.stored().filter(timelapse=timelapse).order_by("-slot")
    sizes = list(stored.values_list("bytes", flat=True)[:WEIGHED])
    return median(sizes) if sizes else None
