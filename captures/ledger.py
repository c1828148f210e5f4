"""Every move of a capture: compare-and-swap on its row. What was owed has a row, what has a row has a reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from cameras import health
from cameras.models import Camera
from captures.exceptions import CameraOff, NotRunning
from captures.models import Capture, CaptureQuerySet, Gap, Timelapse
from media_jobs import clock, lifecycle, outbox
from media_jobs.events import EventType, emit

State = Capture.State
READ_MARGIN_S = 5
BATCH = 1000
RESEND_AFTER = timedelta(seconds=3)
# A message's end is judged by the worker's own clock, `give_up_at` by the database's in `claim`, which decides. Past
# its end a message only takes room; until then it must not be dropped by a machine whose clock is wrong.
CLOCKS_APART = timedelta(seconds=60)

# Why there is no picture, in plain words. Codes of cameras' errors come with their own words.
REASONS: dict[str, str] = {
    "scheduler_was_down": "The scheduler was down at that time.",
    "schedule_error": "The schedule could not be calculated; the timelapse says why.",
    "not_sent_in_time": "The scheduler stopped between planning and sending this picture.",
    "no_worker": "No capture worker took it in time. Is one running, and is it fast enough?",
    "worker_lost": "The worker that was taking it went away.",
    "camera_busy": "Other pictures from the same address were still being taken. A longer interval helps.",
    "camera_disabled": "The camera was switched off here.",
    "timelapse_paused": "The timelapse was paused.",
    "timelapse_ended": "The timelapse was ended.",
    "disk_full": "The disk was full.",
    "storage_unwritable": "The media folder could not be written.",
    "storage_error": "The storage refused the file.",
    "broken_picture": "The picture was damaged.",
    "password_unreadable": "The camera's password was sealed with another key; enter it again.",
    "unexpected": "Something unexpected happened; the worker's log has the trace.",
}


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """What is known of a file that lies in the storage. `checksum` is SHA-256, hexadecimal."""

    file: str
    bytes: int
    width: int
    height: int
    codec: str
    checksum: str
    taken_at: datetime


def request_capture(timelapse: Timelapse, *, by: str) -> Capture:
    """One picture now, asked by a person. It is a slot like any other. Raises NotRunning, CameraOff."""
    with transaction.atomic():
        locked = (
            Timelapse.objects.select_related("camera")
            .select_for_update(of=("self", "camera"))
            .get(pk=timelapse.pk)
        )
        if locked.state != Timelapse.State.RUNNING:
            raise NotRunning
        if not locked.camera.is_enabled:
            raise CameraOff
        now = clock.now()
        capture = Capture.objects.create(
            timelapse=locked,
            slot=now,
            origin=Capture.Origin.PERSON,
            requested_by=by,
            give_up_at=now + timedelta(seconds=30),
            sent_at=now,
            day_number=locked.day_number(now),
        )
        transaction.on_commit(lambda: send(capture.pk, capture.give_up_at))
    return capture


def send(capture_id: int, give_up_at: datetime) -> bool:
    """Asks the capture pool to take it. False where the broker is away."""
    return outbox.send("captures.take", capture_id, expires=give_up_at + CLOCKS_APART)


def address_of(capture_id: int) -> str | None:
    """The address of the camera of an owed capture, or None where nothing is owed any more."""
    owed = Capture.objects.owed().filter(pk=capture_id)
    return owed.values_list("timelapse__camera__address", flat=True).first()


def turn_away(capture_id: int) -> None:
    """The camera's host is busy: leaves the capture to the planner's next tick, with a note for the sweep."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=clock.now())
    Capture.objects.owed().filter(free, pk=capture_id).update(sent_at=None, reason="camera_busy")


def note_sent(capture_ids: list[int], now: datetime) -> None:
    """Not for what was turned away, perhaps since it was sent: that is sent each second until somebody claims it."""
    Capture.objects.filter(pk__in=capture_ids, reason="").update(sent_at=now.astimezone(UTC))


def claim(capture_id: int, *, worker: str) -> Capture | None:
    """Takes an owed capture for `worker`, or None where it is done, taken, or too late."""
    now = clock.now()
    capture = Capture.objects.owed().select_related("timelapse__camera").filter(pk=capture_id).first()
    if capture is None:
        return None
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    won = (
        Capture.objects.owed()
        .filter(free, pk=capture_id, attempt=capture.attempt, give_up_at__gte=now)
        .update(
            reason="",
            sent_at=Coalesce("sent_at", now),
            claimed_at=now,
            attempt=F("attempt") + 1,
            worker=worker,
            lease_until=_lease_end(capture, now),
        )
    )
    if not won:
        return None
    capture.attempt += 1
    capture.claimed_at = now
    capture.worker = worker
    capture.lateness_ms = round((now - capture.slot).total_seconds() * 1000)
    return capture


