"""Keys that the system makes for itself, and the last filter before a line reaches a log."""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

_SECRET_NAMES = re.compile(r"(?i)pass(word|wd)|secret|token|authorization|cookie|sealed|api_?key")
_CREDENTIALS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)\S*@")  # to the last @: passwords hold them, too
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


def drop_secrets(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hides values by their name, and user names and passwords inside addresses by their form."""
    for name, value in line.items():
        if _SECRET_NAMES.search(name):
            line[name] = HIDDEN
        elif isinstance(value, str):
            line[name] = _CREDENTIALS.sub(rf"\1{HIDDEN}@", value)
    return line
