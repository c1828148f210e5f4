"""Everything that can be set: one line of declaration gives its type, default, bounds, levels and words.

Defaults of quality, thumbnails and weather are those of the systems before this one. A value that is declared here is
read somewhere: tests/test_settings_effects.py changes each one and observes what it does.
"""

from __future__ import annotations

from dataclasses import dataclass

from cameras.settings.option import GLOBALLY, OF_CAMERAS, option

PICTURES = "Pictures"
QUALITY = "Quality"
DEGRADED = "Degraded mode"
HEALTH = "Camera health"
THUMBNAILS = "Thumbnails"
WEATHER = "Weather and place"
GROUPS = (PICTURES, QUALITY, DEGRADED, HEALTH, THUMBNAILS, WEATHER)

# The detectors whose word can be left out; captures.imaging.quality has their table, and a test compares the two.
DETECTORS: tuple[tuple[str, str], ...] = (
    ("file", "File"),
    ("bits", "Wrong bits"),
    ("missing", "Missing part"),
    ("green", "Green"),
    ("green_cast", "Green cast"),
    ("uniform", "One colour"),
    ("ghosting", "Ghosting"),
    ("smear", "Smear"),
    ("patches", "Broken blocks"),
    ("torn", "Torn"),
    ("frozen", "Frozen"),
    ("covered", "Covered"),
    ("defocused", "Out of focus"),
    ("moved", "Moved"),
    ("dark", "Dark"),
    ("bright", "Blown out"),
    ("contrast", "Contrast"),
    ("tiny", "Tiny file"),
    ("huge", "Huge file"),
    ("blur", "Blur"),
    ("edges", "Edges"),
    ("noise", "Noise"),
    ("entropy", "Entropy"),
    ("blocks", "Flat blocks"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The values that count for one timelapse, one camera, or by default."""

    jpeg_quality: int = option(
        90,
        group=PICTURES,
        label="JPEG quality",
        minimum=50,
        maximum=100,
        help="Of pictures that are encoded here. A camera's own JPEG is kept as it came where nothing changes it.",
    )
    keep_original: bool = option(
        False,
        group=PICTURES,
        label="Keep the original",
        levels=OF_CAMERAS,
        help="The camera's own bytes beside a picture that was turned or cropped. Never where a mask hides anything.",
    )

    new_interval_s: int = option(
        300,
        group=PICTURES,
        label="New timelapses take one every",
        minimum=1,
        maximum=86_400,
        unit="seconds",
        levels=OF_CAMERAS,
        help="What their form proposes, and their plan where the API is given none.",
    )

    quality_enabled: bool = option(True, group=QUALITY, label="Judge each picture")
    quality_heavy: bool = option(
        False,
        group=QUALITY,
        label="Look closely",
        help="Blur, edges, noise and blocks too, for some milliseconds a picture more.",
    )
    quality_threshold: int = option(
        70, group=QUALITY, label="Good enough from", minimum=0, maximum=100, unit="points"
    )
    quality_retry: bool = option(
        True,
        group=QUALITY,
        label="Take a bad picture once more",
        help="At once; the better of the two is kept.",
    )
    quality_discard: bool = option(
        False,
        group=QUALITY,
        label="Discard what is damaged twice",
        help="Its slot says so, and the picture waits in the quarantine. Otherwise it is kept with a flag.",
    )
    quality_ignored: tuple[str, ...] = option(
        (),
        group=QUALITY,
        label="Do not ask",
        choices=DETECTORS,
        help="Detectors that are wrong about this scene.",
    )
    quarantine_days: int = option(
        30,
        group=QUALITY,
        label="Keep discarded pictures for",
        minimum=0,
        maximum=3650,
        unit="days",
        levels=OF_CAMERAS,
    )
    evaluation_days: int = option(
        90,
        group=QUALITY,
        label="Keep evaluations for",
        minimum=1,
        maximum=3650,
        unit="days",
        levels=GLOBALLY,
    )

    degraded_in_row: int = option(
        10,
        group=DEGRADED,
        label="Bad pictures in a row",
        minimum=1,
        maximum=50,
        levels=OF_CAMERAS,
    )
    degraded_count: int = option(
        5,
        group=DEGRADED,
        label="Bad pictures within the window",
        minimum=1,
        maximum=500,
        levels=OF_CAMERAS,
    )
    degraded_window_min: int = option(
        30,
        group=DEGRADED,
        label="The window",
        minimum=5,
        maximum=1440,
        unit="minutes",
        levels=OF_CAMERAS,
    )
    degraded_share: int = option(
        50,
        group=DEGRADED,
        label="More bad ones of the last 20 than",
        minimum=1,
        maximum=100,
        unit="%",
        levels=OF_CAMERAS,
    )
    degraded_leave_after: int = option(
        20,
        group=DEGRADED,
        label="Good pictures in a row to leave it",
        minimum=1,
        maximum=500,
        levels=OF_CAMERAS,
    )
    degraded_disables: bool = option(
        False,
        group=DEGRADED,
        label="Switch the camera off",
        levels=OF_CAMERAS,
        help="When it becomes degraded. Only a person switches it on again.",
    )

    offline_after: int = option(
        5,
        group=HEALTH,
        label="Failures in a row until it is offline",
        minimum=1,
        maximum=100,
        levels=OF_CAMERAS,
    )
    probe_well_s: int = option(
        300,
        group=HEALTH,
        label="Ask a well camera after",
        minimum=60,
        maximum=86_400,
        unit="seconds of silence",
        levels=OF_CAMERAS,
    )
    probe_offline_s: int = option(
        1800,
        group=HEALTH,
        label="Ask an offline camera at least every",
        minimum=60,
        maximum=86_400,
        unit="seconds",
        levels=OF_CAMERAS,
        help="First every minute, then after twice as long each time, until this.",
    )

    thumbnail_width: int = option(
        200, group=THUMBNAILS, label="Thumbnail, width", minimum=32, maximum=1024, unit="pixels"
    )
    thumbnail_height: int = option(
        150, group=THUMBNAILS, label="Thumbnail, height", minimum=32, maximum=1024, unit="pixels"
    )
    thumbnail_quality: int = option(
        70, group=THUMBNAILS, label="Thumbnail, JPEG quality", minimum=30, maximum=100
    )
    small_mode: str = option(
        "all",
        group=THUMBNAILS,
        label="Small pictures",
        choices=(("all", "of each picture"), ("latest", "of the newest one only"), ("disabled", "none")),
    )
    small_width: int = option(
        800, group=THUMBNAILS, label="Small picture, width", minimum=64, maximum=4096, unit="pixels"
    )
    small_height: int = option(
        600, group=THUMBNAILS, label="Small picture, height", minimum=64, maximum=4096, unit="pixels"
    )
    small_quality: int = option(
        80, group=THUMBNAILS, label="Small picture, JPEG quality", minimum=30, maximum=100
    )
    small_purge: bool = option(
        False, group=THUMBNAILS, label="Delete small pictures when the timelapse is complete"
    )
    thumbnail_batch: int = option(
        10,
        group=THUMBNAILS,
        label="Pictures at once",
        minimum=1,
        maximum=50,
        levels=GLOBALLY,
        help="That one worker makes in one go.",
    )
    thumbnail_high_load: int = option(
        40,
        group=THUMBNAILS,
        label="High load from",
        minimum=1,
        maximum=100_000,
        unit="waiting pictures",
        levels=GLOBALLY,
        help="Then 25 at once, until fewer than a fifth of it wait.",
    )

    weather_enabled: bool = option(
        False,
        group=WEATHER,
        label="Note the weather with each picture",
        levels=OF_CAMERAS,
        help="Asks the provider with the camera's place, once an hour.",
    )
    weather_provider: str = option(
        "open-meteo",
        group=WEATHER,
        label="Provider",
        choices=(("open-meteo", "Open-Meteo (no key)"), ("openweather", "OpenWeather (with a key)")),
        levels=GLOBALLY,
    )
    openweather_key: str = option(
        "", group=WEATHER, label="Key for OpenWeather", levels=GLOBALLY, is_secret=True
    )
    temperature_unit: str = option(
        "celsius",
        group=WEATHER,
        label="Temperature in",
        choices=(("celsius", "°C"), ("fahrenheit", "°F")),
    )
    latitude: float | None = option(
        None,
        group=WEATHER,
        label="Latitude",
        minimum=-90,
        maximum=90,
        unit="degrees north",
        levels=GLOBALLY,
        help="Of cameras that have no place of their own: for the sun and the weather.",
    )
    longitude: float | None = option(
        None,
        group=WEATHER,
        label="Longitude",
        minimum=-180,
        maximum=180,
        unit="degrees east",
        levels=GLOBALLY,
    )
