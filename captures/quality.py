"""A camera's picture is judged, and what comes of it: kept, taken once more, flagged or discarded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

import cv2
import structlog
from django.db import transaction

from cameras.geometry import Geometry, GeometryRefused
from cameras.models import Camera
from cameras.settings import Settings
from cameras.sources import Still
from captures import conditions, degraded
from captures.effective import of_timelapse
from captures.imaging.developing import Negative, expose
from captures.imaging.errors import BrokenPicture
from captures.imaging.quality.contract import Evaluation, Sort
from captures.imaging.quality.past import Past
from captures.imaging.quality.score import evaluate
from captures.models import CameraPast, Capture, JudgedPicture, Timelapse
from media_jobs import audit

Action = JudgedPicture.Action
UNDECODABLE = "undecodable"
ALL_HIDDEN = 0.98  # of the picture: what is left tells nothing
_MASKS_BYTES = 16
# What pixels and what is remembered of others can raise in code that looks at them: it never costs a picture.
_FAILURES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    cv2.error,
)
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts for one capture: the settings, the camera's geometry, and what is remembered of the camera."""

    settings: Settings
    geometry: Geometry
    past: Past = field(repr=False)

    @property
    def threshold(self) -> int:
        return self.settings.quality_threshold


@dataclass(frozen=True, slots=True)
class Shot:
    """What the camera gave once. Without `negative` nothing in it decodes, without `evaluation` it was not judged.

    `error` says why.
    """

    taken_at: datetime
    codec: str = ""
    negative: Negative | None = None
    evaluation: Evaluation | None = None
    error: str = ""

    @property
    def score(self) -> int | None:
        if self.negative is None:
            return 0
        return None if self.evaluation is None else self.evaluation.score

    @property
    def verdict(self) -> str:
        if self.negative is None:
            return UNDECODABLE
        return "" if self.evaluation is None else self.evaluation.verdict

    @property
    def sort(self) -> Sort | None:
        if self.negative is None:
            return Sort.DAMAGE
        return None if self.evaluation is None else self.evaluation.sort

    def is_bad(self, rules: Rules) -> bool:
        """Below the threshold; what could not be judged is not."""
        return self.score is not None and self.score < rules.threshold


def rules_of(timelapse: Timelapse) -> Rules:
    """Raises GeometryRefused: nothing may be stored of a camera whose masks cannot be read."""
    settings, camera = of_timelapse(timelapse).settings, timelapse.camera
    geometry = Geometry.from_document(camera.geometry)
    return Rules(settings, geometry, _remembered(camera, geometry) if settings.quality_enabled else Past())


def holds_masks(camera_id: int, rules: Rules) -> bool:
    """Whether the camera's masks are those of `rules`; they then stay so until the caller's transaction ends."""
    held = Camera.objects.select_for_update(no_key=True).filter(pk=camera_id)
    try:
        now = Geometry.from_document(held.values_list("geometry", flat=True).first() or {})
    except GeometryRefused:
        return False
    return now.only_masks == rules.geometry.only_masks


def look_at(still: Still, rules: Rules, taken_at: datetime) -> Shot:
    """Decodes a picture, once, and judges it. Raises nothing because of what a camera gave."""
    settings = rules.settings
    heavy = settings.quality_enabled and settings.quality_heavy
    try:
        negative = expose(still, rules.geometry, heavy=heavy)
    except BrokenPicture as error:
        return Shot(taken_at, error=str(error))
    if not settings.quality_enabled:
        # Nobody looks at it: then at least the file has to be whole.
        file = negative.picture.file
        if file is not None and file.error:
            return Shot(taken_at, error=file.error)
        return Shot(taken_at, still.codec, negative)
    hidden = negative.picture.hidden
    if hidden is not None and hidden.mean() > ALL_HIDDEN:
        return Shot(taken_at, still.codec, negative, error="The masks hide all of it.")
    try:
        found = evaluate(
            negative.picture, heavy=heavy, past=rules.past, ignored=frozenset(settings.quality_ignored)
        )
    except _FAILURES as error:
        log.exception("quality_not_judged")
        return Shot(taken_at, still.codec, negative, error=_words(error))
    for reading in found.readings:
        if reading.error:
            log.warning("detector_failed", detector=reading.detector, error=reading.error)
    return Shot(taken_at, still.codec, negative, found)


def wants_another(shot: Shot, rules: Rules) -> bool:
    """Whether the picture is taken once more, at once."""
    return rules.settings.quality_enabled and rules.settings.quality_retry and shot.is_bad(rules)


