"""Keys that the system makes for itself, and the last filter before a line reaches a log."""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_NAME = (
    r"[\w.-]*(?:passw|passphrase|pwd|psw|secret|token|auth|cookie|sealed|api_?key|credential)[\w.-]*"
    r"|(?:login)?pass?|pw|appid"  # loginpas=… is how many cheap cameras call it
)
_SECRET_NAMES = re.compile(rf"(?i)(?:{_NAME})")
# name=value, name: value and 'name': 'value', as addresses, sentences and printed dictionaries have them.
_NAMED = re.compile(
    rf"""(?i)(?<![\w.-])((?:{_NAME})['"]?[ \t]*[=:][ \t]*)('[^'\n]*'|"[^"\n]*"|[^\s&;,'"]+)"""
)
_HEADERS = re.compile(
    r"""(?i)\b((?:authorization|cookie)['"]?[ \t]*[:=]).*"""
)  # whole lines: they have blanks
_CREDENTIALS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)\S*@")  # to the last @: passwords hold them, too
_SHORTEST = 8  # shorter values would be found inside of ordinary words
_DEEPEST = 6
HIDDEN = "[hidden]"


def key_from(file: Path) -> str:
    """The key in `file`; made there once (32 random bytes, url-safe base64, mode 0600) where it is missing.

    Raises ImproperlyConfigured where neither can be done.
    """
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return _make_key(file)
    except OSError as error:
        raise ImproperlyConfigured(f"The key file {file} cannot be read: {error.strerror}") from error


def _make_key(file: Path) -> str:
    key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii")
    # Nobody else's name: process ids repeat from container to container.
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(key, encoding="ascii")
        # A hard link fails where another process was first: then its key counts.
        os.link(draft, file)
    except FileExistsError:
        return file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"The key file {file} cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    return key


@dataclass(frozen=True, slots=True)
class SecretFilter:
    """Hides values by their name, logins inside addresses by their form, and the values that are `known`."""

    known: tuple[str, ...] = ()

    def __call__(
        self, _logger: Any, _method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        for name, value in line.items():
            line[name] = self._of(name, value, 0)
        return line

    def _of(self, name: Any, value: Any, depth: int) -> Any:
        if isinstance(name, str) and _SECRET_NAMES.fullmatch(name):
            return HIDDEN
        return self._clean(value, depth)

    def _clean(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping) and depth < _DEEPEST:
            return {
                self._clean(key, _DEEPEST): self._of(key, inner, depth + 1) for key, inner in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
            return [self._clean(inner, depth + 1) for inner in value]
        return self._text(repr(value))  # as the renderers do with what they do not know

    def _text(self, text: str) -> str:
        for secret in self.known:
            if len(secret) >= _SHORTEST:
                text = text.replace(secret, HIDDEN)
        text = _CREDENTIALS.sub(rf"\1{HIDDEN}@", text)
        text = _HEADERS.sub(rf"\1 {HIDDEN}", text)
        return _NAMED.sub(rf"\1{HIDDEN}", text)


def passwords_in(*addresses: str) -> list[str]:
    """The passwords of addresses, as they are written and as they are meant."""
    found = [urlsplit(address).password or "" for address in addresses]
    return [spelling for password in found if password for spelling in {password, unquote(password)}]
