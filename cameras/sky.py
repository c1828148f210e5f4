"""How the weather stands, in words: of the provider and its key, and of one camera's place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from cameras import effective, places
from cameras.models import Camera, Weather
from cameras.observations import FAILING_AFTER, account
from cameras.weather import KeyRefused


class KeyState(StrEnum):
    """What is known of the key that is set now."""

    NOT_NEEDED = "not_needed"
    MISSING = "missing"
    UNKNOWN = "unknown"
    VALID = "valid"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Standing:
    """Of the provider that is set. `failures` in a row, of the place with the most; `words` say what is the matter."""

    provider: str
    label: str
    key_state: KeyState
    is_failing: bool
    failures: int
    error_code: str
    words: str
    ask_after: datetime | None


def standing() -> Standing:
    """Two queries."""
    current = account(effective.globally())
    rows = list(Weather.objects.filter(asked=current.asked))
    worst = max(rows, key=lambda row: row.failures, default=None)
    failures = worst.failures if worst else 0
    is_refused = any(row.last_error_code == KeyRefused.code for row in rows)
    if not current.provider.needs_key:
        key_state = KeyState.NOT_NEEDED
    elif not current.is_usable:
        key_state = KeyState.MISSING
    elif is_refused:
        key_state = KeyState.REFUSED
    else:
        is_taken = any(row.fetched_at and not row.failures for row in rows)
        key_state = KeyState.VALID if is_taken else KeyState.UNKNOWN
    return Standing(
        provider=current.provider.name,
        label=current.provider.label,
        key_state=key_state,
        is_failing=failures >= FAILING_AFTER,
        failures=failures,
        error_code=worst.last_error_code if worst else "",
        words=_words(current.provider.label, key_state, current.problem, worst),
        ask_after=worst.ask_after if worst else None,
    )


def _words(label: str, key_state: KeyState, problem: str, worst: Weather | None) -> str:
    if key_state is KeyState.MISSING:
        return problem or f"{label} wants a key, and none is set."
    if worst is None or not worst.failures:
        return ""
    if worst.failures < FAILING_AFTER:
        return worst.last_error
    return f"{label} has failed {worst.failures} times in a row. {worst.last_error}"


@dataclass(frozen=True, slots=True)
class Sky:
    """Above one camera: where it stands, whether the weather is noted with its pictures, and the newest word of it."""

    spot: places.Spot | None
    is_own_place: bool
    is_noted: bool
    weather: Weather | None
    is_stale: bool
    unit: str


def sky_of(camera: Camera, now: datetime) -> Sky:
    """Two queries."""
    settings = effective.of_camera(camera).settings
    spot = places.spot_of(camera, settings)
    row = Weather.objects.filter(place=spot.key).first() if spot and settings.weather_enabled else None
    return Sky(
        spot=spot,
        is_own_place=camera.latitude is not None and camera.longitude is not None,
        is_noted=settings.weather_enabled,
        weather=row,
        is_stale=row is not None and places.is_stale(row.observed_at, now),
        unit=settings.temperature_unit,
    )


def temperature(celsius: float | None, unit: str) -> str:
    """As it is shown: whole degrees of `unit` (celsius or fahrenheit)."""
    if celsius is None:
        return ""
    degrees, sign = (celsius * 9 / 5 + 32, "°F") if unit == "fahrenheit" else (celsius, "°C")
    return f"{round(degrees) + 0} {sign}".replace("-", "−")


def in_short(reading: dict[str, Any] | None, unit: str) -> str:
    """A capture's weather: temperature and words; empty where there is none."""
    if not reading:
        return ""
    parts = (temperature(reading.get("temperature_c"), unit), str(reading.get("words") or ""))
    return ", ".join(part for part in parts if part)
