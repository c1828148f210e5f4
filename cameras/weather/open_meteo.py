"""Open-Meteo, which wants no key: https://open-meteo.com/en/docs (the variables of `current`)."""

from __future__ import annotations

from collections.abc import Mapping

from cameras.weather import answers, conditions
from cameras.weather.contract import Provider, Reading
from cameras.weather.errors import NonsenseAnswer

CURRENT = "temperature_2m,relative_humidity_2m,precipitation,weather_code,cloud_cover,wind_speed_10m"
# It sends no Retry-After; its words name the counter that is full: “Hourly API request limit exceeded.”
WAITS_S = {"hourly": 3600.0, "daily": 6 * 3600.0}


class OpenMeteo(Provider):
    name = "open-meteo"
    label = "Open-Meteo"
    base_url = "https://api.open-meteo.com"
    needs_key = False
    path = "/v1/forecast"

    def query(self, latitude: float, longitude: float, key: str) -> dict[str, str]:
        return {
            "latitude": f"{latitude:.2f}",
            "longitude": f"{longitude:.2f}",
            "current": CURRENT,
            "wind_speed_unit": "ms",
            "timeformat": "unixtime",
        }

    def reading(self, document: object) -> Reading:
        current = answers.part(document, "current")
        try:
            condition = conditions.of_wmo(answers.code(current, "weather_code"))
        except ValueError as error:
            raise NonsenseAnswer(f"There is no weather with the code {error}.") from None
        return Reading(
            answers.temperature_c(current, "temperature_2m"),
            condition,
            answers.moment(current, "time"),
            answers.known(
                humidity_percent=answers.fact(current, "relative_humidity_2m", 100),
                clouds_percent=answers.fact(current, "cloud_cover", 100),
                wind_m_s=answers.fact(current, "wind_speed_10m", 150),
                precipitation_mm=answers.fact(current, "precipitation", 500),
            ),
        )

    def retry_after_s(self, document: object) -> float | None:
        reason = document.get("reason") if isinstance(document, Mapping) else None
        if not isinstance(reason, str):
            return None
        return next((wait for word, wait in WAITS_S.items() if word in reason.lower()), None)
