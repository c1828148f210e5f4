"""The configuration written down: what people have set up, by names, without what the system has made of it."""

from __future__ import annotations

from typing import Any

from cameras import sealing
from cameras.effective import said_globally
from cameras.exceptions import SealBroken
from cameras.models import Camera, Site
from cameras.settings import Settings, options
from captures.models import Timelapse
from timelapser.configuration.sealed import seal
from timelapser.configuration.text import FORMAT, VERSION
from videos.models import Recipe

SITE = ("name", "slug", "notes")
CAMERA = (
    "name",
    "kind",
    "address",
    "transport",
    "username",
    "verify_tls",
    "connect_timeout_s",
    "deadline_s",
    "latitude",
    "longitude",
    "is_enabled",
    "notes",
)
RECIPE = ("name", "frames", "fps", "height", "codec", "quality")
TIMELAPSE = ("name", "plan", "start_at", "end_at", "stop_after_days", "stop_after_captures", "time_zone")


def export_document(passphrase: str = "") -> dict[str, Any]:
    """The configuration as JSON. Without a passphrase it has no secrets: no passwords, no keys, and no values in the
    queries of addresses, which many cameras take for a login.

    Raises FileRefused for a passphrase that is too short, SealBroken where a secret cannot be opened here.
    """
    cameras = list(Camera.objects.select_related("site").order_by("name"))
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "settings": _said(said_globally()),
        "sites": [_fields(site, SITE) for site in Site.objects.order_by("name")],
        "recipes": [_fields(recipe, RECIPE) for recipe in Recipe.objects.order_by("name")],
        "cameras": [_camera(camera) for camera in cameras],
        "timelapses": [_timelapse(timelapse) for timelapse in in_order()],
    }
    if passphrase:
        document["secrets"] = seal(_secrets(cameras), passphrase)
    return document


def in_order() -> Any:
    """The timelapses that a file has: those that are not history, by camera and name; namesakes as they were made."""
    states = Timelapse.State
    rows = Timelapse.objects.select_related("camera").exclude(state__in=[states.COMPLETED, states.ARCHIVED])
    return rows.order_by("camera__name", "name", "created_at", "pk")


def _camera(camera: Camera) -> dict[str, Any]:
    return _fields(camera, CAMERA) | {
        "address": camera.shown_address,
        "site": camera.site.slug if camera.site else None,
        "geometry": camera.geometry,
        "settings": _said(camera.said),
    }


def _timelapse(timelapse: Timelapse) -> dict[str, Any]:
    written = {"camera": timelapse.camera.name} | _fields(timelapse, TIMELAPSE)
    return written | {"settings": _said(timelapse.said)}


def _fields(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in names}
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in values.items()
    }


def _said(said: dict[str, Any]) -> dict[str, Any]:
    """What a level says, in the catalogue's order and without secrets; names that are gone stay behind."""
    return {
        name: said[name] for name, known in options(Settings).items() if name in said and not known.is_secret
    }


def _secrets(cameras: list[Camera]) -> dict[str, Any]:
    said = said_globally()
    keys = {name: said[name] for name, known in options(Settings).items() if known.is_secret and name in said}
    found = {}
    for camera in cameras:
        if camera.has_password or camera.address != camera.shown_address:
            found[camera.name] = {
                "address": camera.address,
                "password": _opened(camera.sealed_password, camera.name),
            }
    return {"settings": {name: _opened(sealed, name) for name, sealed in keys.items()}, "cameras": found}


def _opened(sealed: str, of: str) -> str:
    try:
        return sealing.unseal(sealed)
    except SealBroken as error:
        raise SealBroken(f"{of}: its secret was sealed with a key that this system does not have.") from error
