"""Which settings count for a timelapse: its own word, else its camera's, else everybody's."""

from __future__ import annotations

from cameras.effective import said_globally
from cameras.settings import Effective, resolve
from captures.models import Timelapse


def of_timelapse(timelapse: Timelapse) -> Effective:
    """Reads the camera: select it along for many."""
    return resolve(said_globally(), timelapse.camera.said, timelapse.said)
