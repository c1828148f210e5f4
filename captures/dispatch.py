"""The hand of the clock: claims the slots of the coming second, and sends each at its instant.

The rows are written ahead; the planner then waits for each instant itself, so that no worker waits or decides timing.
What a planner wrote and could not send (killed between the two) is found as unsent by the next tick, or by the sweep.
That something was sent is noted a moment later, for many at once: where a planner is killed between the two, or the
sweep looks just then, it is sent again, and the worker that comes second finds it claimed or done.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Case, Count, Q, QuerySet, Value, When

from captures import setback
from captures.intervalometer import Timetable
from captures.intervalometer.plan import GRACE_MAX
from captures.models import NOT_CALCULATED, RULE_LENGTH, Capture, Gap, Schedule, Timelapse
from captures.orders import note_first_sent, note_refused, send
from captures.reasons import words_of
from captures.versions import INSTANT, LOOK, next_slot, write_gaps
from media_jobs import audit, clock, correlation
from media_jobs import setback as jobs_setback
from media_jobs.events import EventType, emit
from media_jobs.models import Decision, Pulse

PERIOD = timedelta(seconds=1)
AHEAD = 2 * PERIOD  # a timelapse that somebody holds for a whole tick is planned in time by the next one
LOOK_AGAIN = timedelta(seconds=0.15)
BATCH = 100
NOTED = 100  # so many captures that were sent are noted in one statement
BREATH = timedelta(seconds=0.25)  # with nothing to send for so long there is time to note what was sent
SET_ASIDE = timedelta(minutes=5)
PULSE = "captures.plan"
CLOCK = "clock"  # the topic of what concerns it: the fleet hears every topic
SILENT_AFTER = timedelta(seconds=10)  # from there on it is said aloud
State = Capture.State
TOO_FAR = AHEAD + jobs_setback.NOTICED
NEEDED = (
    *("camera_id", "camera__is_enabled", "start_at", "end_at", "started_at", "time_zone", "next_slot_at"),
    *("stop_after_days", "stop_after_captures", "image_count", "schedule_error"),
)
MOVE_ON = f"UPDATE {Timelapse._meta.db_table} SET next_slot_at = %s WHERE id = %s"  # noqa: S608 - the model's name


@dataclass(frozen=True, slots=True)
class Order:
    """An owed capture, ready to be sent at its slot."""

    capture_id: int
    slot: datetime
    give_up_at: datetime
    site: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """What one timelapse owes in this tick, what it missed before, and where its ledger then ends."""

    timelapse: Timelapse
    captures: list[Capture]
    gap: Gap | None
    next_slot_at: datetime | None


class SentNotes:
    """What was sent and is not noted yet: a statement for each slot would cost more than the sending."""

    def __init__(self) -> None:
        self.count = 0
        self._waiting: dict[int, datetime] = {}

    def add(self, capture_id: int, now: datetime) -> None:
        self.count += 1
        self._waiting[capture_id] = now
        if len(self._waiting) >= NOTED:
            self.write()

    def write(self) -> None:
        waiting, self._waiting = self._waiting, {}
        note_first_sent(waiting)


class ClockWasSetBack(Exception):
    """The database's clock was set back since this tick read it."""


def plan() -> int:
    """One tick: plans up to AHEAD, sends what comes due within PERIOD. Returns how many messages were sent.

    Slots between PERIOD and AHEAD are planned now and sent by the next tick: so a tick that comes a little late finds
    its first slots ready. Timelapses that somebody holds just now are looked for again within the tick.
    """
    hand = clock.Carried()
    end, horizon = hand.now() + PERIOD, hand.now() + AHEAD
    last_tick_at = _tick(hand.now())
    orders = _unsent(horizon, hand.now(), after=0)
    notes = SentNotes()
    try:
        _send_until(end, horizon, hand, orders, notes, last_tick_at)
    finally:
        notes.write()
    return notes.count


def _wait_until(moment: datetime, hand: clock.Carried) -> None:
    time.sleep(max(0.0, (moment - hand.now()).total_seconds()))


def _send_until(
    end: datetime,
    horizon: datetime,
    hand: clock.Carried,
    orders: deque[Order],
    notes: SentNotes,
    last_tick_at: datetime | None,
) -> None:
    newest = max((order.capture_id for order in orders), default=0)
    claim_at: datetime | None = hand.now()
    while True:
        _send_due(orders, hand, notes)
        now = hand.now()
        if claim_at is not None and claim_at <= now:
            try:
                taken = claim(horizon, now, last_tick_at=last_tick_at, is_by_the_clock=True)
            except ClockWasSetBack:
                return  # the next tick begins with the true time
            if taken < BATCH:
                claim_at = now + LOOK_AGAIN if _unclaimed(horizon, now).exists() else None
            fresh = _unsent(horizon, now, after=newest)
            newest = max([newest, *(order.capture_id for order in fresh)])
            orders = deque(sorted([*orders, *fresh], key=lambda order: order.slot))
            continue
        moments = [*([orders[0].slot] if orders else []), *([claim_at] if claim_at else [])]
        if not moments or min(moments) >= end:
            return
        if not orders or orders[0].slot - now > BREATH:
            notes.write()
        _wait_until(min(moments), hand)


