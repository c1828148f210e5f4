"""One picture, from the camera to its file and its row: read, judge, perhaps once more, store, then say so."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from cameras import connection, health, seats
from cameras.exceptions import MasksChanged, SealBroken
from cameras.geometry import GeometryRefused
from cameras.sources import BrokenPicture, SourceError, Still
from captures import filing, ledger, orders, quality
from captures.imaging.developing import develop
from captures.ledger import StoredPicture
from captures.models import Capture, JudgedPicture
from captures.quality import Rules, Shot
from media_jobs import clock, correlation, files
from media_jobs.exceptions import StorageError

Action = JudgedPicture.Action
# How often a picture is taken anew because masks were saved meanwhile: each time takes seconds, and drawing longer.
TRIES = 3
log = structlog.get_logger(__name__)


def take(capture_id: int, *, worker: str) -> None:
    """Takes the picture of one slot, if it is still owed. Whatever happens, the row says it."""
    capture = ledger.look(capture_id)
    looked = time.monotonic()
    if capture is None:
        return
    with seats.seat(capture.timelapse.camera.address) as is_seated:
        if not is_seated:
            orders.turn_away(capture_id)
            return
        if not ledger.claim(capture, worker=worker):
            return
        with correlation.following(capture.correlation_id):
            try:
                _take_by_masks_in_force(capture, looked)
            except BaseException:
                # Not known: the row must have its reason now, Celery's log the trace.
                ledger.fail(capture, "unexpected")
                raise


def _take_by_masks_in_force(capture: Capture, looked: float) -> None:
    """A picture that shows what was hidden while it was taken is not kept: another is taken."""
    for _ in range(TRIES):
        try:
            _take_seated(capture, looked)
        except MasksChanged:
            if not ledger.hold_on(capture, _instant(capture, looked)):
                return
            capture.timelapse.camera.refresh_from_db(fields=["geometry"])
        else:
            return
    ledger.fail(capture, "masks_changed")


def _take_seated(capture: Capture, looked: float) -> None:
    """`looked` is the steady clock's time of the look, whose instant `claimed_at` is by the database's clock.

    Raises MasksChanged; nothing of the picture is left then.
    """
    lateness = _instant(capture, looked) - capture.slot
    capture.lateness_ms = round(lateness / timedelta(milliseconds=1))
    try:
        rules = quality.rules_of(capture.timelapse)
    except GeometryRefused:
        ledger.fail(capture, "geometry_unreadable")
        return
    try:
        shot = _shoot(capture, rules, looked)
    except SourceError as error:
        _note_failure(capture, error.code, str(error))
        ledger.fail(capture, error.code, f"{error} {error.advice}")
        return
    except SealBroken as error:
        _note_failure(capture, "password_unreadable", str(error))
        ledger.fail(capture, "password_unreadable")
        return
    others: list[Shot] = []
    if quality.wants_another(shot, rules):
        if not ledger.hold_on(capture, _instant(capture, looked)):
            return
        shot, others = _shoot_again(capture, shot, rules, looked)
    if _settle(capture, shot, others, rules):
        quality.follow(capture, shot, others, rules, _instant(capture, looked))


def _shoot(capture: Capture, rules: Rules, looked: float) -> Shot:
    """Raises SourceError, SealBroken; that what came is broken is no error, but a picture to be judged."""
    try:
        still = connection.read_still(capture.timelapse.camera)
    except BrokenPicture as error:
        if error.encoded is None:
            return Shot(_instant(capture, looked), error=f"{error} {error.advice}")
        still = Still(error.encoded, None, 0, 0, error.codec, 0)  # the decoder sees its size
    return quality.look_at(still, rules, _instant(capture, looked))


def _shoot_again(capture: Capture, first: Shot, rules: Rules, looked: float) -> tuple[Shot, list[Shot]]:
    """The better one of two, and the other. Where the camera does not answer any more the first is what there is."""
    try:
        second = _shoot(capture, rules, looked)
    except (SourceError, SealBroken) as error:
        log.info("second_reading_failed", capture=capture.pk, error=str(error))
        return first, []
    kept, other = quality.better(first, second)
    return kept, [other]


def _instant(capture: Capture, looked: float) -> datetime:
    """Now, by the database's clock: this machine's own may be wrong."""
    assert capture.claimed_at is not None  # noqa: S101 - ledger.claim has set it
    return capture.claimed_at + timedelta(seconds=time.monotonic() - looked)


def _note_failure(capture: Capture, code: str, message: str) -> None:
    health.note_failure(capture.timelapse.camera_id, clock.now(), code=code, message=message)


def _settle(capture: Capture, shot: Shot, others: Sequence[Shot], rules: Rules) -> bool:
    """The picture's file and row. False where somebody else has decided, or the storage refuses.

    Raises MasksChanged.
    """
    action = quality.action_of(shot, rules)
    if action == Action.FAILED:
        _note_failure(capture, "broken_picture", shot.error)
        with transaction.atomic():
            quality.write(capture, shot, others, rules)
            return ledger.fail(capture, "broken_picture", shot.error)
    try:
        picture = _keep(capture, shot, rules, is_discarded=action == Action.DISCARDED)
    except StorageError as error:
        ledger.fail(capture, error.code, str(error))
        return False
    return _record(capture, picture, shot, others, rules)


def _keep(capture: Capture, shot: Shot, rules: Rules, *, is_discarded: bool) -> StoredPicture:
    """Writes the files, a discarded picture's into the quarantine. Raises StorageError."""
    negative, settings = shot.negative, rules.settings
    assert negative is not None  # noqa: S101 - what has none has failed
    made = develop(negative, rules.geometry, quality=settings.jpeg_quality)
    file = original = ""
    if not is_discarded or settings.quarantine_days:
        files.require_space()
        file = filing.frame_name(capture, made.suffix, filing.QUARANTINE if is_discarded else filing.FRAMES)
        files.write(file, made.data)
        # Never where there are masks: a negative then has no bytes of its own.
        if settings.keep_original and negative.own is not None and negative.own is not made.data:
            original = filing.frame_name(capture, negative.suffix, filing.ORIGINALS)
            try:
                files.write(original, negative.own)
            except StorageError:
                files.delete(file)
                raise
    return StoredPicture(
        file=file,
        bytes=len(made.data),
        width=made.width,
        height=made.height,
        codec=shot.codec,
        checksum=hashlib.sha256(made.data).hexdigest(),
        taken_at=shot.taken_at,
        original=original,
        score=shot.score,
        verdict=shot.verdict,
        is_flagged=shot.is_bad(rules) and not is_discarded,
    )


