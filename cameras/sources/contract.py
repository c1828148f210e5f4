"""The one contract of all sources: read one still, or raise a SourceError, before the deadline."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # 15 MB in every process that only knows that there are cameras
    import numpy as np
    from numpy.typing import NDArray

MAX_STILL_BYTES = 50 * 1024 * 1024


class SourceKind(StrEnum):
    RTSP = "rtsp"
    HTTP = "http"
    MJPEG = "mjpeg"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Everything that a source needs to know.

    `connect_timeout_s` bounds reaching the camera (for RTSP: until it has agreed to play), `deadline_s`
    the whole read. `folders` are those that a FILES address may lie in. The repr holds neither
    password nor address, as addresses of some makes carry logins in their query.
    """

    kind: SourceKind
    address: str = field(repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    transport: Literal["tcp", "udp"] = "tcp"
    verify_tls: bool = True
    connect_timeout_s: float = 5.0
    deadline_s: float = 10.0
    max_bytes: int = MAX_STILL_BYTES
    allow_loopback: bool = False
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Still:
    """One picture: either the camera's own JPEG or PNG bytes, or pixels decoded from its video.

    `pixels` has the shape (height, width, 3), uint8, in the order blue, green, red.
    `codec` is the name that FFmpeg gives it: h264, hevc, mjpeg, png...
    """

    encoded: bytes | None = field(repr=False)
    pixels: NDArray[np.uint8] | None = field(repr=False)
    width: int
    height: int
    codec: str
    elapsed_s: float


class Source(ABC):
    def __init__(self, settings: SourceSettings) -> None:
        self.settings = settings

    @abstractmethod
    def read(self) -> Still:
        """One still; raises SourceError. Ends within `deadline_s` + 0.5 s whatever the peer does."""
