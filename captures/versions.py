"""The timetable in force: closed and opened anew where something moves its slots, so that the past stays true."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from django.db import transaction
from django.db.models import QuerySet

from cameras import places
from captures.exceptions import PlanRefused
from captures.intervalometer import LOOK_AHEAD, Place, PlanError, Timetable
from captures.models import KNOWN_TIMETABLES, Capture, Gap, Schedule, Timelapse
from media_jobs import audit, correlation
from media_jobs.events import EventType, announce_after_commit, drafted
from media_jobs.models import Decision, Event

INSTANT = timedelta(microseconds=1)  # the least step of the database's clock
LOOK = timedelta(
    days=8
)  # for the next slot while others wait; the sweep, which has time, finds what comes later
NEVER = "This plan never owes a picture from now on: its rules, windows and days do not meet."


def timetable_of(timelapse: Timelapse, now: datetime) -> Timetable:
    """The timetable that the timelapse's settings and its camera's place ask for. Raises PlanRefused.

    A camera without a place of its own stands where the global settings say. The anchors depend on the camera and on
    the first day alone: a pause or another window does not move the grid.
    """
    start = timelapse.started_at or max(now, timelapse.start_at or now)
    try:
        plan = timelapse.plan_value
        spot = places.spot_of(timelapse.camera) if plan.needs_place else None
        return Timetable.of(
            plan,
            zone=timelapse.time_zone,
            place=None if spot is None else Place(spot.latitude, spot.longitude),
            seed=f"camera {timelapse.camera_id}",
            start=start,
        )
    except PlanError as error:
        raise PlanRefused(error.problems) from error


def checked_timetable(timelapse: Timelapse, now: datetime) -> Timetable:
    """As `timetable_of`, for what is to be saved. Raises PlanRefused also where it would never owe a picture again."""
    timetable = timetable_of(timelapse, now)
    if _far_slot(timetable, _minute(max(now, timelapse.start_at or now))) is None:
        raise PlanRefused({"": NEVER})
    return timetable


def next_slot(
    timelapse: Timelapse, timetable: Timetable, *, at_or_after: datetime, within: timedelta = LOOK_AHEAD
) -> datetime | None:
    """The first slot from there on, or None where the end comes before it, or where there is none `within`."""
    earliest = max(at_or_after, timelapse.start_at) if timelapse.start_at else at_or_after
    slot, end = timetable.first_from(earliest, within), timelapse.stops_at
    return None if slot is None or (end is not None and slot >= end) else slot


@lru_cache(maxsize=KNOWN_TIMETABLES)
def _far_slot(timetable: Timetable, earliest: datetime) -> datetime | None:
    """Found, or found to come never, once."""
    return timetable.first_from(earliest)


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def find_far_slots() -> int:
    """Where pictures are owed again, of running timelapses whose planner saw none within its look. Returns how many.

    Looked for without a lock, because it may take long; what was changed meanwhile has its slot from that change.
    """
    found = 0
    for timelapse in Timelapse.objects.running().filter(next_slot_at__isnull=True, schedule_error=""):
        schedule = timelapse.schedules.filter(until_at__isnull=True).first()
        if schedule is None or timelapse.is_full:
            continue
        slot, end = _far_slot(schedule.timetable, _ledger_end(timelapse, schedule)), timelapse.stops_at
        if slot is None or (end is not None and slot >= end):
            continue
        with transaction.atomic():
            rows = Timelapse.objects.running().select_for_update(no_key=True)
            locked = rows.filter(pk=timelapse.pk, next_slot_at__isnull=True).first()
            if locked and locked.schedules.filter(pk=schedule.pk, until_at__isnull=True).exists():
                found += Timelapse.objects.filter(pk=locked.pk).update(next_slot_at=slot)
    return found


def _ledger_end(timelapse: Timelapse, schedule: Schedule) -> datetime:
    """Up to where every slot has its row or lies in a gap, of one whose `next_slot_at` does not say it."""
    rows = timelapse.captures.filter(origin=Capture.Origin.GRID, slot__gte=schedule.from_at).order_by("-slot")
    last = rows.values_list("slot", flat=True).first()
    gap = timelapse.gaps.filter(schedule=schedule).order_by("-until_at").values_list("until_at", flat=True)
    return max(
        schedule.from_at,
        timelapse.start_at or schedule.from_at,
        last + INSTANT if last else schedule.from_at,
        *gap[:1],
    )


def open_version(timelapse: Timelapse, now: datetime) -> None:
    """From now on the timetable of today's settings is in force. Raises PlanRefused."""
    timetable = checked_timetable(timelapse, now)
    last = timelapse.schedules.order_by("from_at", "pk").last()
    # Nothing is owed before the start, nor twice: what was begun ahead belongs to the version before.
    from_at = max(now, timelapse.start_at or now, (last and last.until_at) or now)
    Schedule.objects.create(timelapse=timelapse, document=timetable.to_document(), from_at=from_at)
    _adopt_ahead(timelapse, timetable, from_at)
    timelapse.next_slot_at = next_slot(timelapse, timetable, at_or_after=from_at)
    timelapse.schedule_error, timelapse.set_aside_until = "", None
    timelapse.save(update_fields=["next_slot_at", "schedule_error", "set_aside_until"])


