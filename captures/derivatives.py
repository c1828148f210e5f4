"""Thumbnail and small of a stored picture, made from one reduced decode."""

from __future__ import annotations

from typing import Any

from captures.imaging.errors import BrokenPicture
from captures.imaging.thumbnails import make_thumbnails
from captures.ingest import derived_name
from captures.models import Capture
from media_jobs import files
from media_jobs.events import EventType, emit
from media_jobs.exceptions import WorkFailed
from media_jobs.tracked import Running


def make(running: Running) -> dict[str, Any]:
    """Makes both for the capture that the job names. Doing it again does no harm."""
    capture = Capture.objects.stored().select_related("timelapse").filter(pk=running.args["capture"]).first()
    if capture is None:
        raise WorkFailed("The picture is gone.", code="not_found")
    try:
        made = make_thumbnails(files.read(capture.file))
    except BrokenPicture as error:
        raise WorkFailed(str(error), code="broken_picture") from error
    except OSError as error:
        raise WorkFailed(
            f"The picture's file cannot be read: {error.strerror}.", code="file_missing", is_passing=True
        ) from error
    thumbnail = derived_name(capture, "thumbnails", f"{capture.pk}.jpg")
    small = derived_name(capture, "smalls", f"{capture.pk}.jpg")
    files.write(thumbnail, made.thumbnail)
    files.write(small, made.small)
    if not Capture.objects.stored().filter(pk=capture.pk).update(thumbnail=thumbnail, small=small):
        files.delete(thumbnail, small)  # the picture went while they were made
        raise WorkFailed("The picture is gone.", code="not_found")
    payload = {
        "capture": capture.pk,
        "timelapse": capture.timelapse_id,
        "camera": capture.timelapse.camera_id,
    }
    emit(EventType.THUMBNAIL_READY, capture.timelapse.topic, payload)
    return {"thumbnail_bytes": len(made.thumbnail), "small_bytes": len(made.small)}