def _lease_end(capture: Capture, now: datetime) -> datetime:
    """Until when a living worker has decided: it reads at once, and writes."""
    return now + timedelta(seconds=capture.timelapse.camera.deadline_s + READ_MARGIN_S)


def store(capture: Capture, picture: StoredPicture) -> bool:
    """owed -> stored, with the counters and the thumbnail's job in one transaction.

    False where somebody else has decided meanwhile; the caller then removes its file.
    """
    now = clock.now()
    timelapse = capture.timelapse
    with transaction.atomic():
        held = _held(capture).update(
            state=State.STORED,
            reason="",
            detail="",
            lease_until=None,
            taken_at=picture.taken_at,
            lateness_ms=capture.lateness_ms,
            duration_ms=_since_ms(capture.claimed_at, now),
            file=picture.file,
            bytes=picture.bytes,
            width=picture.width,
            height=picture.height,
            codec=picture.codec,
            checksum=picture.checksum,
        )
        if not held:
            return False
        Timelapse.objects.filter(pk=timelapse.pk).update(image_count=F("image_count") + 1)
        newest = Q(latest_capture__isnull=True) | Q(latest_capture__slot__lt=capture.slot)
        Timelapse.objects.filter(newest, pk=timelapse.pk).update(latest_capture=capture)
        Camera.objects.filter(pk=timelapse.camera_id).update(image_count=F("image_count") + 1)
        health.note_success(timelapse.camera_id, now)
        record_thumbnails(capture)
        counts = Timelapse.objects.values_list("image_count", "camera__image_count").get(pk=timelapse.pk)
        emit(
            EventType.CAPTURE_STORED,
            timelapse.topic,
            {
                **_names(capture),
                "taken_at": picture.taken_at.isoformat(),
                "lateness_ms": capture.lateness_ms,
                "image_count": counts[0],
                "camera_image_count": counts[1],
                "day_number": capture.day_number,
                "bytes": picture.bytes,
            },
            now=now,
        )
        capture.state = State.STORED  # unless the commit, which alone is left, fails
    return True


def record_thumbnails(capture: Capture) -> None:
    lifecycle.record(
        "captures.make_thumbnails",
        key=f"capture.{capture.pk}",
        topic=capture.timelapse.topic,
        title="Thumbnails",
        args={"capture": capture.pk},
        unit="pictures",
        is_quiet=True,
    )


def fail(capture: Capture, reason: str, detail: str = "") -> bool:
    """owed -> failed: it was tried."""
    now = clock.now()
    with transaction.atomic():
        held = _held(capture).update(
            state=State.FAILED,
            reason=reason,
            detail=detail or words_of(reason),
            lease_until=None,
            lateness_ms=capture.lateness_ms,
            duration_ms=_since_ms(capture.claimed_at, now),
        )
        if held:
            _tell_gone(EventType.CAPTURE_FAILED, capture, reason, detail, now)
    return bool(held)


def miss(capture: Capture, reason: str) -> bool:
    """owed -> missed: it was never tried."""
    now = clock.now()
    with transaction.atomic():
        held = _held(capture).update(
            state=State.MISSED, reason=reason, detail=words_of(reason), lease_until=None
        )
        if held:
            _tell_gone(EventType.CAPTURE_MISSED, capture, reason, "", now)
    return bool(held)


def skip_owed(timelapse: Timelapse, reason: str) -> int:
    """owed -> skipped for what nobody has begun: somebody decided that it is not wanted."""
    return (
        Capture.objects.owed()
        .filter(timelapse=timelapse, lease_until__isnull=True)
        .update(state=State.SKIPPED, reason=reason, detail=words_of(reason))
    )


def sweep(now: datetime) -> tuple[int, int]:
    """Gives up what is too late, sends again what was lost within its grace. Returns both counts."""
    late = Capture.objects.owed().filter(give_up_at__lt=now)
    untried = late.filter(lease_until__isnull=True)
    given_up = (
        _give_up(untried.filter(reason="camera_busy"), State.MISSED, "camera_busy", now)
        + _give_up(untried.filter(sent_at__isnull=True), State.MISSED, "not_sent_in_time", now)
        + _give_up(untried, State.MISSED, "no_worker", now)
        + _give_up(late.filter(lease_until__lt=now), State.FAILED, "worker_lost", now)
    )
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    lost = Q(sent_at__isnull=True) | Q(sent_at__lt=now - RESEND_AFTER)
    rows = Capture.objects.owed().filter(free, lost, slot__lte=now, give_up_at__gte=now)
    resent = [
        pk
        for pk, give_up_at in rows.order_by("slot").values_list("pk", "give_up_at")[:1000]
        if send(pk, give_up_at)
    ]
    note_sent(resent, now)
    return given_up, len(resent)


