"""What can go wrong with a camera's record; what a camera answers is in cameras.sources.errors."""

from __future__ import annotations


class CameraError(Exception):
    """Something is wrong with this camera's record."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class SealBroken(CameraError):
    """The camera's password was sealed with a key that this system does not have; enter it again."""


class MasksChanged(CameraError):
    """A mask was changed while the picture was read, so it is not shown."""


class NotOnNetwork(CameraError):
    """A file or a folder has no streams to look for."""


class NothingToChoose(CameraError):
    """There is no such stream in this result any more: look for the camera's streams again."""
