"""Every move of a capture: compare-and-swap on its row. What was owed has a row, what has a row has a reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import BigAutoField, Case, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Coalesce

from cameras import health, places
from cameras.models import Camera
from cameras.settings import Settings
from captures.models import Capture, CaptureQuerySet, Timelapse
from captures.reasons import reason_of, words_of
from media_jobs import clock, lifecycle
from media_jobs.events import EventType, emit

State = Capture.State
READ_MARGIN_S = 5
QUALITY = "quality"  # who has flagged what no person has


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """What is known of a picture whose file lies in the storage. `checksum` is its SHA-256, hexadecimal.

    `file` is empty where a discarded picture is not kept; `score` is None where nobody has judged it.
    """

    file: str
    bytes: int
    width: int
    height: int
    codec: str
    checksum: str
    taken_at: datetime
    original: str = ""
    score: int | None = None
    verdict: str = ""
    is_flagged: bool = False


def look(capture_id: int) -> Capture | None:
    """An owed capture with its timelapse and camera, and the instant of the look (`seen_at`); None for others."""
    rows = Capture.objects.owed().select_related("timelapse__camera").annotate(seen_at=clock.expression())
    return rows.filter(pk=capture_id).first()


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


def hold_on(capture: Capture, now: datetime) -> bool:
    """Its picture is taken once more: the lease lasts for a second reading. False where somebody else has decided."""
    return bool(_held(capture).update(lease_until=_lease_end(capture, now)))


def store(capture: Capture, picture: StoredPicture, settings: Settings | None = None) -> bool:
    """owed -> stored, with the counters and the thumbnail's job in one transaction.

    `settings` are the effective ones, where the caller has them.

    False where somebody else has decided meanwhile; the caller then removes its file.
    """
    now = clock.now()
    timelapse = capture.timelapse
    weather = places.reading_for(
        timelapse.camera, capture.slot, settings
    )  # from our own rows: nobody is asked
    with transaction.atomic():
        held = _held(capture).update(
            state=State.STORED,
            reason="",
            detail="",
            is_flagged=picture.is_flagged,
            flagged_by=QUALITY if picture.is_flagged else "",
            weather=weather,
            **_facts(capture, picture, now),
        )
        if not held:
            return False
        record_thumbnails(capture)
        # From here on the planner passes the timelapse over: what can be done before is done.
        count_stored(capture, is_flagged=picture.is_flagged)
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
                "score": picture.score,
                "verdict": picture.verdict,
            },
            now=now,
        )
        if picture.is_flagged:
            tell_flagged(capture, is_flagged=True, by=QUALITY, now=now)
        capture.state = State.STORED  # unless the commit, which alone is left, fails
    return True


def discard(capture: Capture, picture: StoredPicture, words: str, *, until: datetime | None) -> bool:
    """owed -> discarded: it was bad twice. Where its file is kept it can be restored `until` then.

    False where somebody else has decided meanwhile; the caller then removes its file.
    """
    now = clock.now()
    timelapse = capture.timelapse
    with transaction.atomic():
        held = _held(capture).update(
            state=State.DISCARDED,
            reason=reason_of(picture.verdict),
            detail=words,
            quarantine_until=until,
            **_facts(capture, picture, now),
        )
        if not held:
            return False
        Timelapse.objects.filter(pk=timelapse.pk).update(discarded_count=F("discarded_count") + 1)
        health.note_success(timelapse.camera_id, now)  # it has answered
        judged = {"reason": reason_of(picture.verdict), "score": picture.score, "verdict": picture.verdict}
        emit(EventType.CAPTURE_DISCARDED, timelapse.topic, {**names_of(capture), **judged}, now=now)
        capture.state = State.DISCARDED  # unless the commit, which alone is left, fails
    return True


def _facts(capture: Capture, picture: StoredPicture, now: datetime) -> dict[str, Any]:
    """What a row says of a picture that came, whatever became of it."""
    return {
        "lease_until": None,
        "lateness_ms": capture.lateness_ms,
        "duration_ms": _since_ms(capture.claimed_at, now),
        "taken_at": picture.taken_at,
        "file": picture.file,
        "original": picture.original,
        "bytes": picture.bytes,
        "width": picture.width,
        "height": picture.height,
        "codec": picture.codec,
        "checksum": picture.checksum,
        "score": picture.score,
        "verdict": picture.verdict,
    }


def count_stored(capture: Capture, *, is_flagged: bool) -> None:
    """One picture more, of the timelapse and of its camera, in the transaction that has stored it."""
    latest = Capture.objects.filter(pk=OuterRef("latest_capture"))
    is_newest = Q(latest_capture__isnull=True) | Exists(latest.filter(slot__lt=capture.slot))
    Timelapse.objects.filter(pk=capture.timelapse_id).update(
        image_count=F("image_count") + 1,
        flagged_count=F("flagged_count") + int(is_flagged),
        latest_capture=Case(
            When(is_newest, then=Value(capture.pk)), default=F("latest_capture"), output_field=BigAutoField()
        ),
    )
    camera = Camera.objects.filter(pk=capture.timelapse.camera_id)
    camera.update(image_count=F("image_count") + 1)


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


def tell_flagged(capture: Capture, *, is_flagged: bool, by: str, now: datetime) -> None:
    payload = {**names_of(capture), "is_flagged": is_flagged, "by": by}
    emit(EventType.CAPTURE_FLAGGED, capture.timelapse.topic, payload, now=now)


def _tell_gone(type_: EventType, capture: Capture, reason: str, detail: str, now: datetime) -> None:
    payload = {**names_of(capture), "reason": reason, "message": detail or words_of(reason)}
    emit(type_, capture.timelapse.topic, payload, now=now)
