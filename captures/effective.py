"""Which settings count for a timelapse: its own word, else its camera's, else everybody's."""

from __future__ import annotations

from typing import Any

from cameras.effective import of_camera, said_globally
from cameras.models import Camera
from cameras.settings import Effective, resolve
from captures.intervalometer import every
from captures.models import Timelapse


def of_timelapse(timelapse: Timelapse) -> Effective:
    """Reads the camera: select it along for many."""
    return resolve(said_globally(), timelapse.camera.said, timelapse.said)


def proposed_plan(camera: Camera) -> dict[str, Any]:
    """The plan of a new timelapse of this camera where nobody says another."""
    return every(of_camera(camera).settings.new_interval_s)