def better(first: Shot, second: Shot) -> tuple[Shot, Shot]:
    """The better one, then the other. Of equals the first, which is nearer to its slot; what decodes before what does
    not, and what could not be judged before what is bad.
    """

    def merit(shot: Shot) -> tuple[bool, int]:
        return shot.negative is not None, 100 if shot.score is None else shot.score

    return (second, first) if merit(second) > merit(first) else (first, second)


def action_of(kept: Shot, rules: Rules) -> JudgedPicture.Action:
    """What is done with the picture that was the better one, or the only one."""
    if kept.negative is None:
        return Action.FAILED
    if not kept.is_bad(rules):
        return Action.SAVED
    is_discarded = rules.settings.quality_discard and kept.sort is Sort.DAMAGE
    return Action.DISCARDED if is_discarded else Action.FLAGGED


def words_of(shot: Shot) -> str:
    """Why it is bad, for people."""
    findings = shot.evaluation.findings if shot.evaluation else ()
    return f"Found: {', '.join(findings) or shot.verdict}. Score {shot.score} of 100."


def write(capture: Capture, kept: Shot, others: Sequence[Shot], rules: Rules) -> None:
    """A row for each picture that was judged, in the caller's transaction."""
    if not rules.settings.quality_enabled:
        return
    rows = [_row(capture, shot, Action.RETRIED, rules) for shot in others]
    rows.append(_row(capture, kept, action_of(kept, rules), rules))
    JudgedPicture.objects.bulk_create(rows)


def follow(capture: Capture, kept: Shot, others: Sequence[Shot], rules: Rules, now: datetime) -> None:
    """What the picture means for its camera: its past, degraded mode, and what somebody should look at."""
    camera = capture.timelapse.camera
    if not rules.settings.quality_enabled:
        # What judging has begun nothing else would ever end.
        conditions.end(camera, now)
        if camera.is_degraded:
            degraded.leave(camera, by=audit.CLOCK)
        return
    if kept.score is None:
        return
    if kept.negative is not None and kept.evaluation is not None:
        _remember(camera, rules, kept.negative, kept.evaluation, kept.taken_at)
        conditions.note(camera, kept.evaluation, rules.settings, now)
    bad = sum(shot.is_bad(rules) for shot in (kept, *others))
    if kept.sort is Sort.CONDITION and not bad:
        return  # a frozen picture is not bad, and no proof that the camera is well again
    degraded.note(camera.pk, rules.settings, now, is_bad=kept.is_bad(rules), bad=bad)


def _row(capture: Capture, shot: Shot, action: JudgedPicture.Action, rules: Rules) -> JudgedPicture:
    found = shot.evaluation
    return JudgedPicture(
        camera_id=capture.timelapse.camera_id,
        capture=capture,
        at=shot.taken_at,
        score=shot.score or 0,
        fast=found.fast if found else 0,
        heavy=found.heavy if found else None,
        verdict=shot.verdict,
        sort=shot.sort or "",
        readings=[asdict(reading) for reading in found.readings] if found else [],
        action=action,
        is_bad=shot.is_bad(rules),
        elapsed_ms=found.elapsed_ms if found else 0,
        error=shot.error[:200] if shot.negative is not None else "",
    )


def _remembered(camera: Camera, geometry: Geometry) -> Past:
    """What was seen below other masks is no past of this one, and is written over by its next picture."""
    row = CameraPast.objects.filter(camera=camera).values_list("remembered", flat=True).first()
    data = bytes(row) if row is not None else b""
    return Past.from_bytes(data[_MASKS_BYTES:]) if data[:_MASKS_BYTES] == _masks(geometry) else Past()


def _remember(camera: Camera, rules: Rules, negative: Negative, evaluation: Evaluation, at: datetime) -> None:
    try:
        data = rules.past.followed(negative.picture, evaluation, at).to_bytes()
    except _FAILURES:
        log.exception("past_not_followed", camera=camera.pk)
        return
    row = CameraPast(camera=camera, remembered=_masks(rules.geometry) + data, updated_at=at)
    with transaction.atomic():
        # Otherwise it shows what is hidden now, and has just been forgotten for that.
        if holds_masks(camera.pk, rules):
            CameraPast.objects.bulk_create(
                [row],
                update_conflicts=True,
                unique_fields=["camera"],
                update_fields=["remembered", "updated_at"],
            )


def _masks(geometry: Geometry) -> bytes:
    written = json.dumps(geometry.only_masks.to_document(), sort_keys=True)
    return hashlib.blake2b(written.encode(), digest_size=_MASKS_BYTES).digest()


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
