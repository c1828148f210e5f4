"""Which settings count for a camera, or for all: what the rows say, resolved by the one rule."""

from __future__ import annotations

from typing import Any

from cameras import sealing
from cameras.exceptions import SealBroken
from cameras.models import Camera, GlobalSettings
from cameras.settings import Effective, Settings, options, resolve


def said_globally() -> dict[str, Any]:
    """What the one row says; nothing where nobody has set anything."""
    row = GlobalSettings.objects.filter(pk=GlobalSettings.ONLY).values_list("said", flat=True).first()
    return row or {}


def globally() -> Settings:
    return resolve(said_globally()).settings


def of_camera(camera: Camera) -> Effective:
    return resolve(said_globally(), camera.said)


def secret(settings: Settings, name: str) -> str:
    """The setting `name`, which is kept sealed, opened; empty where it is not set. For whoever sends it, nobody else.

    Raises SealBroken where none of the keys opens it.
    """
    try:
        return sealing.unseal(getattr(settings, name))
    except SealBroken as error:
        label = options(Settings)[name].label
        raise SealBroken(
            f"{label}: sealed with a key that this system does not have; enter it again."
        ) from error