def close_version(timelapse: Timelapse, now: datetime) -> None:
    """Ends the version in force now: what was planned ahead and is still owed is left to the next one.

    What it owed before now and nobody planned becomes a gap.
    """
    schedule = timelapse.schedules.filter(until_at__isnull=True).first()
    if schedule is None:
        return
    end = timelapse.stops_at
    owed_until = min(now, end) if end else now
    _note_unplanned(timelapse, schedule, owed_until)
    decided = _ahead(timelapse, owed_until).exclude(pk__in=_free(timelapse, owed_until))
    last = decided.order_by("slot").values_list("slot", flat=True).last()
    until_at = max(last + INSTANT if last else owed_until, schedule.from_at)
    Schedule.objects.filter(pk=schedule.pk).update(until_at=until_at)
    timelapse.next_slot_at = None
    timelapse.save(update_fields=["next_slot_at"])


def _note_unplanned(timelapse: Timelapse, schedule: Schedule, until: datetime) -> None:
    ledger_end = timelapse.next_slot_at
    if ledger_end is None or ledger_end >= until:
        return
    reason = "schedule_error" if timelapse.schedule_error else "scheduler_was_down"
    gap = Gap(timelapse=timelapse, schedule=schedule, from_at=ledger_end, until_at=until, reason=reason)
    if gap.problem:
        gap.reason = "schedule_error"  # nobody knows what it owed: it stays, and check_ledger names it
    if gap.problem or gap.count():
        write_gaps([gap], until)


def write_gaps(gaps: list[Gap], now: datetime) -> None:
    """Writes gaps and says of each what is missing: three statements, however many timelapses were silent."""
    if not gaps:
        return
    Gap.objects.bulk_create(gaps, ignore_conflicts=True)
    events, decisions = [], []
    for gap in gaps:
        topic = gap.timelapse.topic
        payload = {
            "timelapse": gap.timelapse_id,
            "camera": gap.timelapse.camera_id,
            "from": gap.from_at.isoformat(),
            "until": gap.until_at.isoformat(),
            "slots": gap.count(),
            "reason": gap.reason,
        }
        thread = correlation.current()
        events.append(drafted(EventType.SCHEDULER_WAS_DOWN, topic, payload, now=now, correlation_id=thread))
        decisions.append(
            audit.drafted("gap", topic=topic, by=audit.CLOCK, rule=gap.reason, facts=payload, now=now)
        )
    Event.objects.bulk_create(events)
    Decision.objects.bulk_create(decisions)
    announce_after_commit()


def _ahead(timelapse: Timelapse, moment: datetime) -> QuerySet[Capture]:
    return timelapse.captures.filter(origin=Capture.Origin.GRID, slot__gte=moment)


def _free(timelapse: Timelapse, moment: datetime) -> QuerySet[Capture]:
    """Planned ahead, and nobody has begun it."""
    return _ahead(timelapse, moment).filter(
        state=Capture.State.OWED, sent_at__isnull=True, lease_until__isnull=True, attempt=0
    )


def _adopt_ahead(timelapse: Timelapse, timetable: Timetable, moment: datetime) -> None:
    """What the version before had planned ahead stays where this one owes it as well; else it was never owed."""
    grace = timelapse.grace
    for capture in _free(timelapse, moment).select_for_update():
        if next_slot(timelapse, timetable, at_or_after=capture.slot) != capture.slot:
            capture.delete()
            continue
        rule = timetable.rule_of(capture.slot)
        Capture.objects.owed().filter(pk=capture.pk).update(give_up_at=capture.slot + grace, rule=rule)
