"""What the environment says, read once and typed; `NAME_FILE` names a file that holds the value."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()


def text(name: str, default: str | None = None) -> str | None:
    """The value of `name`, or the content of the file that `name`_FILE names, or `default`.

    Raises ImproperlyConfigured where that file cannot be read: a secret that silently became empty is worse.
    """
    file = os.environ.get(f"{name}_FILE")
    if file:
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(
                f"{name}_FILE names {file}, which cannot be read: {error.strerror}"
            ) from error
    return os.environ.get(name, default)


def flag(name: str, *, default: bool) -> bool:
    value: bool = env.bool(name, default=default)
    return value


def whole(name: str, default: int) -> int:
    value: int = env.int(name, default=default)
    return value


def words(name: str, default: list[str]) -> list[str]:
    """A list separated by commas; blanks around the words do not count."""
    value: list[str] = env.list(name, default=default)
    return [word.strip() for word in value if word.strip()]


def folder(name: str, default: Path) -> Path:
    return Path(os.environ.get(name) or default).expanduser().resolve()


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """One Redis or Valkey, in the spellings that its two clients want."""

    broker: str
    channels: str

    @classmethod
    def parse(cls, address: str) -> RedisAddress:
        """`redis://`, `rediss://` or `unix:///path/to.sock`.

        Raises ImproperlyConfigured for any other scheme.
        """
        scheme = urlsplit(address).scheme
        if scheme == "unix":
            return cls(broker=address.replace("unix://", "redis+socket://", 1), channels=address)
        if scheme in {"redis", "rediss"}:
            return cls(broker=address, channels=address)
        raise ImproperlyConfigured("TIMELAPSER_REDIS_URL must start with redis://, rediss:// or unix://")
