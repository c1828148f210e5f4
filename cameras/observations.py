"""The weather at the cameras' places: which places are due, how it is fetched and kept, and when nobody is asked.

It is fetched by a job and kept in rows. Captures read the rows (`places.reading_for`) and never wait for anybody.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings as site
from django.db import transaction
from django.db.models import F, Max, Q, QuerySet

from cameras import effective, places
from cameras.exceptions import SealBroken
from cameras.models import Camera, Weather
from cameras.places import Spot
from cameras.settings import Settings, resolve
from cameras.weather import (
    PROVIDERS,
    KeyMissing,
    KeyRefused,
    LimitReached,
    NonsenseAnswer,
    Provider,
    Reading,
    WeatherError,
    ask,
    in_words,
)
from media_jobs import clock, lifecycle
from media_jobs.events import EventType, emit
from media_jobs.exceptions import WorkFailed
from media_jobs.models import MediaJob
from media_jobs.tracked import Running

FETCH = "cameras.fetch_weather"
CHECK_KEY = "cameras.check_weather_key"
TOPIC = "weather"
# Asked for once an hour by an entry that comes every few minutes, so that failures are tried again in between.
DUE_AFTER = timedelta(minutes=55)
FIRST_WAIT = timedelta(minutes=5)
LONGEST_WAIT = timedelta(hours=6)
FAILING_AFTER = 4  # failures in a row
SPEND_S = 45.0  # of one job; what is left is due with the next
GREENWICH = Spot(51.48, 0.0)  # where a key is tried that nobody uses yet

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Account:
    """The provider that is set, with its key. `asked` names the two without telling the key."""

    provider: Provider
    key: str = field(repr=False)
    problem: str = ""

    @property
    def asked(self) -> str:
        if not self.provider.needs_key:
            return self.provider.name
        return f"{self.provider.name} {hashlib.sha256(self.key.encode()).hexdigest()[:12]}"

    @property
    def is_usable(self) -> bool:
        return bool(self.key) or not self.provider.needs_key

    def read(self, spot: Spot) -> Reading:
        """Blocks. Raises WeatherError."""
        if self.problem:
            raise KeyMissing(self.problem)
        base = site.WEATHER_URLS[self.provider.name]
        return ask(self.provider, spot.latitude, spot.longitude, key=self.key, base_url=base)


def account(settings: Settings) -> Account:
    provider = PROVIDERS[settings.weather_provider]
    if not provider.needs_key:
        return Account(provider, "")
    try:
        return Account(provider, effective.secret(settings, "openweather_key"))
    except SealBroken as error:
        return Account(provider, "", str(error))


def wanted() -> dict[str, Spot]:
    """The places of the enabled cameras that want the weather, by their keys."""
    said = effective.said_globally()
    found = {}
    for camera in Camera.objects.filter(is_enabled=True).only("latitude", "longitude", "said"):
        settings = resolve(said, camera.said).settings
        spot = places.spot_of(camera, settings) if settings.weather_enabled else None
        if spot is not None:
            found[spot.key] = spot
    return found


def request(now: datetime) -> int:
    """The clock's: asks for a job where places are due. Returns how many; 0 also where one is under way."""
    spots = wanted()
    _forget(spots, now)
    current = account(effective.globally())
    if not spots or not current.is_usable:
        return 0
    _make_rows(spots)
    count = _due(spots, current, now).count()
    return count if count and _record(count, by="", is_quiet=True)[1] else 0


def request_now(*, by: str) -> tuple[MediaJob, bool]:
    """A person's: all places, whenever they were read. The job, and whether it is new."""
    spots = wanted()
    _make_rows(spots)
    return _record(len(spots), by=by, is_quiet=False)


def request_check(*, by: str) -> tuple[MediaJob, bool]:
    """Whether the provider takes the key that is set: the job's result says it."""
    return lifecycle.record(
        CHECK_KEY,
        key=TOPIC,
        topic=TOPIC,
        title="Check of the weather key",
        args={},
        requested_by=by,
        priority=MediaJob.Priority.HIGH,
        unit="requests",
    )


def _record(count: int, *, by: str, is_quiet: bool) -> tuple[MediaJob, bool]:
    return lifecycle.record(
        FETCH,
        key=f"{TOPIC} now" if by else TOPIC,
        topic=TOPIC,
        title=f"Weather at {count} place{'s' if count != 1 else ''}",
        args={"is_asked": bool(by)},
        total=count,
        unit="places",
        is_quiet=is_quiet,
        requested_by=by or "clock",
        priority=MediaJob.Priority.HIGH if by else MediaJob.Priority.MEDIUM,
    )


def fetch(running: Running) -> dict[str, Any]:
    """The job: asks for place after place, and stops at the first failure that would meet the next ones as well."""
    begun = time.monotonic()
    current = account(effective.globally())
    is_asked = bool(running.args.get("is_asked"))
    spots = wanted()
    now = clock.now()
    rows = list(_rows(spots, current, now) if is_asked else _due(spots, current, now))
    read, error = 0, None
    for number, row in enumerate(rows):
        running.progress(number, len(rows))
        if running.should_stop() or time.monotonic() - begun > SPEND_S:
            break
        try:
            reading = current.read(spots[row.place])
        except WeatherError as failure:
            error = failure
            is_of_place = isinstance(failure, NonsenseAnswer)
            _note_failure([row] if is_of_place else rows[number:], current, failure, clock.now())
            if not is_of_place:
                break
        else:
            _note_reading(row, current, reading, clock.now())
            read += 1
    if is_asked and not read:
        raise _reason(error, spots, current, now)
    return {"provider": current.provider.name, "read": read, "left": len(rows) - read}


