"""Where the ledger and the files contradict each other: moves that repair makes, compare-and-swap, counters with them.

failed | missed -> stored: the frame lies there whole, only its row was never written
stored -> failed: the frame is gone or damaged

A frame that was never judged is judged when it is taken in. The checksum of a picture that was stored is the only
evidence of what it was: it is never written over by that of another one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery

from cameras.geometry import Geometry, GeometryRefused
from cameras.models import Camera
from cameras.sources import Still
from captures import quality
from captures.effective import of_timelapse
from captures.imaging.quality.past import Past
from captures.ledger import QUALITY, count_stored, names_of
from captures.models import Capture, Timelapse
from captures.quality import Rules, Shot
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


@dataclass(frozen=True, slots=True)
class Judged:
    """What a picture that lies in the storage was found to be; without a negative in `shot` it is none."""

    shot: Shot
    rules: Rules


def is_healable(capture: Capture, checksum: str) -> bool:
    """Whether a frame of this checksum makes it stored: it is not another one than the row knows of."""
    is_lost = capture.state == State.FAILED and capture.reason in HEALABLE
    is_its_own = not capture.checksum or capture.checksum == checksum
    return is_its_own and (is_lost or capture.state == State.MISSED)


def judge(capture: Capture, data: bytes, taken_at: datetime) -> Judged:
    """Judges what was stored, as it was stored, by itself: what came before it is not known any more.

    It may be flagged, and is never discarded: that would take away a picture that nobody can take again.
    """
    settings = replace(of_timelapse(capture.timelapse).settings, quality_discard=False)
    rules = Rules(settings, _masks_on_the_stored(capture), Past())
    return Judged(quality.look_at(Still(data, None, 0, 0, "", 0), rules, taken_at), rules)


def _masks_on_the_stored(capture: Capture) -> Geometry:
    """Detectors leave out what the masks cover, where it is known where they lie: nothing was turned or cut off."""
    try:
        geometry = Geometry.from_document(capture.timelapse.camera.geometry)
    except GeometryRefused:
        return Geometry()
    return geometry if geometry == geometry.only_masks else Geometry()


def heal(capture: Capture, facts: FrameFacts, judged: Judged | None = None, *, by: str) -> bool:
    """failed | missed -> stored, as if its worker had come to write the row; its small pictures are the caller's.

    Without `judged` it stays what it was found to be before. False where somebody was quicker.
    """
    now = clock.now()
    topic = capture.timelapse.topic
    is_flagged, score, verdict = capture.is_flagged, capture.score, capture.verdict
    if judged is not None:
        is_flagged = is_flagged or judged.shot.is_bad(judged.rules)
        score, verdict = judged.shot.score, judged.shot.verdict
    held = Capture.objects.filter(pk=capture.pk, state=capture.state, reason=capture.reason)
    with transaction.atomic():
        if not held.update(
            state=State.STORED,
            reason="",
            detail="",
            lease_until=None,
            taken_at=capture.taken_at or facts.written_at,
            score=score,
            verdict=verdict,
            is_flagged=is_flagged,
            flagged_by=QUALITY if is_flagged and not capture.is_flagged else capture.flagged_by,
            **_columns(facts),
        ):
            return False
        if judged is not None:
            quality.write(capture, judged.shot, [], judged.rules)
        count_stored(capture, is_flagged=is_flagged)
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
            "score": score,
            "verdict": verdict,
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
        # As it is now, under the row's lock: it may have been flagged since the row was read.
        is_flagged = held.select_for_update().values_list("is_flagged", flat=True).first()
        if not held.update(state=State.FAILED, reason=reason, detail=words_of(reason), file=""):
            return False
        newest = Capture.objects.stored().filter(timelapse=OuterRef("pk")).order_by("-slot").values("pk")[:1]
        own = Timelapse.objects.filter(pk=capture.timelapse_id)
        own.update(image_count=F("image_count") - 1, flagged_count=F("flagged_count") - int(bool(is_flagged)))
        own.filter(Q(latest_capture=capture.pk)).update(latest_capture=Subquery(newest))
        Camera.objects.filter(pk=capture.timelapse.camera_id).update(image_count=F("image_count") - 1)
        _films_follow(capture)
        was = {"capture": capture.pk, "file": capture.file, "reason": reason}
        audit.note("capture_lost", topic=topic, by=by, rule=RULE, facts=was, now=now)
        payload = {**names_of(capture), "reason": reason, "message": words_of(reason)}
        emit(EventType.CAPTURE_FAILED, topic, payload, now=now)
    return True


def restate(capture: Capture, facts: FrameFacts, *, by: str) -> bool:
    """The row of a stored picture says where its file is now, and how large.

    Only for the same content, or where the row knows nothing of its content.
    """
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
