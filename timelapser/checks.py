"""Start-up checks: what is wrong is said in a sentence with a stable id, before anything starts."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from imageio_ffmpeg import get_ffmpeg_exe


@register("timelapser")
def media_folder_is_writable(**_: Any) -> list[CheckMessage]:
    folder = Path(settings.MEDIA_ROOT)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return []
    except OSError as error:
        return [
            Error(
                f"The media folder {folder} cannot be written: {error.strerror}.",
                hint="Give it to the user that runs Timelapser, or name another in TIMELAPSER_MEDIA.",
                id="timelapser.E001",
            )
        ]


@register("timelapser")
def sealing_keys_are_keys(**_: Any) -> list[CheckMessage]:
    try:
        for key in settings.SEALING_KEYS:
            Fernet(key)
    except ValueError:
        return [
            Error(
                "TIMELAPSER_SEALING_KEYS holds something that is no key.",
                hint="A key is 32 random bytes in url-safe base64; several are separated by commas, newest first.",
                id="timelapser.E002",
            )
        ]
    return []


@register("timelapser")
def ffmpeg_is_there(**_: Any) -> list[CheckMessage]:
    try:
        if os.access(get_ffmpeg_exe(), os.X_OK):
            return []
    except RuntimeError:
        pass
    return [
        Error(
            "No ffmpeg was found.",
            hint="Install the imageio-ffmpeg package anew.",
            id="timelapser.E003",
        )
    ]
