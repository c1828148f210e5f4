"""What a provider of the weather can answer instead of the weather, each as its own type with a stable code."""

from __future__ import annotations


class WeatherError(Exception):
    """The weather could not be asked for."""

    code = "weather_error"

    def __init__(self, message: str | None = None, *, retry_after_s: float | None = None) -> None:
        """`retry_after_s`: how long the provider wants to be left alone, where it says so."""
        super().__init__(message or self.__doc__)
        self.retry_after_s = retry_after_s


class KeyMissing(WeatherError):
    """This provider wants a key, and none is set."""

    code = "key_missing"


class KeyRefused(WeatherError):
    """The provider refuses the key. New keys take up to two hours until they count."""

    code = "key_refused"


class LimitReached(WeatherError):
    """The provider has been asked more often than it allows."""

    code = "limit_reached"


class ProviderUnreachable(WeatherError):
    """The provider cannot be reached. Does this machine reach the internet?"""

    code = "provider_unreachable"


class ProviderSlow(WeatherError):
    """The provider has not answered in time."""

    code = "provider_slow"


class NonsenseAnswer(WeatherError):
    """What the provider answers is no weather."""

    code = "nonsense_answer"
