"""A test shot: one picture of a camera, as it comes and as a geometry would make it, before anything is saved."""

from __future__ import annotations

import hashlib
import json
import math
from functools import partial
from typing import Any

from cameras import connection, hiding
from cameras.exceptions import MasksChanged, SealBroken
from cameras.geometry import Geometry, GeometryRefused
from cameras.models import Camera
from cameras.sources import SourceError
from media_jobs import files, lifecycle
from media_jobs.models import MediaJob
from media_jobs.tracked import Running

TASK = "cameras.test_shot"
WIDTH_PX = 1280  # enough to set a mask's corner by
STEPS = 3  # reach and read it, draw, keep


def request(camera: Camera, geometry: Geometry, *, by: str) -> MediaJob:
    """Asks for a test shot with `geometry`, saved or not; the job's result says what was found."""
    document = geometry.to_document()
    drawn = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    job, _ = lifecycle.record(
        TASK,
        key=f"camera.{camera.pk}.{drawn[:32]}",
        topic=camera.topic,
        title=f"Test shot of {camera.name}",
        args={"camera": camera.pk, "geometry": document},
        requested_by=by,
        priority=MediaJob.Priority.HIGH,
        unit="steps",
        total=STEPS,
        queue=camera.capture_queue,
    )
    return job


def run(running: Running) -> dict[str, Any]:
    """Reads one still; shows it with all masks (those that count and those that are drawn) and nothing else changed,
    and as the geometry makes it."""
    from cameras.previews import decode  # slow import: the web asks for shots, but never shows one

    try:
        wanted = Geometry.from_document(running.args["geometry"])
        camera = Camera.objects.get(pk=running.args["camera"])
        still = connection.read_still(camera)
        running.progress(1, STEPS)
        pixels = decode(still)
        height, width = pixels.shape[:2]
        shown = {hiding.BEFORE: Geometry(), hiding.PREVIEW: wanted}
        kept = hiding.keep_previews(
            running.job, pixels, shown, partial(_masks, camera.pk, wanted), width=WIDTH_PX
        )
    except (SourceError, SealBroken, MasksChanged, GeometryRefused, Camera.DoesNotExist) as error:
        return connection.refusal(error) | {hiding.PREVIEW: "", hiding.BEFORE: ""}
    running.progress(STEPS, STEPS)
    return {
        "ok": True,
        "code": "",
        "message": "The camera answered with a picture.",
        "advice": "",
        "source": [width, height],
        "width": wanted.size_of(width, height)[0],
        "height": wanted.size_of(width, height)[1],
        "elapsed_ms": math.ceil(still.elapsed_s * 1000),
        "is_unchanged": wanted.keeps(width, height),
        **kept,
    }


def newest(camera: Camera) -> MediaJob | None:
    """The last test shot whose pictures are still there."""
    done = MediaJob.objects.filter(topic=camera.topic, task=TASK, state=MediaJob.State.DONE)
    for job in done.order_by("-requested_at")[:5]:
        if job.result.get("ok") and files.exists(job.result[hiding.BEFORE]):
            return job
    return None


def _masks(camera_id: int, wanted: Geometry) -> Geometry:
    return hiding.masks_of(camera_id).with_masks_of(wanted.only_masks)
