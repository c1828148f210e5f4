"""OpenWeather, with a key: https://openweathermap.org/current and https://openweathermap.org/weather-conditions."""

from __future__ import annotations

from collections.abc import Mapping

from cameras.weather import answers, conditions
from cameras.weather.contract import Provider, Reading
from cameras.weather.errors import NonsenseAnswer


class OpenWeather(Provider):
    name = "openweather"
    label = "OpenWeather"
    base_url = "https://api.openweathermap.org"
    needs_key = True
    path = "/data/2.5/weather"

    def query(self, latitude: float, longitude: float, key: str) -> dict[str, str]:
        return {"lat": f"{latitude:.2f}", "lon": f"{longitude:.2f}", "units": "metric", "appid": key}

    def reading(self, document: object) -> Reading:
        main = answers.part(document, "main")
        assert isinstance(document, Mapping)  # noqa: S101 - part has seen to it
        try:
            condition = conditions.of_openweather(answers.code(_first(document.get("weather")), "id"))
        except ValueError as error:
            raise NonsenseAnswer(f"There is no weather with the code {error}.") from None
        return Reading(
            answers.temperature_c(main, "temp"),
            condition,
            answers.moment(document, "dt"),
            answers.known(
                humidity_percent=answers.fact(main, "humidity", 100),
                clouds_percent=answers.fact(document.get("clouds"), "all", 100),
                wind_m_s=answers.fact(document.get("wind"), "speed", 150),
                precipitation_mm=_fallen_mm(document),
            ),
        )


def _first(weather: object) -> Mapping[str, object]:
    """Several conditions may be named; the first is the primary one."""
    if not isinstance(weather, list) or not weather or not isinstance(weather[0], Mapping):
        raise NonsenseAnswer("The answer has no “weather”.")
    return weather[0]


def _fallen_mm(document: Mapping[str, object]) -> float | None:
    """Rain and snow of the last hour; each is there only where it falls."""
    fallen = [answers.fact(document.get(what), "1h", 500) for what in ("rain", "snow")]
    return sum(mm for mm in fallen if mm is not None) if any(mm is not None for mm in fallen) else None
