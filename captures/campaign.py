"""Every move of a timelapse: start, pause, resume, complete, archive. See the drawing on Timelapse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from captures import intervalometer, ledger
from captures.exceptions import CameraBusy, MoveRefused
from captures.models import Capture, Gap, Schedule, Timelapse
from media_jobs import audit, clock
from media_jobs.events import EventType, emit

State = Timelapse.State
ALLOWED: dict[str, tuple[str, ...]] = {
    State.CREATED: (State.RUNNING, State.ARCHIVED),
    State.RUNNING: (State.PAUSED, State.COMPLETED),
    State.PAUSED: (State.RUNNING, State.COMPLETED),
    State.COMPLETED: (State.ARCHIVED,),
    State.ARCHIVED: (),
}
MOVED: dict[tuple[str, str], EventType] = {
    (State.CREATED, State.RUNNING): EventType.TIMELAPSE_STARTED,
    (State.PAUSED, State.RUNNING): EventType.TIMELAPSE_RESUMED,
    (State.RUNNING, State.PAUSED): EventType.TIMELAPSE_PAUSED,
    (State.RUNNING, State.COMPLETED): EventType.TIMELAPSE_COMPLETED,
    (State.PAUSED, State.COMPLETED): EventType.TIMELAPSE_COMPLETED,
    (State.CREATED, State.ARCHIVED): EventType.TIMELAPSE_ARCHIVED,
    (State.COMPLETED, State.ARCHIVED): EventType.TIMELAPSE_ARCHIVED,
}
TIMING = {"interval_s", "is_on_the_clock", "start_at", "end_at", "time_zone"}
CHANGEABLE = TIMING | {"name"}


def start(timelapse: Timelapse, *, by: str, complete_active: bool = False) -> None:
    """created -> running. Raises MoveRefused, or CameraBusy unless `complete_active` ends the other one."""
    try:
        with _locked(timelapse) as (locked, now):
            if locked.state != State.CREATED:
                raise MoveRefused(f"This timelapse is {locked.state}; only a new one can be started.")
            active = _rival(locked)
            if active is not None and not complete_active:
                raise CameraBusy(active)
            if active is not None:
                complete(active, by=by)
            first_day = max(now, locked.start_at) if locked.start_at else now
            _move(locked, State.RUNNING, by=by, now=now, started_at=first_day)
            _open_schedule(locked, now)
    except IntegrityError:
        active = _rival(timelapse)
        if active is None:
            raise
        raise CameraBusy(active) from None


def pause(timelapse: Timelapse, *, by: str) -> None:
    """running -> paused: nothing more is owed from now on. Raises MoveRefused."""
    _stop(timelapse, State.PAUSED, "timelapse_paused", by=by)


def resume(timelapse: Timelapse, *, by: str) -> None:
    """paused -> running, on the grid that it had. Raises MoveRefused."""
    with _locked(timelapse) as (locked, now):
        if locked.state != State.PAUSED:
            raise MoveRefused(f"This timelapse is {locked.state}; only a paused one can be resumed.")
        _move(locked, State.RUNNING, by=by, now=now)
        _open_schedule(locked, now)


def complete(timelapse: Timelapse, *, by: str) -> None:
    """running or paused -> completed: it is history from now on. Raises MoveRefused."""
    _stop(timelapse, State.COMPLETED, "timelapse_ended", by=by)


def archive(timelapse: Timelapse, *, by: str) -> None:
    """completed (or never started) -> archived. Raises MoveRefused."""
    with _locked(timelapse) as (locked, now):
        _move(locked, State.ARCHIVED, by=by, now=now)


def change(timelapse: Timelapse, *, by: str, **fields: Any) -> None:
    """Changes `fields` (CHANGEABLE) and, where they move slots, reschedules from now on.

    Raises MoveRefused for a timelapse that is history, and for a new start of one that has started.
    """
    wrong = set(fields) - CHANGEABLE
    if wrong:
        raise MoveRefused(f"These cannot be changed: {', '.join(sorted(wrong))}.")
    with _locked(timelapse) as (locked, now):
        changed = {name: value for name, value in fields.items() if getattr(locked, name) != value}
        moves_slots = bool(TIMING & set(changed))
        if moves_slots and locked.state in {State.COMPLETED, State.ARCHIVED}:
            raise MoveRefused("A completed timelapse is history: its schedule cannot be changed.")
        if {"start_at", "time_zone"} & set(changed) and locked.state != State.CREATED:
            raise MoveRefused("Start and time zone can be changed only before the timelapse is started.")
        reschedules = moves_slots and locked.state == State.RUNNING
        if reschedules:
            _close_schedule(locked, now)  # by the end that it had
        for name, value in changed.items():
            setattr(locked, name, value)
        locked.save(update_fields=list(changed))
        if reschedules:
            _open_schedule(locked, now)
        type_ = EventType.SCHEDULE_CHANGED if moves_slots else EventType.TIMELAPSE_UPDATED
        _tell(type_, locked, by, now, changed=sorted(changed))


def complete_ended(now: datetime) -> int:
    """Completes the timelapses whose end has come and whose last slot has been settled, paused ones as well.

    Returns how many.
    """
    ended = Timelapse.objects.active().filter(end_at__lte=now, next_slot_at__isnull=True)
    completed = 0
    for pk in list(ended.values_list("pk", flat=True)):
        with transaction.atomic():
            timelapse = ended.select_for_update().filter(pk=pk).first()
            if timelapse is None or timelapse.captures.owed().exists():  # none: a person was quicker
                continue
            _stop(timelapse, State.COMPLETED, "timelapse_ended", by="clock")
            completed += 1
    return completed


def grid_of(timelapse: Timelapse, now: datetime) -> intervalometer.Grid:
    """The grid that the timelapse's settings ask for."""
    if timelapse.is_on_the_clock:
        start_at = max(now, timelapse.start_at) if timelapse.start_at else now
        return intervalometer.clock_grid(timelapse.interval, start=start_at, zone=timelapse.zone)
    return intervalometer.spread_grid(timelapse.interval, seed=f"camera {timelapse.camera_id}")


