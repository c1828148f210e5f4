"""Which settings count for a camera, or for all: what the rows say, resolved by the one rule."""

from __future__ import annotations

from typing import Any

from cameras.models import Camera, GlobalSettings
from cameras.settings import Effective, Settings, resolve


def said_globally() -> dict[str, Any]:
    """What the one row says; nothing where nobody has set anything."""
    row = GlobalSettings.objects.filter(pk=GlobalSettings.ONLY).values_list("said", flat=True).first()
    return row or {}


def globally() -> Settings:
    return resolve(said_globally()).settings


def of_camera(camera: Camera) -> Effective:
    return resolve(said_globally(), camera.said)
