"""Why was there no picture at a moment? Or: there was one, and here it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from captures.forecast import HELD_BACK
from captures.intervalometer import Timetable
from captures.models import Capture, Gap, Schedule, Timelapse
from captures.reasons import words_of
from captures.versions import INSTANT
from media_jobs import clock
from media_jobs.models import Decision, Pulse

State = Capture.State
NEAR = timedelta(seconds=30)  # from a slot: beyond that, no picture of it is the answer
DECIDED = timedelta(seconds=60)  # a pause was decided so long after its instant at most
LIVES = timedelta(seconds=10)  # a planner whose pulse is no older
ADVICE = {
    "scheduler_was_down": "Look at the operations page: are beat and planner running?",
    "not_planned_in_time": "Look at the operations page: are planner and database slow?",
    "broker_away": "Look at the operations page: does the broker answer?",
    "not_sent_in_time": "Look at the operations page: was the planner restarted?",
    "no_worker": "Start a capture worker, or more of them; the operations page shows who works.",
    "no_worker_of_the_site": "Start a capture worker in the camera's network; the operations page shows who works.",
    "worker_lost": "Look into the log of the capture worker of that time.",
    "camera_busy": "Take pictures less often, or let fewer cameras share the address.",
    "disk_full": "Make room: delete films or old timelapses, or move the media folder.",
    "timelapse_paused": "Resume the timelapse where pictures are wanted again.",
    "camera_disabled": "Switch the camera on again.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """`kind` is one of picture, pending, discarded, failed, missed, skipped, closed, between, paused, stopped, coming,
    unknown.

    `slot` is the nearest one that was owed; `capture` its row, where it has one.
    """

    kind: str
    slot: datetime | None
    capture: Capture | None
    code: str
    words: str
    advice: str = ""


def why(timelapse: Timelapse, moment: datetime) -> Answer:
    """What became of `moment`, in plain words and local times of the timelapse."""
    now = clock.now()
    if moment > now:
        return _coming(timelapse, moment)
    version = timelapse.schedules.filter(from_at__lte=moment).order_by("from_at", "pk").last()
    if version is None or (version.until_at is not None and version.until_at <= moment):
        return _at_that_instant(timelapse, moment) or _not_running(timelapse, version, moment)
    end = _end_of(version, timelapse)
    if end is not None and end <= moment:
        return _at_that_instant(timelapse, moment) or _stopped(timelapse, end, "")
    slots = _slots_around(version, moment, end)
    slot = min(slots, key=lambda slot: abs(slot - moment), default=None)
    reach = _reach(version.timetable, slots)
    near = slot if slot is not None and abs(slot - moment) <= reach else None
    row = _nearest_row(timelapse, version, moment, min(reach, NEAR))  # by hand, or off the grid, too
    if row is not None and (near is None or abs(row.slot - moment) <= abs(near - moment)):
        return _of_row(timelapse, row)
    if near is not None:
        row = timelapse.captures.filter(slot=near).first()
        if row is None or row.state != State.STORED:
            return _of_row(timelapse, row) if row else _without_row(timelapse, near)
        if abs(near - moment) <= NEAR:
            return _of_row(timelapse, row)
    return _closed(timelapse, version.timetable, slots, moment)


def _end_of(version: Schedule, timelapse: Timelapse) -> datetime | None:
    """Where the version owes nothing any more: no slot and no picture beyond is an answer for it."""
    ends = [end for end in (version.until_at, timelapse.stops_at) if end is not None]
    return min(ends, default=None)


def _slots_around(version: Schedule, moment: datetime, end: datetime | None) -> list[datetime]:
    """The one at or before `moment` and the one after it, where the version has them."""
    timetable = version.timetable
    before = timetable.newest(max(version.from_at, moment - 7 * timedelta(days=1)), moment + INSTANT, 1)
    after = timetable.next_after(moment)
    return [*before, *([after] if after is not None and (end is None or after < end) else [])]


def _reach(timetable: Timetable, slots: list[datetime]) -> timedelta:
    """How far from a slot it is still the one that is meant: half the step there, but not where none is near."""
    shortest = timetable.plan.shortest_interval
    reach = max(shortest / 2, timetable.plan.grace) if shortest else NEAR
    return min(reach, (slots[1] - slots[0]) / 2) if len(slots) == 2 else reach


def _at_that_instant(timelapse: Timelapse, moment: datetime) -> Answer | None:
    """While nothing is owed a picture answers only for its own slot: there is one if somebody asked for it."""
    row = timelapse.captures.stored().filter(slot=moment).first()
    return _of_row(timelapse, row) if row else None


def _nearest_row(
    timelapse: Timelapse, version: Schedule, moment: datetime, reach: timedelta
) -> Capture | None:
    rows = timelapse.captures.filter(slot__gte=max(moment - reach, version.from_at), slot__lte=moment + reach)
    if version.until_at is not None:
        rows = rows.filter(slot__lt=version.until_at)
    sides = (
        rows.filter(slot__lte=moment).order_by("-slot").first(),
        rows.filter(slot__gt=moment).order_by("slot").first(),
    )
    return min((row for row in sides if row), key=lambda row: abs(row.slot - moment), default=None)


def _of_row(timelapse: Timelapse, row: Capture) -> Answer:
    at = _clock(timelapse, row.slot)
    if row.state == State.STORED:
        late = f", {row.lateness_ms} ms late" if (row.lateness_ms or 0) >= 1000 else ""
        return Answer("picture", row.slot, row, "", f"There is a picture: it was taken at {at}{late}.")
    if row.state == State.OWED:
        return Answer("pending", row.slot, row, "", f"The picture of {at} is being taken just now.")
    words = f"The picture of {at} was {row.state}. {row.detail or words_of(row.reason)}"
    advice = _of_quarantine(timelapse, row) if row.state == State.DISCARDED else ADVICE.get(row.reason, "")
    return Answer(row.state, row.slot, row, row.reason, words, advice)


def _of_quarantine(timelapse: Timelapse, row: Capture) -> str:
    if row.quarantine_until is None or row.quarantine_until <= clock.now():
        return "Its time in the quarantine is over."
    until = _day_and_clock(timelapse, row.quarantine_until)
    return f"Look at it, and restore it where it is good: it is kept until {until}."


def _without_row(timelapse: Timelapse, slot: datetime) -> Answer:
    """It was owed and has no row: it lies in a gap, or the scheduler has not come to it."""
    at = _clock(timelapse, slot)
    gap: Gap | None = timelapse.gaps.filter(from_at__lte=slot, until_at__gt=slot).first()
    if gap is not None:
        words = f"The picture of {at} was missed. {words_of(gap.reason)}"
        return Answer("missed", slot, None, gap.reason, words, ADVICE.get(gap.reason, ""))
    if timelapse.next_slot_at is not None and slot >= timelapse.next_slot_at:
        if not timelapse.schedule_error and _may_still_be_planned(timelapse, slot):
            return Answer("pending", slot, None, "", f"The picture of {at} is due just now.")
        reason = "schedule_error" if timelapse.schedule_error else "scheduler_was_down"
        words = f"The scheduler has not come to the picture of {at} yet. {timelapse.schedule_error}".strip()
        return Answer("missed", slot, None, reason, words, ADVICE.get(reason, ""))
    words = f"The picture of {at} was owed, and the ledger has no row for it."
    return Answer("unknown", slot, None, "ledger_fault", words, "Run manage.py check_ledger.")


def _may_still_be_planned(timelapse: Timelapse, slot: datetime) -> bool:
    """Until its grace has passed, and while the planner lives: it comes to it, be it to say that it is too late."""
    now = clock.now()
    return slot + timelapse.grace >= now or Pulse.objects.filter(kind="clock", at__gt=now - LIVES).exists()


def _closed(timelapse: Timelapse, timetable: Timetable, slots: list[datetime], moment: datetime) -> Answer:
    slot = min(slots, key=lambda slot: abs(slot - moment), default=None)
    because = timetable.closed_because(moment)
    if because is None:
        words = f"No picture was owed then: the plan is {timetable.plan.words}.{_around(timelapse, slots)}"
        return Answer("between", slot, None, "nothing_due", words)
    opens = timetable.open_period(moment)
    until = f" It opens again at {_day_and_clock(timelapse, opens[0])}." if opens else ""
    words = f"No picture was owed then. {because.words}{until}"
    return Answer("closed", slot, None, because.code, words, "Change the plan's window or days if it should.")


def _around(timelapse: Timelapse, slots: list[datetime]) -> str:
    """A sentence about the slots that the moment lies between, and whether they were kept."""
    if len(slots) < 2:
        return f" The nearest was at {_day_and_clock(timelapse, slots[0])}." if slots else ""
    rows = timelapse.captures.stored().filter(slot__in=slots)
    kept = ("neither kept", "one of them kept", "both kept")[rows.count()]
    first, second = (_day_and_clock(timelapse, slot) for slot in slots)
    return f" It lies between two slots: the slots around were {first} and {second}, {kept}."


def _not_running(timelapse: Timelapse, before: Schedule | None, moment: datetime) -> Answer:
    after = timelapse.schedules.filter(from_at__gt=moment).order_by("from_at", "pk").first()
    if before is None:
        if after is None:
            return Answer("stopped", None, None, "not_started", "The timelapse has not been started.")
        words = f"The timelapse began at {_day_and_clock(timelapse, after.from_at)}."
        return Answer("stopped", None, None, "not_started", words)
    since = before.until_at or moment
    is_over = after is None and timelapse.state in {Timelapse.State.COMPLETED, Timelapse.State.ARCHIVED}
    by = _by_whom(timelapse, "timelapse_completed" if is_over else "timelapse_paused", moment)
    if is_over:
        return _stopped(timelapse, since, by)
    until = f" until {_day_and_clock(timelapse, after.from_at)}" if after else ", and still is"
    words = f"The timelapse was paused from {_day_and_clock(timelapse, since)}{until}{by}."
    return Answer("paused", None, None, "timelapse_paused", words, ADVICE["timelapse_paused"])


def _stopped(timelapse: Timelapse, end: datetime, by: str) -> Answer:
    words = f"The timelapse ended at {_day_and_clock(timelapse, end)}{by}."
    return Answer("stopped", None, None, "timelapse_ended", words)


def _by_whom(timelapse: Timelapse, action: str, moment: datetime) -> str:
    rows = Decision.objects.filter(topic=timelapse.topic, action=action, at__lte=moment + DECIDED)
    decision = rows.order_by("-at", "-pk").first()
    if decision is None:
        return ""
    return f", by {decision.by}" + (f" ({decision.rule})" if decision.rule else "")


def _coming(timelapse: Timelapse, moment: datetime) -> Answer:
    held_back = HELD_BACK.get(timelapse.state)
    if held_back:
        return Answer("coming", None, None, held_back.code, f"That is still to come. {held_back.words}")
    slot = timelapse.next_slot_at
    next_ = f" The next picture is due at {_day_and_clock(timelapse, slot)}." if slot else ""
    return Answer("coming", slot, None, "", f"That is still to come.{next_}")


def _clock(timelapse: Timelapse, moment: datetime) -> str:
    return f"{moment.astimezone(timelapse.zone):%H:%M:%S}"


def _day_and_clock(timelapse: Timelapse, moment: datetime) -> str:
    return f"{moment.astimezone(timelapse.zone):%H:%M:%S on %-d %B}"
