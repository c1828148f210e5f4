"""Every move of a capture: compare-and-swap on its row. What was owed has a row, what has a row has a reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import BigAutoField, Case, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Coalesce

from cameras import health, places
from cameras.models import Camera
from captures.exceptions import CameraOff, NotRunning
from captures.models import Capture, CaptureQuerySet, Timelapse
from media_jobs import audit, clock, correlation, lifecycle, outbox
from media_jobs.events import EventType, emit

State = Capture.State
READ_MARGIN_S = 5
BROKER_AWAY = "broker_away"
FIRST_SENT = (  # built by Django it would cost more than the statement itself
    f"UPDATE {Capture._meta.db_table} SET sent_at = COALESCE(sent_at, CASE id {{whens}} END), reason = ''"  # noqa: S608 - the model's name
    " WHERE id IN ({ids}) AND reason IN (%s, %s)"
)
# A message's end is judged by the worker's own clock, `give_up_at` by the database's in `claim`, which decides. Past
# its end a message only takes room; until then it must not be dropped by a machine whose clock is wrong.
CLOCKS_APART = timedelta(seconds=60)

# Why there is no picture, in plain words. Codes of cameras' errors come with their own words.
REASONS: dict[str, str] = {
    "scheduler_was_down": "Nothing was planned then: the scheduler, its broker or the database was away.",
    "not_planned_in_time": "The scheduler was at work, and came to this timelapse too late.",
    "schedule_error": "The schedule could not be calculated; the timelapse says why.",
    "not_sent_in_time": "The scheduler stopped between planning and sending this picture.",
    BROKER_AWAY: "The broker was away, so that no worker could be told.",
    "no_worker": "No capture worker took it in time. Is one running, and is it fast enough?",
    "no_worker_of_the_site": "No capture worker of the camera's site took it in time. Is one running there?",
    "worker_lost": "The worker that was taking it went away.",
    "camera_busy": "Other pictures from the same address were still being taken. A longer interval helps.",
    "camera_disabled": "The camera was switched off here.",
    "timelapse_paused": "The timelapse was paused.",
    "timelapse_ended": "The timelapse was ended.",
    "enough_captures": "The last of the pictures that it was to take was being taken.",
    "cancelled": "Somebody cancelled it.",
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
            Timelapse.objects.select_related("camera__site")
            .select_for_update(of=("self", "camera"))
            .get(pk=timelapse.pk)
        )
        if locked.state != Timelapse.State.RUNNING:
            raise NotRunning
        if not locked.camera.is_enabled:
            raise CameraOff
        limit = locked.stop_after_captures
        if limit is not None and locked.image_count + locked.captures.owed().count() >= limit:
            raise NotRunning(
                f"It has the {limit} pictures that it was to take, or is taking the last of them."
            )
        now = clock.now()
        capture = Capture.objects.create(
            timelapse=locked,
            slot=now,
            origin=Capture.Origin.PERSON,
            requested_by=by,
            correlation_id=correlation.current() or correlation.new(),
            give_up_at=now + timedelta(seconds=30),
            sent_at=now,
            day_number=locked.day_number(now),
        )
        audit.note(
            EventType.CAPTURE_NOW_REQUESTED, topic=locked.topic, by=by, facts={"capture": capture.pk}, now=now
        )
        payload = {**names_of(capture), "by": by}
        emit(EventType.CAPTURE_NOW_REQUESTED, locked.topic, payload, now=now)
        site = locked.camera.site.slug if locked.camera.site else None
        transaction.on_commit(lambda: send(capture.pk, capture.give_up_at, site=site))
    return capture


def send(capture_id: int, give_up_at: datetime, *, site: str | None) -> bool:
    """Asks the capture pool, or that of the camera's `site` (its slug), to take it. False where the broker is away."""
    queue = settings.CAPTURE_QUEUE_OF(site)
    return outbox.send("captures.take", capture_id, expires=give_up_at + CLOCKS_APART, queue=queue)


def look(capture_id: int) -> Capture | None:
    """An owed capture with its timelapse and camera, and the instant of the look (`seen_at`); None for others."""
    rows = Capture.objects.owed().select_related("timelapse__camera").annotate(seen_at=clock.expression())
    return rows.filter(pk=capture_id).first()


