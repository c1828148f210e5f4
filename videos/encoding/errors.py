"""What can go wrong while a film is made; the docstring is the message that a person reads."""

import errno

DISK_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class EncodingError(Exception):
    """The film could not be made."""

    def __init__(self, detail: str = "") -> None:
        message = (type(self).__doc__ or "").strip()
        super().__init__(f"{message} {detail}".rstrip())
        self.detail = detail


class EncodingFailed(EncodingError):
    """The encoder gave up or made a file that is not what was asked for."""


class EncodingCancelled(EncodingError):
    """Somebody asked to stop, and it was stopped."""


class EncodingTookTooLong(EncodingError):
    """The hard time limit passed and the encoder was ended."""


class EncoderMissing(EncodingError):
    """No ffmpeg was found; install the imageio-ffmpeg package."""


class NoFrames(EncodingError):
    """None of the frames could be read, so there is nothing to make a film of."""


class DiskFull(EncodingError):
    """The disk is full (or a quota or file size limit was reached)."""


class SegmentsDiffer(EncodingError):
    """The segments were not made with the same parameters, so they cannot be joined by copying."""
