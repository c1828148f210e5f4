"""Thumbnail and small of a stored picture, made from one reduced decode, as the settings of its timelapse say."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from cameras.effective import globally
from captures.effective import of_timelapse
from captures.filing import derived_name
from captures.imaging.errors import BrokenPicture
from captures.imaging.thumbnails import Box, make_thumbnails
from captures.models import Capture, Timelapse
from captures.pictures import digest_of
from media_jobs import batches, files
from media_jobs.events import EventType, emit
from media_jobs.exceptions import WorkFailed
from media_jobs.models import MediaJob
from media_jobs.tracked import Running

OVER = (Timelapse.State.COMPLETED, Timelapse.State.ARCHIVED)
LOOK_BACK = 200  # pictures; nothing finds a small by itself, and each picture looks only behind itself


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which derived pictures a timelapse is to have. `small` is None where none is wanted."""

    thumbnail: Box
    small: Box | None
    is_latest_only: bool = False

    def has_all(self, capture: Capture, newest_id: int | None) -> bool:
        """Whether its row says that what is wanted of it is there, and nothing else."""
        return bool(capture.thumbnail) and bool(capture.small) == self.wants_small(capture, newest_id)

    def wants_small(self, capture: Capture, newest_id: int | None) -> bool:
        return self.small is not None and (not self.is_latest_only or capture.pk == newest_id)


@dataclass(frozen=True, slots=True)
class Made:
    """Bytes of the files that were written; 0 for a small that is not wanted."""

    thumbnail_bytes: int
    small_bytes: int


def wanted_of(timelapse: Timelapse) -> Wanted:
    """Reads the camera: select it along for many."""
    said = of_timelapse(timelapse).settings
    is_purged = said.small_purge and timelapse.state in OVER
    has_small = said.small_mode != "disabled" and not is_purged
    return Wanted(
        thumbnail=Box(said.thumbnail_width, said.thumbnail_height, said.thumbnail_quality),
        small=Box(said.small_width, said.small_height, said.small_quality) if has_small else None,
        is_latest_only=said.small_mode == "latest",
    )


def make(running: Running) -> dict[str, Any]:
    """Makes both for the capture that the job names, and for those of further jobs that wait. Again does no harm.

    Further ones only of what follows captures: claimed and finished together they cost less (docs/derivatives.md).
    """
    job = running.job
    result = _made(job)
    if job.priority == MediaJob.Priority.MEDIUM:
        batches.take_along(running, result, _made, load.batch(job) - 1)
    return result


def _made(job: MediaJob) -> dict[str, Any]:
    rows = Capture.objects.stored().select_related("timelapse__camera")
    capture = rows.filter(pk=job.args["capture"]).first()
    if capture is None:
        raise WorkFailed("The picture is gone.", code="not_found")
    began = time.monotonic()
    try:
        made = derive(capture, wanted_of(capture.timelapse), is_told=True)
    except BrokenPicture as error:
        raise WorkFailed(str(error), code="broken_picture") from error
    except OSError as error:
        raise WorkFailed(
            f"The picture's file cannot be read: {error.strerror}.", code="file_missing", is_passing=True
        ) from error
    if made is None:
        raise WorkFailed("The picture is gone.", code="not_found")
    return {
        "thumbnail_bytes": made.thumbnail_bytes,
        "small_bytes": made.small_bytes,
        "elapsed_ms": round((time.monotonic() - began) * 1000, 1),
    }


class Load:
    """How many pictures one worker makes in one go: more while many wait, until few do."""

    HIGH_BATCH = 25
    FEW = 5  # high load ends where fewer than a fifth of what began it wait

    def __init__(self) -> None:
        self._is_high = False

    def batch(self, job: MediaJob) -> int:
        said = globally()
        line = MediaJob.objects.filter(state=MediaJob.State.QUEUED, queue=job.queue, task=job.task)
        waiting = line[: said.thumbnail_high_load].count()
        begins, goes_on = said.thumbnail_high_load, said.thumbnail_high_load / self.FEW
        self._is_high = waiting >= (goes_on if self._is_high else begins)
        return max(self.HIGH_BATCH, said.thumbnail_batch) if self._is_high else said.thumbnail_batch