def _tick(now: datetime) -> datetime | None:
    """Says that the clock goes, tells when it had stood still, and notices when it was set back.

    Returns when the tick before was, by the clock of now; None where there is none.
    """
    pulse = Pulse.objects.filter(name=PULSE)
    last_at = pulse.values_list("at", flat=True).first()
    if last_at is None:
        Pulse.objects.get_or_create(name=PULSE, defaults={"kind": "clock", "at": now})
        return None
    if jobs_setback.is_noticed(last_at, now):
        jobs_setback.draw_near(now)
        setback.take_back_future(now)
        last_at = now
    elif now - last_at > SILENT_AFTER:
        _tell_back(last_at, now)
    pulse.update(at=now)
    return last_at


def _tell_back(last_at: datetime, now: datetime) -> None:
    """The clock goes again after a silence: one of several planners says so, whichever is first."""
    payload = {"since": last_at.isoformat(), "silent_s": round((now - last_at).total_seconds(), 1)}
    with correlation.following(""), transaction.atomic():
        if Pulse.objects.filter(name=PULSE, at=last_at).update(at=now):
            audit.note(EventType.SCHEDULER_IS_BACK, topic=CLOCK, by=audit.CLOCK, facts=payload, now=now)
            emit(EventType.SCHEDULER_IS_BACK, CLOCK, payload, now=now)


def claim(
    horizon: datetime,
    now: datetime,
    *,
    last_tick_at: datetime | None = None,
    is_by_the_clock: bool = False,
) -> int:
    """Writes the owed captures of one batch of timelapses up to `horizon`. Returns how many timelapses it took.

    What comes too late although a tick passed since it was due is not blamed on a silent scheduler. Where
    `is_by_the_clock`, raises ClockWasSetBack if the database's clock does not say by now that `horizon` is near.
    """
    with transaction.atomic():
        timelapses = _due(horizon, now)
        if is_by_the_clock and timelapses and horizon - timelapses[0].seen_at > TOO_FAR:  # type: ignore[attr-defined] # _due() gives it
            raise ClockWasSetBack
        in_force = Schedule.objects.filter(timelapse__in=timelapses, until_at__isnull=True)
        schedules = {schedule.timelapse_id: schedule for schedule in in_force}
        left = _left(timelapses)
        steps: list[Step] = []
        for timelapse in timelapses:
            try:
                steps.append(_step(timelapse, schedules[timelapse.pk], horizon, now, left.get(timelapse.pk)))
            except NOT_CALCULATED as error:
                # It must not stop the others: put aside, with its error on its page.
                words = f"The schedule could not be calculated: {error!r}"
                row = Timelapse.objects.filter(pk=timelapse.pk)
                row.update(set_aside_until=now + SET_ASIDE, schedule_error=words)
        Capture.objects.bulk_create([one for step in steps for one in step.captures], ignore_conflicts=True)
        gaps = [step.gap for step in steps if step.gap]
        _blame(gaps, last_tick_at)
        write_gaps(gaps, now)
        _move_on(steps)
    return len(timelapses)


def _blame(gaps: list[Gap], last_tick_at: datetime | None) -> None:
    """Whether the scheduler was silent when they began."""
    if not gaps:
        return
    # Silences that were noticed: a tick may have come since without having come to all timelapses.
    silent_until = (
        Decision.objects.filter(topic=CLOCK, action=EventType.SCHEDULER_IS_BACK)
        .order_by("-pk")
        .values_list("at", flat=True)
        .first()
    )
    for gap in gaps:
        was_silent = last_tick_at is None or gap.from_at > last_tick_at
        was_silent = was_silent or (silent_until is not None and gap.from_at < silent_until)
        if gap.reason == "scheduler_was_down" and not was_silent:
            gap.reason = "not_planned_in_time"


def _unclaimed(horizon: datetime, now: datetime) -> QuerySet[Timelapse]:
    is_free = Q(set_aside_until__isnull=True) | Q(set_aside_until__lte=now)
    return Timelapse.objects.running().filter(is_free, next_slot_at__lt=horizon)


