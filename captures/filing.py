"""Where the files of a capture lie, relative to the media folder."""

from __future__ import annotations

from datetime import UTC

from captures.models import Capture

FRAMES, ORIGINALS, QUARANTINE = "frames", "originals", "quarantine"


def frame_name(capture: Capture, suffix: str, kind: str = FRAMES) -> str:
    """Of the picture itself, or of another `kind` that is written in the same attempt: sharded by local day.

    A second attempt has a name of its own, so that a straggler cannot write over the file that counts.
    """
    again = f"-{capture.attempt}" if capture.attempt > 1 else ""
    return derived_name(capture, kind, f"{capture.pk}{again}.{suffix}")


def derived_name(capture: Capture, kind: str, ending: str) -> str:
    timelapse = capture.timelapse
    day = capture.slot.astimezone(timelapse.zone).date().isoformat()
    slot = capture.slot.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    root = f"cameras/{timelapse.camera_id}/timelapses/{timelapse.pk}"
    return f"{root}/{kind}/{day}/{slot}_{ending}"
