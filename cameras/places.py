"""Where a camera stands, and the weather there: its own place, else the one that is set for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cameras import effective
from cameras.models import Camera, Weather
from cameras.settings import Settings

STALE = timedelta(hours=25)  # a day's weather with an hour's delay; what is older says nothing of a picture


@dataclass(frozen=True, slots=True)
class Spot:
    """Degrees: north and east are positive."""

    latitude: float
    longitude: float

    @property
    def key(self) -> str:
        """With two decimals, which is 1 km: cameras of one site share their weather."""
        # + 0.0: there is no negative zero among places.
        return f"{round(self.latitude, 2) + 0.0:.2f},{round(self.longitude, 2) + 0.0:.2f}"

    @classmethod
    def of_key(cls, key: str) -> Spot:
        latitude, longitude = map(float, key.split(","))
        return cls(latitude, longitude)


def spot_of(camera: Camera, settings: Settings | None = None) -> Spot | None:
    """The camera's own place, else that of `settings` (which are asked for where they are needed), else None."""
    own = _spot(camera.latitude, camera.longitude)
    if own is not None:
        return own
    known = effective.globally() if settings is None else settings
    return spot_for_all(known)


def spot_for_all(settings: Settings) -> Spot | None:
    """The place of cameras that have none of their own."""
    return _spot(settings.latitude, settings.longitude)


def _spot(latitude: float | None, longitude: float | None) -> Spot | None:
    return None if latitude is None or longitude is None else Spot(latitude, longitude)


def reading_for(camera: Camera, now: datetime, settings: Settings | None = None) -> dict[str, Any] | None:
    """The weather that is noted with a capture of this instant; None where none is wanted or known, or it is stale.

    One query where `settings` (the camera's effective ones) are given and ask for it, and never a request.
    """
    known = effective.of_camera(camera).settings if settings is None else settings
    spot = spot_of(camera, known) if known.weather_enabled else None
    return None if spot is None else newest(spot, now)


def newest(spot: Spot, now: datetime) -> dict[str, Any] | None:
    """The reading at a place, unless it is stale."""
    fields = ("temperature_c", "condition", "words", "observed_at", "provider")
    row = Weather.objects.filter(place=spot.key).values(*fields).first()
    return None if row is None or is_stale(row["observed_at"], now) else _as_json(row)


def is_stale(observed_at: datetime | None, now: datetime) -> bool:
    """Also what is that far ahead: then one of the two clocks is wrong, and nobody knows which."""
    return observed_at is None or abs(now - observed_at) > STALE


def _as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "observed_at": row["observed_at"].isoformat()}