def release(worker: str) -> int:
    """Ends the leases of a former process of this name; the sweep then decides. Called when the worker starts."""
    return (
        Capture.objects.owed()
        .filter(worker=worker, lease_until__isnull=False)
        .update(lease_until=clock.now())
    )


def _give_up(late: CaptureQuerySet, state: str, reason: str, now: datetime) -> int:
    """Moves all of `late`, BATCH rows a transaction. Returns how many.

    Rows that somebody else holds just now are left to him, or to the next sweep.
    """
    given_up = 0
    while True:
        with transaction.atomic():
            rows = list(
                late.select_related("timelapse")
                .select_for_update(skip_locked=True, of=("self",))
                .order_by("timelapse_id", "slot")[:BATCH]
            )
            held = late.filter(pk__in=[row.pk for row in rows])
            held.update(state=state, reason=reason, detail=words_of(reason), lease_until=None)
            for _, several in groupby(rows, key=lambda row: row.timelapse_id):
                _tell_given_up(list(several), state, reason, now)
        given_up += len(rows)
        if len(rows) < BATCH:
            return given_up


def account(*, batch: int = BATCH, limit: int = 2000) -> int:
    """Turns gaps into rows, newest slots first, `batch` rows a transaction. Returns how many were written.

    At most `limit`, so that the sweep, which waits behind it, has its turn.
    """
    written = 0
    while written < limit and (gap := Gap.objects.order_by("-until_at").first()):
        written += _account_some(gap.pk, min(batch, limit - written))
    return written


@transaction.atomic
def _account_some(gap_id: int, batch: int) -> int:
    gaps = Gap.objects.select_related("timelapse", "schedule").select_for_update(of=("self",))
    gap = gaps.filter(pk=gap_id).first()
    if gap is None:  # somebody else was quicker
        return 0
    grid, timelapse = gap.schedule.grid, gap.timelapse
    left = grid.count(gap.from_at, gap.until_at)
    end = grid.index(grid.first_from(gap.until_at))
    slots = [grid.slot(end - k) for k in range(1, min(batch, left) + 1)]
    rows = [
        Capture(
            timelapse=timelapse,
            slot=slot,
            state=State.MISSED,
            reason=gap.reason,
            detail=words_of(gap.reason),
            give_up_at=slot + timelapse.grace,
            day_number=timelapse.day_number(slot),
        )
        for slot in slots
    ]
    Capture.objects.bulk_create(rows, ignore_conflicts=True)
    if left > len(slots):
        gap.until_at = slots[-1]
        gap.save(update_fields=["until_at"])
    else:
        gap.delete()
    return len(rows)


def words_of(reason: str) -> str:
    return REASONS.get(reason, reason.replace("_", " ").capitalize() + ".")


def _held(capture: Capture) -> CaptureQuerySet:
    return Capture.objects.owed().filter(pk=capture.pk, attempt=capture.attempt)


def _since_ms(start: datetime | None, end: datetime) -> int | None:
    return max(0, round((end - start).total_seconds() * 1000)) if start else None


def _names(capture: Capture) -> dict[str, object]:
    return {
        "capture": capture.pk,
        "timelapse": capture.timelapse_id,
        "camera": capture.timelapse.camera_id,
        "slot": capture.slot.isoformat(),
    }


def _tell_gone(type_: EventType, capture: Capture, reason: str, detail: str, now: datetime) -> None:
    payload = {**_names(capture), "reason": reason, "message": detail or words_of(reason)}
    emit(type_, capture.timelapse.topic, payload, now=now)


def _tell_given_up(captures: list[Capture], state: str, reason: str, now: datetime) -> None:
    """One event for what one timelapse lost at once for one reason, named by the newest of `captures`."""
    newest, timelapse = captures[-1], captures[-1].timelapse
    several = {"count": len(captures), "from": captures[0].slot.isoformat()} if len(captures) > 1 else {}
    payload = {**_names(newest), "reason": reason, "message": words_of(reason), **several}
    type_ = EventType.CAPTURE_FAILED if state == State.FAILED else EventType.CAPTURE_MISSED
    emit(type_, timelapse.topic, payload, now=now)
