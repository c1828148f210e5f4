"""A configuration as text: JSON of a bounded size, the same for the same configuration."""

from __future__ import annotations

import json
import math
from typing import Any

from timelapser.configuration.errors import FileRefused

FORMAT = "timelapser-configuration"
VERSION = 1
LARGEST_BYTES = 5_000_000


def write_text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read_text(data: bytes) -> dict[str, Any]:
    """The document in `data`. Raises FileRefused."""
    if len(data) > LARGEST_BYTES:
        raise FileRefused(f"The file is larger than {LARGEST_BYTES // 1_000_000} MB.")
    try:
        document = json.loads(data.decode("utf-8"), parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        raise FileRefused("The file is no JSON: it is damaged, or it is something else.") from None
    return checked(document)


def checked(document: Any) -> dict[str, Any]:
    """`document`, if it is a configuration of a version that is known. Raises FileRefused."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise FileRefused("The file is no configuration of Timelapser.")
    if document.get("version") != VERSION:
        raise FileRefused(f"The file has a version that is not known here; this system reads {VERSION}.")
    return document


def _no_number(text: str) -> float:
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