load = Load()


def derive(
    capture: Capture, wanted: Wanted, *, newest_id: int | None = None, is_told: bool = False
) -> Made | None:
    """Makes what is wanted of a stored capture: files first, then the row, then what it replaces goes.

    `newest_id` is the timelapse's newest picture, asked for where it is not given. None where the capture was changed
    or went meanwhile; nothing is left behind then. Raises BrokenPicture, OSError, StorageError.
    """
    newest_id = newest_id or newest_of(capture.timelapse_id)
    small = wanted.small if wanted.wants_small(capture, newest_id) else None
    pictures = make_thumbnails(files.read(capture.file), thumbnail=wanted.thumbnail, small=small)
    names = {
        "thumbnail": _written(capture, "thumbnails", pictures.thumbnail),
        "small": _written(capture, "smalls", pictures.small),
    }
    made = Made(len(pictures.thumbnail), len(pictures.small))
    if not _noted(capture, names, made, is_told=is_told):
        files.delete(*(name for field, name in names.items() if name != getattr(capture, field)))
        return None
    files.delete(*(old for field in names if (old := getattr(capture, field)) and old != names[field]))
    capture.thumbnail, capture.small = names["thumbnail"], names["small"]
    if wanted.is_latest_only:
        _leave_newest(capture)
    return made


def newest_of(timelapse_id: int) -> int | None:
    row = Timelapse.objects.filter(pk=timelapse_id).values_list("latest_capture", flat=True).first()
    return row or None


@dataclass(frozen=True, slots=True)
class Dropped:
    """Files that were there and are gone, and their bytes."""

    files: int = 0
    bytes: int = 0


def drop_smalls(captures: Iterable[Capture]) -> Dropped:
    """Removes the small pictures of these, files first."""
    return _drop(captures, "small")


def drop_all(captures: Iterable[Capture]) -> Dropped:
    """Removes the small pictures and the thumbnails of these, files first."""
    found = list(captures)
    smalls, thumbnails = _drop(found, "small"), _drop(found, "thumbnail")
    return Dropped(smalls.files + thumbnails.files, smalls.bytes + thumbnails.bytes)


def _drop(captures: Iterable[Capture], field: str) -> Dropped:
    names = {capture.pk: name for capture in captures if (name := getattr(capture, field))}
    sizes = [size for name in names.values() if (size := files.size(name)) is not None]
    files.delete(
        *names.values()
    )  # a row without its file falls back to another size; a file without a row is litter
    for pk, name in names.items():
        Capture.objects.filter(pk=pk, **{field: name}).update(**{field: "", f"{field}_bytes": 0})
    return Dropped(len(sizes), sum(sizes))


def _written(capture: Capture, kind: str, data: bytes) -> str:
    if not data:
        return ""
    name = derived_name(capture, kind, f"{capture.pk}-{digest_of(data)}.jpg")
    files.write(name, data)
    return name


def _noted(capture: Capture, names: dict[str, str], made: Made, *, is_told: bool) -> bool:
    """Whether the row is still of the frame that they were made from."""
    with transaction.atomic():
        held = (
            Capture.objects.stored()
            .filter(pk=capture.pk, checksum=capture.checksum)
            .update(**names, thumbnail_bytes=made.thumbnail_bytes, small_bytes=made.small_bytes)
        )
        if held and is_told:
            payload = {
                "capture": capture.pk,
                "timelapse": capture.timelapse_id,
                "camera": capture.timelapse.camera_id,
            }
            emit(EventType.THUMBNAIL_READY, capture.timelapse.topic, payload)
    return bool(held)


def _leave_newest(capture: Capture) -> None:
    """Only the newest small is kept: those before this one go, and its own if it is not the newest any more.

    One that has been overtaken looks behind itself, too: however many were waiting, none is left behind the last.
    """
    newest_id = newest_of(capture.timelapse_id)
    rows = Capture.objects.stored().filter(timelapse=capture.timelapse_id, slot__lt=capture.slot)
    behind = rows.order_by("-slot")[:LOOK_BACK]
    others = Capture.objects.filter(pk__in=behind.values("pk")).exclude(small="")
    drop_smalls(one for one in (*others, capture) if one.pk != newest_id)