def _record(
    capture: Capture, picture: StoredPicture, shot: Shot, others: Sequence[Shot], rules: Rules
) -> bool:
    """The file's row, or no file. Raises MasksChanged, with neither."""
    try:
        with transaction.atomic():
            quality.write(capture, shot, others, rules)
            is_held = _move(capture, picture, shot, rules)
            if is_held and not quality.holds_masks(capture.timelapse.camera_id, rules):
                raise MasksChanged
            transaction.set_rollback(not is_held)
    except MasksChanged:
        capture.state = Capture.State.OWED  # again: all of it was undone
        files.delete(picture.file, picture.original)
        raise
    except BaseException:
        # Before the commit nothing can name the file. Once that was begun only the row knows how it went.
        if capture.state == Capture.State.OWED or ledger.fail(capture, "unexpected"):
            files.delete(picture.file, picture.original)
        raise
    if not is_held:
        files.delete(picture.file, picture.original)
    return is_held


def _move(capture: Capture, picture: StoredPicture, shot: Shot, rules: Rules) -> bool:
    if quality.action_of(shot, rules) != Action.DISCARDED:
        return ledger.store(capture, picture, rules.settings)
    until = None
    if picture.file:
        until = clock.now() + timedelta(days=rules.settings.quarantine_days)
    return ledger.discard(capture, picture, quality.words_of(shot), until=until)
