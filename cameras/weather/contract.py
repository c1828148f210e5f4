"""What every provider does: says what to ask, and reads the answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cameras.weather.conditions import Condition


@dataclass(frozen=True, slots=True)
class Reading:
    """The weather at one place. `observed_at` is the provider's own time of it, in UTC.

    `facts`: humidity_percent, clouds_percent, wind_m_s and precipitation_mm, as far as they are known.
    """

    temperature_c: float
    condition: Condition
    observed_at: datetime
    facts: Mapping[str, float] = field(default_factory=dict)


class Provider(ABC):
    """One service. It makes no request itself: `asking.ask` does, for all of them alike."""

    name: str
    label: str
    base_url: str
    path: str
    needs_key: bool

    @abstractmethod
    def query(self, latitude: float, longitude: float, key: str) -> dict[str, str]:
        """The parameters of the request; degrees, north and east positive."""

    @abstractmethod
    def reading(self, document: object) -> Reading:
        """Reads the JSON of an answer with status 200. Raises NonsenseAnswer."""

    def retry_after_s(self, document: object) -> float | None:
        """How long to wait by the words of a refusal (429) that has no Retry-After header."""
        return None
