"""One request to a provider: one deadline for all of it, a bounded answer, typed errors that never show the key."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

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

# At INFO httpx writes each address into the log, and the key is in the query.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

DEADLINE_S = 10.0
LARGEST_ANSWER_BYTES = 64 * 1024  # real ones have less than one
# What reading stumbles over in answers that nobody has thought of: they are nonsense, and the provider is left alone.
STUMBLES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
LONGEST_WAIT_S = 24 * 3600.0  # nobody is told to come back next year


def ask(
    provider: Provider,
    latitude: float,
    longitude: float,
    *,
    key: str = "",
    base_url: str = "",
    deadline_s: float = DEADLINE_S,
) -> Reading:
    """The weather now; blocks for `deadline_s` at most. `base_url` stands in for the provider's own.

    Raises WeatherError. Neither its words nor its cause hold what was sent.
    """
    if provider.needs_key and not key:
        raise KeyMissing
    query = provider.query(latitude, longitude, key)
    failure: WeatherError
    try:
        answer = asyncio.run(
            _answer((base_url or provider.base_url).rstrip("/") + provider.path, query, deadline_s)
        )
        return _read(provider, *answer)
    except WeatherError as error:
        failure = error
    except (TimeoutError, httpx.TimeoutException):
        failure = ProviderSlow(f"{provider.label} has not answered within {deadline_s:g} s.")
    except (httpx.ProtocolError, httpx.InvalidURL, httpx.DecodingError):
        failure = NonsenseAnswer(
            f"What answers there is not {provider.label}: it does not speak proper HTTP."
        )
    except (httpx.HTTPError, httpx.StreamError, OSError):
        failure = ProviderUnreachable(f"{provider.label} cannot be reached.")
    except STUMBLES as error:
        failure = NonsenseAnswer(f"What {provider.label} answers cannot be read ({type(error).__name__}).")
    # Outside of the handlers: the frames and causes of the original know the address.
    raise failure.with_traceback(None) from None


async def _answer(address: str, query: dict[str, str], deadline_s: float) -> tuple[int, httpx.Headers, bytes]:
    # One deadline around everything: a server that sends a byte now and then passes the time-outs of single reads.
    async with asyncio.timeout(deadline_s), httpx.AsyncClient(timeout=deadline_s) as client:
        headers = {"User-Agent": "timelapser", "Accept": "application/json", "Accept-Encoding": "identity"}
        async with client.stream("GET", address, params=query, headers=headers) as answer:
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > LARGEST_ANSWER_BYTES:
                    raise NonsenseAnswer("The answer is far longer than any weather.")
            return answer.status_code, answer.headers, bytes(body)


def _read(provider: Provider, status: int, headers: httpx.Headers, body: bytes) -> Reading:
    if status in (401, 403):
        raise KeyRefused
    if status == 429:
        wait_s = retry_after_s(headers.get("retry-after", ""), datetime.now(UTC))
        if wait_s is None:
            wait_s = provider.retry_after_s(_json(body))
        raise LimitReached(retry_after_s=None if wait_s is None else min(wait_s, LONGEST_WAIT_S))
    if status >= 500:
        wait_s = retry_after_s(headers.get("retry-after", ""), datetime.now(UTC))
        raise ProviderUnreachable(f"{provider.label} answers with the error {status}.", retry_after_s=wait_s)
    if status != 200:
        raise NonsenseAnswer(f"{provider.label} answers with the status {status}.")
    document = _json(body)
    if document is None:
        raise NonsenseAnswer(f"What {provider.label} answers is no JSON.")
    return provider.reading(document)


def retry_after_s(value: str, now: datetime) -> float | None:
    """Seconds by a Retry-After header, which has seconds or a date (RFC 9110, 10.2.3); None where it says nothing."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_WAIT_S)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        wait_s = (moment - now).total_seconds()
    except (ValueError, OverflowError):  # the year may have any number of digits
        return None
    return min(max(0.0, wait_s), LONGEST_WAIT_S)


def _json(body: bytes) -> object:
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document