def check_key(running: Running) -> dict[str, Any]:
    """The job: one reading with the key, kept as any other. Its result: `state` is valid or refused, and `words`."""
    current = account(effective.globally())
    if not current.provider.needs_key:
        return {"state": "not_needed", "words": f"{current.provider.label} wants no key."}
    spots = wanted() or {GREENWICH.key: GREENWICH}
    key, spot = next(iter(spots.items()))
    _make_rows({key: spot})
    row = Weather.objects.get(place=key)
    try:
        reading = current.read(spot)
    except WeatherError as error:
        _note_failure([row], current, error, clock.now())
        if isinstance(error, KeyRefused):
            return {"state": "refused", "words": str(error)}
        raise WorkFailed(str(error), code=error.code) from None
    _note_reading(row, current, reading, clock.now())
    return {"state": "valid", "words": f"{current.provider.label} takes the key."}


def _reason(
    error: WeatherError | None, spots: dict[str, Spot], current: Account, now: datetime
) -> WorkFailed:
    """Why a person got nothing."""
    if error is not None:
        return WorkFailed(str(error), code=error.code)
    if not spots:
        words = "No enabled camera with a place wants the weather: see the settings."
        return WorkFailed(words, code="no_place")
    waiting = Weather.objects.filter(place__in=spots).aggregate(until=Max("ask_after"))
    until = waiting["until"] or now
    words = f"{current.provider.label} wants to be left alone until {until:%H:%M} UTC."
    return WorkFailed(words, code=LimitReached.code)


def _make_rows(spots: dict[str, Spot]) -> None:
    known = set(Weather.objects.filter(place__in=spots).values_list("place", flat=True))
    missing = [Weather(place=key) for key in spots if key not in known]
    Weather.objects.bulk_create(missing, ignore_conflicts=True)


def _rows(spots: dict[str, Spot], current: Account, now: datetime) -> QuerySet[Weather]:
    """All of them, but none that the provider itself has told to wait."""
    is_told = Q(asked=current.asked, last_error_code=LimitReached.code, ask_after__gt=now)
    return Weather.objects.filter(place__in=spots).exclude(is_told).order_by(*_ORDER)


def _due(spots: dict[str, Spot], current: Account, now: datetime) -> QuerySet[Weather]:
    """What another provider, or one with another key, has said or refused does not count."""
    is_old = Q(fetched_at=None) | Q(fetched_at__lte=now - DUE_AFTER) | Q(failures__gt=0)
    is_free = Q(ask_after=None) | Q(ask_after__lte=now)
    is_due = (is_old & is_free) | ~Q(asked=current.asked)
    return Weather.objects.filter(is_due, place__in=spots).order_by(*_ORDER)


_ORDER = (F("fetched_at").asc(nulls_first=True), "pk")


def _forget(spots: dict[str, Spot], now: datetime) -> None:
    is_stale = Q(fetched_at=None) | Q(fetched_at__lt=now - places.STALE)
    Weather.objects.exclude(place__in=spots).filter(is_stale).delete()


def _note_reading(row: Weather, current: Account, reading: Reading, now: datetime) -> None:
    words = in_words(reading.condition)
    with transaction.atomic():
        Weather.objects.filter(pk=row.pk).update(
            asked=current.asked,
            provider=current.provider.name,
            observed_at=reading.observed_at,
            fetched_at=now,
            temperature_c=reading.temperature_c,
            condition=reading.condition.value,
            words=words,
            facts=dict(reading.facts),
            failures=0,
            last_error_code="",
            last_error="",
            ask_after=None,
        )
        # The key is taken after all: nobody else waits because of it.
        refused = Weather.objects.filter(asked=current.asked, last_error_code=KeyRefused.code)
        refused.update(failures=0, last_error_code="", last_error="", ask_after=None)
        payload = {
            "place": row.place,
            "temperature_c": reading.temperature_c,
            "condition": reading.condition.value,
            "words": words,
            "observed_at": reading.observed_at.isoformat(),
        }
        emit(EventType.WEATHER_UPDATED, TOPIC, payload, now=now)


def _note_failure(rows: Sequence[Weather], current: Account, error: WeatherError, now: datetime) -> None:
    log.warning("weather_failed", provider=current.provider.name, code=error.code, places=len(rows))
    for row in rows:
        failures = row.failures + 1 if row.asked == current.asked else 1
        wait = max(wait_after(failures), timedelta(seconds=error.retry_after_s or 0))
        Weather.objects.filter(pk=row.pk).update(
            asked=current.asked,
            failures=failures,
            last_error_code=error.code,
            last_error=str(error),
            ask_after=now + wait,
        )


def wait_after(failures: int) -> timedelta:
    """How long nobody is asked after so many failures in a row: 5 minutes, then twice as long each time, to 6 hours."""
    return min(FIRST_WAIT * (1 << min(failures - 1, 10)), LONGEST_WAIT)