def turn_away(capture_id: int) -> None:
    """The camera's host is busy: leaves the capture to the planner's next tick, with a note for the sweep."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=clock.now())
    Capture.objects.owed().filter(free, pk=capture_id).update(sent_at=None, reason="camera_busy")


def note_sent(capture_ids: list[int], now: datetime) -> None:
    """Not for what was turned away, perhaps since it was sent: that is sent each second until somebody claims it."""
    rows = Capture.objects.filter(pk__in=capture_ids, reason__in=["", BROKER_AWAY])
    rows.update(sent_at=now.astimezone(UTC), reason="")


def note_first_sent(sent: dict[int, datetime]) -> None:
    """As `note_sent`, of what was sent at these instants: one statement that leaves alone what a claim wrote."""
    if not sent:
        return
    adapt = connection.ops.adapt_datetimefield_value
    moments = [part for pk, at in sent.items() for part in (pk, adapt(at.astimezone(UTC)))]
    whens, ids = " ".join(["WHEN %s THEN %s"] * len(sent)), ", ".join(["%s"] * len(sent))
    with connection.cursor() as cursor:
        cursor.execute(FIRST_SENT.format(whens=whens, ids=ids), [*moments, *sent, "", BROKER_AWAY])


def note_refused(capture_ids: list[int]) -> None:
    """The broker took no message: a note for the sweep, should their grace pass so."""
    rows = Capture.objects.owed().filter(pk__in=capture_ids, lease_until__isnull=True, reason="")
    rows.update(reason=BROKER_AWAY)


def claim(capture: Capture, *, worker: str) -> bool:
    """Takes an owed capture, which was just looked at, for `worker`. False where it is done, taken, or too late."""
    now: datetime = capture.seen_at  # type: ignore[attr-defined] # look() gives it
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    if not capture.timelapse.camera.is_enabled:  # since it was planned
        _held(capture).filter(free).update(
            state=State.SKIPPED,
            reason="camera_disabled",
            detail=words_of("camera_disabled"),
            lease_until=None,
        )
        return False
    won = (
        Capture.objects.owed()
        .filter(free, pk=capture.pk, attempt=capture.attempt, give_up_at__gte=now)
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
        return False
    capture.attempt += 1
    capture.claimed_at = now
    capture.worker = worker
    capture.lateness_ms = round((now - capture.slot).total_seconds() * 1000)
    return True


def _lease_end(capture: Capture, now: datetime) -> datetime:
    """Until when a living worker has decided: it reads at once, and writes."""
    return now + timedelta(seconds=capture.timelapse.camera.deadline_s + READ_MARGIN_S)


def store(capture: Capture, picture: StoredPicture) -> bool:
    """owed -> stored, with the counters and the thumbnail's job in one transaction.

    False where somebody else has decided meanwhile; the caller then removes its file.
    """
    now = clock.now()
    timelapse = capture.timelapse
    weather = places.reading_for(timelapse.camera, capture.slot)  # from our own rows: nobody is asked
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
            weather=weather,
        )
        if not held:
            return False
        record_thumbnails(capture)
        _count(capture)  # from here on the planner passes the timelapse over: what can be done before is done
        Camera.objects.filter(pk=timelapse.camera_id).update(image_count=F("image_count") + 1)
        health.note_success(timelapse.camera_id, now)
        counts = Timelapse.objects.values_list("image_count", "camera__image_count").get(pk=timelapse.pk)
        emit(
            EventType.CAPTURE_STORED,
            timelapse.topic,
            {
                **names_of(capture),
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


def _count(capture: Capture) -> None:
    latest = Capture.objects.filter(pk=OuterRef("latest_capture"))
    is_newest = Q(latest_capture__isnull=True) | Exists(latest.filter(slot__lt=capture.slot))
    Timelapse.objects.filter(pk=capture.timelapse_id).update(
        image_count=F("image_count") + 1,
        latest_capture=Case(
            When(is_newest, then=Value(capture.pk)), default=F("latest_capture"), output_field=BigAutoField()
        ),
    )


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


def words_of(reason: str) -> str:
    return REASONS.get(reason, reason.replace("_", " ").capitalize() + ".")


def _held(capture: Capture) -> CaptureQuerySet:
    return Capture.objects.owed().filter(pk=capture.pk, attempt=capture.attempt)


def _since_ms(start: datetime | None, end: datetime) -> int | None:
    return max(0, round((end - start).total_seconds() * 1000)) if start else None


def names_of(capture: Capture) -> dict[str, object]:
    """How an event names a capture."""
    return {
        "capture": capture.pk,
        "timelapse": capture.timelapse_id,
        "camera": capture.timelapse.camera_id,
        "slot": capture.slot.isoformat(),
    }


def _tell_gone(type_: EventType, capture: Capture, reason: str, detail: str, now: datetime) -> None:
    payload = {**names_of(capture), "reason": reason, "message": detail or words_of(reason)}
    emit(type_, capture.timelapse.topic, payload, now=now)