def next_slot(timelapse: Timelapse, grid: intervalometer.Grid, *, at_or_after: datetime) -> datetime | None:
    """The first slot from there on, or None where the end comes before it."""
    earliest = max(at_or_after, timelapse.start_at) if timelapse.start_at else at_or_after
    slot = grid.first_from(earliest)
    return slot if timelapse.end_at is None or slot < timelapse.end_at else None


def _stop(timelapse: Timelapse, state: str, reason: str, *, by: str) -> None:
    with _locked(timelapse) as (locked, now):
        fields: dict[str, Any] = {"completed_at": now} if state == State.COMPLETED else {}
        was_running = locked.state == State.RUNNING
        _move(locked, state, by=by, now=now, **fields)
        if was_running:
            ledger.skip_owed(locked, reason)
            _close_schedule(locked, now)


@contextmanager
def _locked(timelapse: Timelapse) -> Iterator[tuple[Timelapse, datetime]]:
    """The row as it is now, held until the transaction ends, and this instant; the caller's object then says the same.

    What the caller had loaded may be as old as the page that was clicked.
    """
    with transaction.atomic():
        locked = Timelapse.objects.select_for_update().get(pk=timelapse.pk)
        yield locked, clock.now()
    for field in Timelapse._meta.concrete_fields:
        setattr(timelapse, field.attname, getattr(locked, field.attname))


def _rival(timelapse: Timelapse) -> Timelapse | None:
    """The other timelapse that its camera is busy with."""
    return Timelapse.objects.active().filter(camera=timelapse.camera_id).exclude(pk=timelapse.pk).first()


def _open_schedule(timelapse: Timelapse, now: datetime) -> None:
    last = timelapse.schedules.order_by("from_at", "pk").last()
    grid = _same_grid(timelapse, last) or grid_of(timelapse, now)
    # Nothing is owed before the start, nor twice: what was planned ahead belongs to the schedule before.
    from_at = max(now, timelapse.start_at or now, (last and last.until_at) or now)
    Schedule.objects.create(
        timelapse=timelapse, anchor_at=grid.anchor, interval_s=timelapse.interval_s, from_at=from_at
    )
    timelapse.next_slot_at = next_slot(timelapse, grid, at_or_after=from_at)
    timelapse.schedule_error = ""
    Timelapse.objects.filter(pk=timelapse.pk).update(next_slot_at=timelapse.next_slot_at, schedule_error="")


def _same_grid(timelapse: Timelapse, last: Schedule | None) -> intervalometer.Grid | None:
    """The grid that it had, where it still fits: one on the clock is not to move to another day's midnight."""
    if last is None or not timelapse.is_on_the_clock or last.interval_s != timelapse.interval_s:
        return None
    is_midnight = last.anchor_at.astimezone(timelapse.zone).time() == time()
    return last.grid if is_midnight else None


def _close_schedule(timelapse: Timelapse, now: datetime) -> None:
    """Ends the schedule in force now: what was planned ahead still belongs to it, what was owed before is a gap."""
    schedule = timelapse.schedules.filter(until_at__isnull=True).first()
    if schedule is None:
        return
    owed_until = min(now, timelapse.end_at) if timelapse.end_at else now
    ledger_end = timelapse.next_slot_at
    if ledger_end is not None and schedule.grid.count(ledger_end, owed_until):
        Gap.objects.create(
            timelapse=timelapse,
            schedule=schedule,
            from_at=ledger_end,
            until_at=owed_until,
            reason="scheduler_was_down",
        )
    ahead = (
        timelapse.captures.filter(origin=Capture.Origin.GRID, slot__gte=owed_until)
        .order_by("slot")
        .values_list("slot", flat=True)
        .last()
    )
    until_at = ahead + timedelta(microseconds=1) if ahead else owed_until
    Schedule.objects.filter(pk=schedule.pk).update(until_at=max(until_at, schedule.from_at))
    timelapse.next_slot_at = None
    Timelapse.objects.filter(pk=timelapse.pk).update(next_slot_at=None)


def _move(timelapse: Timelapse, state: str, *, by: str, now: datetime, **fields: Any) -> None:
    if state not in ALLOWED[timelapse.state]:
        raise MoveRefused(f"This timelapse is {timelapse.state}; it cannot become {state}.")
    moved = Timelapse.objects.filter(pk=timelapse.pk, state=timelapse.state).update(state=state, **fields)
    if not moved:
        raise MoveRefused("Somebody else has just changed this timelapse; load the page again.")
    type_ = MOVED[timelapse.state, state]
    timelapse.state = state
    for name, value in fields.items():
        setattr(timelapse, name, value)
    _tell(type_, timelapse, by, now)


def _tell(type_: EventType, timelapse: Timelapse, by: str, now: datetime, **facts: Any) -> None:
    payload = {
        "timelapse": timelapse.pk,
        "camera": timelapse.camera_id,
        "state": timelapse.state,
        "by": by,
        **facts,
    }
    rule = "the end of the timelapse has come" if by == audit.CLOCK else ""
    audit.note(type_.value, topic=timelapse.topic, by=by, rule=rule, facts=facts, now=now)
    emit(type_, timelapse.topic, payload, now=now)
