"""What a film can refuse."""

from __future__ import annotations


class VideoError(Exception):
    """The film refuses."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class FilmInUse(VideoError):
    """The film is being rendered; cancel that first."""


class TooFewPictures(VideoError):
    """There is no picture yet that could be in this film."""
