"""Every move of a timelapse, from its creation until its deletion. See the drawing on Timelapse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Case, F, FloatField, Q, Value, When
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast

from cameras import effective, places
from cameras.models import Camera
from captures import ledger, versions
from captures.effective import of_timelapse
from captures.exceptions import CameraBusy, HasPictures, MoveRefused, NotRunning, PlanRefused
from captures.models import Schedule, Timelapse
from media_jobs import audit, clock, lifecycle
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
TIMING = {"plan", "start_at", "end_at", "stop_after_days", "stop_after_captures", "time_zone"}
CHANGEABLE = TIMING | {"name"}


def create(timelapse: Timelapse, *, by: str) -> None:
    """Saves a new one; nothing is owed before it is started."""
    with transaction.atomic():
        timelapse.save(force_insert=True)
        _tell(EventType.TIMELAPSE_CREATED, timelapse, by, clock.now())


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
            versions.open_version(locked, now)
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
        versions.open_version(locked, now)


def complete(timelapse: Timelapse, *, by: str) -> None:
    """running or paused -> completed: it is history from now on. Raises MoveRefused."""
    _stop(timelapse, State.COMPLETED, "timelapse_ended", by=by)


def archive(timelapse: Timelapse, *, by: str) -> None:
    """completed (or never started) -> archived. Raises MoveRefused."""
    with _locked(timelapse) as (locked, now):
        _move(locked, State.ARCHIVED, by=by, now=now)


def change(timelapse: Timelapse, *, by: str, **fields: Any) -> None:
    """Changes `fields` (CHANGEABLE); where they move slots a new version of the timetable is in force at once.

    Raises MoveRefused for a timelapse that is history, and for a new start of one that has started; PlanRefused.
    """
    wrong = set(fields) - CHANGEABLE
    if wrong:
        raise MoveRefused(f"These cannot be changed: {', '.join(sorted(wrong))}.")
    with _locked(timelapse) as (locked, now):
        before = {name: getattr(locked, name) for name in fields}
        changed = {name: value for name, value in fields.items() if before[name] != value}
        moves_slots = bool(TIMING & set(changed))
        if moves_slots and locked.state in {State.COMPLETED, State.ARCHIVED}:
            raise MoveRefused("A completed timelapse is history: its schedule cannot be changed.")
        if "start_at" in changed and locked.state != State.CREATED:
            raise MoveRefused("The start can be changed only before the timelapse is started.")
        reschedules = moves_slots and locked.state == State.RUNNING
        if reschedules:
            versions.close_version(locked, now)  # by the end that it had
        for name, value in changed.items():
            setattr(locked, name, value)
        locked.save(update_fields=list(changed))
        if reschedules:
            versions.open_version(locked, now)
        type_ = EventType.SCHEDULE_CHANGED if moves_slots else EventType.TIMELAPSE_UPDATED
        facts = {name: [_as_json(before[name]), _as_json(value)] for name, value in changed.items()}
        _tell(type_, locked, by, now, changed=facts)


def reschedule(timelapse: Timelapse, *, by: str) -> None:
    """Calculates the timetable anew from now on, also one that was put aside. Raises NotRunning, PlanRefused."""
    with _locked(timelapse) as (locked, now):
        if locked.state != State.RUNNING:
            raise NotRunning
        versions.close_version(locked, now)
        versions.open_version(locked, now)
        _tell(EventType.SCHEDULE_CHANGED, locked, by, now, changed={})


def reschedule_of_camera(camera: Camera, *, by: str) -> int:
    """The camera has been moved: its running timelapse follows the sun of the new place. Returns how many changed.

    Where the plan cannot be carried out any more (the place was taken away) the timetable that was in force stays.
    """
    changed = 0
    for timelapse in Timelapse.objects.running().filter(camera=camera).select_related("camera"):
        schedule = timelapse.schedules.filter(until_at__isnull=True).first()
        try:
            wanted = versions.checked_timetable(timelapse, clock.now())
        except PlanRefused:
            continue
        if schedule is None or schedule.document != wanted.to_document():
            reschedule(timelapse, by=by)
            changed += 1
    return changed


def follow_cameras() -> int:
    """Reschedules the timelapses whose camera has been moved, by whatever way. Returns how many changed.

    Cameras without a place of their own are moved by a change of the place that is set for all.
    """
    by_the_sun = Schedule.objects.filter(until_at__isnull=True, timelapse__state=State.RUNNING)
    latitude, longitude = (
        Cast(KeyTextTransform(number, KeyTransform("place", "document")), FloatField()) for number in "01"
    )
    rows = by_the_sun.exclude(document__place=None).annotate(latitude=latitude, longitude=longitude)
    # Compared by the database: it is asked every few seconds, and hardly ever has a camera been moved.
    spot = places.spot_for_all(effective.globally())
    of_camera: dict[str, Any] = {name: F(f"timelapse__camera__{name}") for name in ("latitude", "longitude")}
    if spot is not None:
        has_none = Q(timelapse__camera__latitude=None) | Q(timelapse__camera__longitude=None)
        of_camera = {
            name: Case(
                When(has_none, then=Value(getattr(spot, name))), default=own, output_field=FloatField()
            )
            for name, own in of_camera.items()
        }
    moved = rows.exclude(**of_camera).values("timelapse__camera")
    return sum(reschedule_of_camera(camera, by=audit.CLOCK) for camera in Camera.objects.filter(pk__in=moved))


def cancel_work(timelapse: Timelapse, *, by: str) -> int:
    """Cancels what is owed, and what is queued or running for it; what the clock owes later is not touched.

    Returns how many captures and jobs.
    """
    with _locked(timelapse) as (locked, now):
        skipped = ledger.skip_owed(locked, "cancelled")
        cancelled = lifecycle.cancel_all(locked.topic, by=by)
        facts = {"captures": skipped, "jobs": cancelled}
        audit.note("work_cancelled", topic=locked.topic, by=by, facts=facts, now=now)
    return skipped + cancelled


def delete(timelapse: Timelapse, *, by: str) -> None:
    """Deletes one that has no pictures, with all that is owed or asked for it. Raises HasPictures, MoveRefused."""
    with _locked(timelapse) as (locked, now):
        if locked.captures.stored().exists() or locked.captures.discarded().exclude(file="").exists():
            raise HasPictures
        ledger.skip_owed(locked, "cancelled")
        if locked.captures.owed().exists():
            raise MoveRefused("A picture is being taken just now; try it again in a few seconds.")
        lifecycle.cancel_all(locked.topic, by=by)
        _tell(EventType.TIMELAPSE_DELETED, locked, by, now)
        locked.captures.all().delete()
        Timelapse.objects.filter(pk=locked.pk).delete()


def complete_ended(now: datetime) -> int:
    """Completes the timelapses whose end has come and whose last slot has been settled, paused ones as well.

    The end is a moment, the last of its days, or the last of its pictures. Returns how many.
    """
    may_be_over = Q(end_at__lte=now) | Q(stop_after_days__isnull=False)
    is_full = Q(stop_after_captures__isnull=False, image_count__gte=F("stop_after_captures"))
    ended = Timelapse.objects.active().filter((may_be_over & Q(next_slot_at__isnull=True)) | is_full)
    completed = 0
    for pk in list(ended.values_list("pk", flat=True)):
        with transaction.atomic():
            timelapse = ended.select_for_update().filter(pk=pk).first()
            rule = _rule_of_end(timelapse, now) if timelapse else ""  # none: a person was quicker
            if timelapse and rule:
                _stop(timelapse, State.COMPLETED, "timelapse_ended", by=audit.CLOCK, rule=rule)
                completed += 1
    return completed


def _rule_of_end(timelapse: Timelapse, now: datetime) -> str:
    """Which of its rules ends it now, in words; empty while it goes on."""
    if timelapse.is_full:
        return f"after {timelapse.stop_after_captures} captures"
    end = timelapse.stops_at
    if end is None or end > now or timelapse.captures.owed().exists():
        return ""
    return "at its end" if end == timelapse.end_at else f"after {timelapse.stop_after_days} days"


def _stop(timelapse: Timelapse, state: str, reason: str, *, by: str, rule: str = "") -> None:
    with _locked(timelapse) as (locked, now):
        fields: dict[str, Any] = {"completed_at": now} if state == State.COMPLETED else {}
        was_running = locked.state == State.RUNNING
        _move(locked, state, by=by, now=now, rule=rule, **fields)
        if was_running:
            ledger.skip_owed(locked, reason)
            versions.close_version(locked, now)


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


def _move(timelapse: Timelapse, state: str, *, by: str, now: datetime, rule: str = "", **fields: Any) -> None:
    if state not in ALLOWED[timelapse.state]:
        raise MoveRefused(f"This timelapse is {timelapse.state}; it cannot become {state}.")
    moved = Timelapse.objects.filter(pk=timelapse.pk, state=timelapse.state).update(state=state, **fields)
    if not moved:
        raise MoveRefused("Somebody else has just changed this timelapse; load the page again.")
    type_ = MOVED[timelapse.state, state]
    timelapse.state = state
    for name, value in fields.items():
        setattr(timelapse, name, value)
    _tell(type_, timelapse, by, now, rule=rule)
    if state == State.COMPLETED and of_timelapse(timelapse).settings.small_purge:
        _purge_smalls(timelapse)


def _purge_smalls(timelapse: Timelapse) -> None:
    lifecycle.record(
        "captures.purge_smalls",
        key=timelapse.topic,
        topic=timelapse.topic,
        title="Small pictures of a completed timelapse go",
        args={"timelapse": timelapse.pk},
        total=timelapse.image_count,
        unit="pictures",
        is_quiet=True,
    )


def _tell(
    type_: EventType,
    timelapse: Timelapse,
    by: str,
    now: datetime,
    *,
    rule: str = "",
    changed: dict[str, list[Any]] | None = None,
) -> None:
    """`changed` has what each field was and is."""
    payload = {
        "timelapse": timelapse.pk,
        "camera": timelapse.camera_id,
        "state": timelapse.state,
        "by": by,
        **({"rule": rule} if rule else {}),
        **({} if changed is None else {"changed": sorted(changed)}),
    }
    audit.note(type_.value, topic=timelapse.topic, by=by, rule=rule, facts=changed, now=now)
    emit(type_, timelapse.topic, payload, now=now)


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
