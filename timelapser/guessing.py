"""Guessing passwords is slowed down: every door that takes a password counts its tries here.

Each wrong try counts twice: for the address and the name that was tried, and, with a wider limit, for the address
alone. The counts are in Redis, so that all web processes count together; without it nobody is locked out.
"""

from __future__ import annotations

import hashlib
import ipaddress
import unicodedata
from functools import cache
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest
from redis.exceptions import RedisError

COUNTS = "logins"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

log = structlog.get_logger(__name__)


def count(request: HttpRequest, username: str) -> int | None:
    """Counts a try before the password is looked at, so that many at once do not slip through.

    Returns after how many seconds to try again at the latest, or None where this try may go on.
    """
    try:
        waits = [_count(key, rate) for key, rate in _keys(request, username)]
    except RedisError as error:
        _tell(type(error).__name__)
        return None
    return max((wait for wait in waits if wait), default=None)


def forgive(request: HttpRequest, username: str) -> None:
    """The password was right: the try was no guess."""
    try:
        (own, _), (address, _) = _keys(request, username)
        caches[COUNTS].delete(own)
        caches[COUNTS].decr(address)
    except ValueError:
        pass  # forgotten meanwhile
    except RedisError as error:
        _tell(type(error).__name__)


def _count(key: str, rate: str) -> int | None:
    limit, _, period = rate.partition("/")
    seconds = SECONDS[period[0]]
    counts = caches[COUNTS]
    counts.add(key, 0, timeout=seconds)
    try:
        tries = counts.incr(key)
    except ValueError:  # its time ended between the two lines
        return None
    if tries <= 1:
        counts.touch(key, timeout=seconds)  # also where it was made anew by incr, which knows no end
    return seconds if tries > int(limit) else None


def _keys(request: HttpRequest, username: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """The two counts of a try and their rates. The login form reads names like this: NFKC, without blanks around."""
    # Of the connection only: X-Forwarded-For can be invented by whoever guesses (see TRUSTED_PROXIES).
    address = _network(request.META.get("REMOTE_ADDR", ""))
    name = unicodedata.normalize("NFKC", username).strip()
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
    rates: Any = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]
    return (f"{address}-{digest}", rates["login"]), (address, rates["login_address"])


def _network(address: str) -> str:
    """What one household or server has: an IPv4 address, or 64 bits of IPv6."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"  # a Unix socket
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(ip), 64), strict=False).network_address)
    return str(getattr(ip, "ipv4_mapped", None) or ip)


@cache
def _tell(error: str) -> None:
    """Once for each kind: a broker that is away is told elsewhere, and often enough."""
    log.warning("login_tries_not_counted", error=error)
