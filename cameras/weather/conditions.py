"""The few words that we have for the weather, and the codes of the providers that mean them."""

from __future__ import annotations

from enum import StrEnum


class Condition(StrEnum):
    """Kept with each picture, so these words stay as they are. `icons.svg` has `weather-<condition>` for each."""

    CLEAR = "clear"
    PARTLY = "partly"
    CLOUDS = "clouds"
    FOG = "fog"
    DUST = "dust"
    DRIZZLE = "drizzle"
    RAIN = "rain"
    SLEET = "sleet"
    SNOW = "snow"
    THUNDER = "thunder"
    STORM = "storm"


_WORDS: dict[str, str] = {
    Condition.CLEAR: "clear",
    Condition.PARTLY: "partly cloudy",
    Condition.CLOUDS: "cloudy",
    Condition.FOG: "fog",
    Condition.DUST: "dust or smoke",
    Condition.DRIZZLE: "drizzle",
    Condition.RAIN: "rain",
    Condition.SLEET: "sleet or hail",
    Condition.SNOW: "snow",
    Condition.THUNDER: "thunderstorm",
    Condition.STORM: "storm",
}

# WMO code table 4677, present weather: the last code of each stretch. 20 to 29 is what was in the hour before and is
# over; Open-Meteo uses 0-3, 45, 48, 51-57, 61-67, 71-77, 80-82, 85, 86 and 95-99.
_WMO: tuple[tuple[int, Condition], ...] = (
    (1, Condition.CLEAR),
    (2, Condition.PARTLY),
    (3, Condition.CLOUDS),
    (9, Condition.DUST),
    (12, Condition.FOG),
    (13, Condition.THUNDER),
    (16, Condition.CLOUDS),
    (17, Condition.THUNDER),
    (19, Condition.STORM),
    (27, Condition.CLOUDS),
    (28, Condition.FOG),
    (29, Condition.CLOUDS),
    (35, Condition.DUST),
    (39, Condition.SNOW),
    (49, Condition.FOG),
    (55, Condition.DRIZZLE),
    (57, Condition.SLEET),
    (59, Condition.DRIZZLE),
    (65, Condition.RAIN),
    (69, Condition.SLEET),
    (78, Condition.SNOW),
    (79, Condition.SLEET),
    (82, Condition.RAIN),
    (84, Condition.SLEET),
    (86, Condition.SNOW),
    (90, Condition.SLEET),
    (92, Condition.RAIN),
    (94, Condition.SNOW),
    (99, Condition.THUNDER),
)

# OpenWeather, “Weather condition codes”: groups by the hundred, with these exceptions.
_OPENWEATHER_GROUPS = {
    2: Condition.THUNDER,
    3: Condition.DRIZZLE,
    5: Condition.RAIN,
    6: Condition.SNOW,
    7: Condition.FOG,
    8: Condition.CLOUDS,
}
_OPENWEATHER = {
    511: Condition.SLEET,
    611: Condition.SLEET,
    612: Condition.SLEET,
    613: Condition.SLEET,
    615: Condition.SLEET,
    616: Condition.SLEET,
    711: Condition.DUST,
    731: Condition.DUST,
    751: Condition.DUST,
    761: Condition.DUST,
    762: Condition.DUST,
    771: Condition.STORM,
    781: Condition.STORM,
    800: Condition.CLEAR,
    801: Condition.PARTLY,
    802: Condition.PARTLY,
}


def of_wmo(code: int) -> Condition:
    """By a WMO code, 0 to 99. Raises ValueError for others."""
    if code < 0:
        raise ValueError(code)
    for last, condition in _WMO:
        if code <= last:
            return condition
    raise ValueError(code)


def of_openweather(identifier: int) -> Condition:
    """By OpenWeather's id, 200 to 804. Raises ValueError where its group is not known."""
    found = _OPENWEATHER.get(identifier) or _OPENWEATHER_GROUPS.get(identifier // 100)
    if found is None:
        raise ValueError(identifier)
    return found


def in_words(condition: str) -> str:
    """A condition as a row has it, in words; what a later release wrote stays as it is."""
    return _WORDS.get(condition, condition)
