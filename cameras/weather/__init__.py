"""The weather at a place, asked of a provider over the network; knows no rows and no Django."""

from cameras.weather.asking import ask
from cameras.weather.conditions import Condition, in_words
from cameras.weather.contract import Provider, Reading
from cameras.weather.errors import (
    KeyMissing,
    KeyRefused,
    LimitReached,
    NonsenseAnswer,
    ProviderSlow,
    ProviderUnreachable,
    WeatherError,
)
from cameras.weather.open_meteo import OpenMeteo
from cameras.weather.openweather import OpenWeather

PROVIDERS: dict[str, Provider] = {provider.name: provider for provider in (OpenMeteo(), OpenWeather())}

__all__ = [
    "PROVIDERS",
    "Condition",
    "KeyMissing",
    "KeyRefused",
    "LimitReached",
    "NonsenseAnswer",
    "OpenMeteo",
    "OpenWeather",
    "Provider",
    "ProviderSlow",
    "ProviderUnreachable",
    "Reading",
    "WeatherError",
    "ask",
    "in_words",
]
