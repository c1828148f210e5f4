"""Where the ledger and the files contradict each other: moves that repair makes, compare-and-swap, counters with them.

failed | missed -> stored: the frame lies there whole, only its row was never written
stored -> failed: the frame is gone or damaged
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery

from cameras.models import Camera
from captures.ledger import count_stored, names_of
from captures.models import Capture, Timelapse
from captures.reasons import words_of
from media_jobs import audit, clock
from media_jobs.events import EventType, emit

State = Capture.State
LOST, BROKEN = "file_lost", "file_broken"
# What can lie behind a failure whose frame is there: nobody came to write the row, or the file was away for a while.
HEALABLE = ("worker_lost", "unexpected", LOST, BROKEN)
RULE = "repair"


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """What a stored file says of itself. `checksum` is SHA-256, hexadecimal; `written_at` when it was written."""

    file: str
    bytes: int
    width: int
    height: int
    checksum: str
    written_at: datetime


def is_healable(capture: Capture) -> bool:
    """Whether a frame that lies there whole makes it stored."""
    is_lost = capture.state == State.FAILED and capture.reason in HEALABLE
    return is_lost or capture.state == State.MISSED


def heal(capture: Capture, facts: FrameFacts, *, by: str) -> bool:
    """failed | missed -> stored, as if its worker had come to write the row; its small pictures are the caller's.

    False where somebody was quicker.
    """
    now = clock.now()
    topic = capture.timelapse.topic
    held = Capture.objects.filter(pk=capture.pk, state=capture.state, reason=capture.reason)
    with transaction.atomic():
        if not held.update(
            state=State.STORED,
            reason="",
            detail="",
            lease_until=None,
            taken_at=capture.taken_at or facts.written_at,
            **_columns(facts),
        ):
            return False
        count_stored(capture, is_flagged=capture.is_flagged)
        _films_follow(capture)
        was = {"capture": capture.pk, "file": facts.file, "was": f"{capture.state}: {capture.reason}"}
        audit.note("capture_healed", topic=topic, by=by, rule=RULE, facts=was, now=now)
        counts = Timelapse.objects.values_list("image_count", "camera__image_count")
        own, of_camera = counts.get(pk=capture.timelapse_id)
        payload = {
            **names_of(capture),
            "taken_at": (capture.taken_at or facts.written_at).isoformat(),
            "lateness_ms": capture.lateness_ms,
            "image_count": own,
            "camera_image_count": of_camera,
            "day_number": capture.day_number,
            "bytes": facts.bytes,
            "score": capture.score,
            "verdict": capture.verdict,
        }
        emit(EventType.CAPTURE_STORED, topic, payload, now=now)
    return True


def lose(capture: Capture, reason: str, *, by: str) -> bool:
    """stored -> failed, because the frame is gone (LOST) or damaged (BROKEN). Its small pictures stay as evidence.

    False where somebody was quicker. It is healed again where the file comes back.
    """
    now = clock.now()
    topic = capture.timelapse.topic
    held = Capture.objects.stored().filter(pk=capture.pk, file=capture.file, checksum=capture.checksum)
    with transaction.atomic():
        if not held.update(state=State.FAILED, reason=reason, detail=words_of(reason), file=""):
            return False
        newest = Capture.objects.stored().filter(timelapse=OuterRef("pk")).order_by("-slot").values("pk")[:1]
        own = Timelapse.objects.filter(pk=capture.timelapse_id)
        own.update(
            image_count=F("image_count") - 1, flagged_count=F("flagged_count") - int(capture.is_flagged)
        )
        own.filter(Q(latest_capture=capture.pk)).update(latest_capture=Subquery(newest))
        Camera.objects.filter(pk=capture.timelapse.camera_id).update(image_count=F("image_count") - 1)
        _films_follow(capture)
        was = {"capture": capture.pk, "file": capture.file, "reason": reason}
        audit.note("capture_lost", topic=topic, by=by, rule=RULE, facts=was, now=now)
        payload = {**names_of(capture), "reason": reason, "message": words_of(reason)}
        emit(EventType.CAPTURE_FAILED, topic, payload, now=now)
    return True


def restate(capture: Capture, facts: FrameFacts, *, by: str) -> bool:
    """The row of a stored picture says what its file is now: another file, or the same in another place."""
    held = Capture.objects.stored().filter(pk=capture.pk, file=capture.file, checksum=capture.checksum)
    was = {
        "capture": capture.pk,
        "file": [capture.file, facts.file],
        "bytes": [capture.bytes, facts.bytes],
        "checksum": [capture.checksum, facts.checksum],
    }
    with transaction.atomic():
        if not held.update(**_columns(facts)):
            return False
        if facts.checksum != capture.checksum:
            _films_follow(capture)
        audit.note("capture_restated", topic=capture.timelapse.topic, by=by, rule=RULE, facts=was)
    return True


def _columns(facts: FrameFacts) -> dict[str, object]:
    return {
        "file": facts.file,
        "bytes": facts.bytes,
        "width": facts.width,
        "height": facts.height,
        "checksum": facts.checksum,
    }


def _films_follow(capture: Capture) -> None:
    Timelapse.objects.filter(pk=capture.timelapse_id).update(frames_revision=F("frames_revision") + 1)
