"""One still, from the camera to its file and its row: read, check, store, then say so."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime, timedelta

from cameras import connection, health, seats
from cameras.exceptions import SealBroken
from cameras.sources import SourceError, Still
from captures import ledger, orders
from captures.imaging.errors import BrokenPicture
from captures.imaging.pictures import encode_jpeg, inspect_picture
from captures.ledger import StoredPicture
from captures.models import Capture
from media_jobs import clock, correlation, files
from media_jobs.exceptions import StorageError


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
                _take_seated(capture, looked)
            except BaseException:
                # Not known: the row must have its reason now, Celery's log the trace.
                ledger.fail(capture, "unexpected")
                raise


def _take_seated(capture: Capture, looked: float) -> None:
    """`looked` is the steady clock's time of the look, whose instant `claimed_at` is by the database's clock."""
    camera = capture.timelapse.camera
    lateness = _instant(capture, looked) - capture.slot
    capture.lateness_ms = round(lateness / timedelta(milliseconds=1))
    try:
        still = connection.read_still(camera)
    except SourceError as error:
        health.note_failure(camera.pk, clock.now(), code=error.code, message=str(error))
        ledger.fail(capture, error.code, f"{error} {error.advice}")
        return
    except SealBroken as error:
        health.note_failure(camera.pk, clock.now(), code="password_unreadable", message=str(error))
        ledger.fail(capture, "password_unreadable")
        return
    try:
        picture = _keep(capture, still, _instant(capture, looked))
    except BrokenPicture as error:
        health.note_failure(camera.pk, clock.now(), code="broken_picture", message=str(error))
        ledger.fail(capture, "broken_picture", str(error))
    except StorageError as error:
        ledger.fail(capture, error.code, str(error))
    else:
        _record(capture, picture)


def _instant(capture: Capture, looked: float) -> datetime:
    """Now, by the database's clock: this machine's own may be wrong."""
    assert capture.claimed_at is not None  # noqa: S101 - ledger.claim has set it
    return capture.claimed_at + timedelta(seconds=time.monotonic() - looked)


def _record(capture: Capture, picture: StoredPicture) -> None:
    """The file's row, or no file."""
    try:
        is_stored = ledger.store(capture, picture)
    except BaseException:
        # Before the commit nothing can name the file. Once that was begun only the row knows how it went.
        if capture.state == Capture.State.OWED or ledger.fail(capture, "unexpected"):
            files.delete(picture.file)
        raise
    if not is_stored:
        files.delete(picture.file)


def _keep(capture: Capture, still: Still, taken_at: datetime) -> StoredPicture:
    """Stores the camera's own bytes where it gave some, else one encoding. Raises BrokenPicture, StorageError."""
    if still.encoded is not None:
        data = still.encoded
        facts = inspect_picture(data)
        width, height, suffix = facts.width, facts.height, facts.format.lower().replace("jpeg", "jpg")
    elif still.pixels is not None:
        data = encode_jpeg(still.pixels)
        height, width = still.pixels.shape[:2]
        suffix = "jpg"
    else:
        raise BrokenPicture("The camera gave neither bytes nor pixels.")
    files.require_space()
    name = frame_name(capture, suffix)
    files.write(name, data)
    return StoredPicture(
        file=name,
        bytes=len(data),
        width=width,
        height=height,
        codec=still.codec,
        checksum=hashlib.sha256(data).hexdigest(),
        taken_at=taken_at,
    )


def frame_name(capture: Capture, suffix: str) -> str:
    """Where a frame lies, relative to the media folder: sharded by local day.

    A second attempt has a name of its own, so that a straggler cannot write over the file that counts.
    """
    again = f"-{capture.attempt}" if capture.attempt > 1 else ""
    return derived_name(capture, "frames", f"{capture.pk}{again}.{suffix}")


def derived_name(capture: Capture, kind: str, ending: str) -> str:
    timelapse = capture.timelapse
    day = capture.slot.astimezone(timelapse.zone).date().isoformat()
    slot = capture.slot.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    root = f"cameras/{timelapse.camera_id}/timelapses/{timelapse.pk}"
    return f"{root}/{kind}/{day}/{slot}_{ending}"
