"""The hand of the clock: claims the slots of the coming second, and sends each at its instant.

The rows are written ahead; the planner then waits for each instant itself, so that no worker waits or decides timing.
What a planner wrote and could not send (killed between the two) is found as unsent by the next tick, or by the sweep.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Q

from captures import ledger
from captures.intervalometer import Timetable
from captures.models import RULE_LENGTH, Capture, Gap, Schedule, Timelapse
from captures.versions import INSTANT, next_slot, tell_gap
from media_jobs import clock, correlation
from media_jobs.models import Pulse

PERIOD = timedelta(seconds=1)
AHEAD = timedelta(seconds=1.2)
BATCH = 50
SET_ASIDE = timedelta(minutes=5)
PULSE = "captures.plan"
State = Capture.State


@dataclass(frozen=True, slots=True)
class Order:
    """An owed capture, ready to be sent at its slot."""

    capture_id: int
    slot: datetime
    give_up_at: datetime
    site: str | None


class DatabaseClock:
    """The database's time, read once and carried on by this machine's steady clock."""

    def __init__(self) -> None:
        self._start = clock.now()
        self._steady = time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=time.monotonic() - self._steady)

    def wait_until(self, moment: datetime) -> None:
        time.sleep(max(0.0, (moment - self.now()).total_seconds()))


def plan() -> int:
    """One tick: plans up to AHEAD, sends what comes due within PERIOD. Returns how many messages were sent.

    Slots between PERIOD and AHEAD are planned now and sent by the next tick: so a tick that comes a little late finds
    its first slots ready.
    """
    hand = DatabaseClock()
    end, horizon = hand.now() + PERIOD, hand.now() + AHEAD
    Pulse.objects.update_or_create(name=PULSE, defaults={"kind": "clock", "at": hand.now()})
    orders = _unsent(horizon, hand.now())
    sent = 0
    is_planned = False
    while True:
        sent += _send_due(orders, hand.now())
        if not is_planned:
            known = {order.capture_id for order in orders}
            is_planned = claim(horizon, hand.now()) < BATCH
            fresh = [order for order in _unsent(horizon, hand.now()) if order.capture_id not in known]
            orders = deque(sorted([*orders, *fresh], key=lambda order: order.slot))
        elif orders and orders[0].slot < end:
            hand.wait_until(orders[0].slot)
        else:
            return sent


def claim(horizon: datetime, now: datetime) -> int:
    """Writes the owed captures of one batch of timelapses up to `horizon`. Returns how many timelapses it took."""
    is_free = Q(set_aside_until__isnull=True) | Q(set_aside_until__lte=now)
    with transaction.atomic():
        timelapses = list(
            Timelapse.objects.running()
            .filter(is_free, next_slot_at__lt=horizon)
            .select_related("camera")
            .select_for_update(skip_locked=True, of=("self",))
            .order_by("next_slot_at")[:BATCH]
        )
        in_force = Schedule.objects.filter(timelapse__in=timelapses, until_at__isnull=True)
        schedules = {schedule.timelapse_id: schedule for schedule in in_force}
        left = _left(timelapses)
        captures: list[Capture] = []
        gaps: list[Gap] = []
        for timelapse in timelapses:
            try:
                owed, missed = _owe(timelapse, schedules[timelapse.pk], horizon, now, left.get(timelapse.pk))
            except (ValueError, ArithmeticError, LookupError) as error:
                # It must not stop the others: put aside, with its error on its page.
                timelapse.set_aside_until = now + SET_ASIDE
                timelapse.schedule_error = f"The schedule could not be calculated: {error!r}"
                continue
            captures += owed
            gaps += missed
        Capture.objects.bulk_create(captures, ignore_conflicts=True)
        Gap.objects.bulk_create(gaps, ignore_conflicts=True)
        Timelapse.objects.bulk_update(timelapses, ["next_slot_at", "set_aside_until", "schedule_error"])
        for gap in gaps:
            tell_gap(gap, gap.schedule.timetable.count(gap.from_at, gap.until_at), now)
    return len(timelapses)


def _left(timelapses: list[Timelapse]) -> dict[int, int]:
    """How many pictures may still be asked for, where there is a limit: what is being taken may become a picture."""
    limited = [timelapse for timelapse in timelapses if timelapse.stop_after_captures is not None]
    if not limited:
        return {}
    rows = Capture.objects.owed().filter(timelapse__in=limited).values_list("timelapse").order_by()
    pending = dict(rows.annotate(count=Count("pk")))
    return {
        timelapse.pk: (timelapse.stop_after_captures or 0)
        - timelapse.image_count
        - pending.get(timelapse.pk, 0)
        for timelapse in limited
    }


def _owe(
    timelapse: Timelapse, schedule: Schedule, horizon: datetime, now: datetime, left: int | None
) -> tuple[list[Capture], list[Gap]]:
    """Moves the timelapse's ledger up to `horizon`; returns what is to be written: all of it, or nothing.

    Once `left` pictures are asked for the further slots are skipped: where one of them fails, a later slot stands in.
    """
    captures: list[Capture] = []
    gaps: list[Gap] = []
    timetable = schedule.timetable
    slot = timelapse.next_slot_at
    grace = timelapse.grace
    if slot is not None and slot < now - grace:
        # The past never delays the present: it is accounted for by a gap, the newest slot is still to be had.
        present = next_slot(timelapse, timetable, at_or_after=now - grace)
        until = present or min(timelapse.stops_at or now, now)
        reason = "schedule_error" if timelapse.schedule_error else "scheduler_was_down"
        gaps.append(Gap(timelapse=timelapse, schedule=schedule, from_at=slot, until_at=until, reason=reason))
        slot = present
    while slot is not None and slot < horizon:
        capture = _owed(timelapse, timetable, slot, grace)
        if capture.state == State.OWED and left is not None:
            if left <= 0:
                _skip(capture, "enough_captures")
            left -= 1
        captures.append(capture)
        slot = next_slot(timelapse, timetable, at_or_after=slot + INSTANT)
    timelapse.next_slot_at = slot
    timelapse.set_aside_until, timelapse.schedule_error = None, ""
    return captures, gaps


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
    capture.state, capture.reason, capture.detail = State.SKIPPED, reason, ledger.words_of(reason)


def _unsent(horizon: datetime, now: datetime) -> deque[Order]:
    rows = (
        Capture.objects.owed()
        .filter(sent_at__isnull=True, slot__lt=horizon, give_up_at__gte=now)
        .order_by("slot")
        .values_list("pk", "slot", "give_up_at", "timelapse__camera__site__slug")
    )
    return deque(Order(*row) for row in rows)


def _send_due(orders: deque[Order], now: datetime) -> int:
    due: list[Order] = []
    while orders and orders[0].slot <= now:
        due.append(orders.popleft())
    sent = [
        order.capture_id for order in due if ledger.send(order.capture_id, order.give_up_at, site=order.site)
    ]
    if sent:
        ledger.note_sent(sent, now)
    return len(sent)