def _due(horizon: datetime, now: datetime) -> list[Timelapse]:
    """Held against changes, not against captures that are written for it: `no_key`.

    After a silence those that are in time come first: the past never delays the present.
    """
    is_behind = Case(When(next_slot_at__lt=now - GRACE_MAX, then=Value(1)), default=Value(0))
    return list(
        _unclaimed(horizon, now)
        .select_related("camera")
        .only(*NEEDED)
        .annotate(seen_at=clock.expression())
        .select_for_update(skip_locked=True, of=("self",), no_key=True)
        .order_by(is_behind, "next_slot_at")[:BATCH]
    )


def _left(timelapses: list[Timelapse]) -> dict[int, int]:
    """How many pictures may still be asked for, where there is a limit: what is being taken may become a picture."""
    limits = {row.pk: row.stop_after_captures for row in timelapses if row.stop_after_captures is not None}
    if not limits:
        return {}
    rows = Capture.objects.owed().filter(timelapse__in=limits).values_list("timelapse").order_by()
    pending = dict(rows.annotate(count=Count("pk")))
    return {
        row.pk: limits[row.pk] - row.image_count - pending.get(row.pk, 0)
        for row in timelapses
        if row.pk in limits
    }


def _step(
    timelapse: Timelapse, schedule: Schedule, horizon: datetime, now: datetime, left: int | None
) -> Step:
    """What moves the timelapse's ledger up to `horizon`: all of it is written, or nothing.

    Once `left` pictures are asked for the further slots are skipped: where one of them fails, a later slot stands in.
    """
    captures: list[Capture] = []
    gap: Gap | None = None
    timetable = schedule.timetable
    slot, grace = timelapse.next_slot_at, timetable.plan.grace
    if slot is not None and slot < now - grace:
        # The past never delays the present: it is accounted for by a gap, the newest slot is still to be had.
        present = next_slot(timelapse, timetable, at_or_after=now - grace, within=LOOK)
        until = present or min(timelapse.stops_at or now, now)
        reason = "schedule_error" if timelapse.schedule_error else "scheduler_was_down"
        gap = Gap(timelapse=timelapse, schedule=schedule, from_at=slot, until_at=until, reason=reason)
        slot = present
    while slot is not None and slot < horizon:
        capture = _owed(timelapse, timetable, slot, grace)
        if capture.state == State.OWED and left is not None:
            if left <= 0:
                _skip(capture, "enough_captures")
            left -= 1
        captures.append(capture)
        slot = next_slot(timelapse, timetable, at_or_after=slot + INSTANT, within=LOOK)
    return Step(timelapse, captures, gap, slot)


def _move_on(steps: list[Step]) -> None:
    """Writes where each ledger ends now: one statement with many values, for bulk_update costs more than all else."""
    adapt = connection.ops.adapt_datetimefield_value
    rows = [(adapt(step.next_slot_at), step.timelapse.pk) for step in steps]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(MOVE_ON, rows)
    mended = [step.timelapse.pk for step in steps if step.timelapse.schedule_error]
    if mended:
        Timelapse.objects.filter(pk__in=mended).update(set_aside_until=None, schedule_error="")


def _owed(timelapse: Timelapse, timetable: Timetable, slot: datetime, grace: timedelta) -> Capture:
    capture = Capture(
        timelapse=timelapse,
        slot=slot,
        rule=timetable.rule_of(slot)[:RULE_LENGTH],
        correlation_id=correlation.new(),
        give_up_at=slot + grace,
        day_number=timelapse.day_number(slot),
    )
    if not timelapse.camera.is_enabled:
        _skip(capture, "camera_disabled")
    return capture


def _skip(capture: Capture, reason: str) -> None:
    capture.state, capture.reason, capture.detail = State.SKIPPED, reason, words_of(reason)


def _unsent(horizon: datetime, now: datetime, *, after: int) -> deque[Order]:
    """What waits to be sent: the rows that were written after the one with this id."""
    rows = (
        Capture.objects.owed()
        .filter(pk__gt=after, sent_at__isnull=True, slot__lt=horizon, give_up_at__gte=now)
        .order_by("slot")
        .values_list("pk", "slot", "give_up_at", "timelapse__camera__site__slug")
    )
    return deque(Order(*row) for row in rows)


def _send_due(orders: deque[Order], hand: clock.Carried, notes: SentNotes) -> None:
    refused: list[int] = []
    now = hand.now()
    while orders and orders[0].slot <= now:
        order = orders.popleft()
        if send(order.capture_id, order.give_up_at, site=order.site):
            notes.add(order.capture_id, now)
        else:
            refused.append(order.capture_id)
    if refused:
        note_refused(refused)
