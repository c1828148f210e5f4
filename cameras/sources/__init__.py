"""Reading one still from a camera. No Django in here; the network and files are touched only in here."""

from cameras.sources.contract import MAX_STILL_BYTES, Source, SourceKind, SourceSettings, Still
from cameras.sources.errors import (
    AddressRefused,
    BrokenPicture,
    CameraRefused,
    ConnectTimedOut,
    LoginRefused,
    NameNotFound,
    NoKeyFrame,
    NotAPicture,
    NotAVideo,
    NotFound,
    ReadTimedOut,
    SourceError,
    TlsRefused,
    TooLarge,
    Unreachable,
)

__all__ = [
    "MAX_STILL_BYTES",
    "AddressRefused",
    "BrokenPicture",
    "CameraRefused",
    "ConnectTimedOut",
    "LoginRefused",
    "NameNotFound",
    "NoKeyFrame",
    "NotAPicture",
    "NotAVideo",
    "NotFound",
    "ReadTimedOut",
    "Source",
    "SourceError",
    "SourceKind",
    "SourceSettings",
    "Still",
    "TlsRefused",
    "TooLarge",
    "Unreachable",
    "open_source",
]


def open_source(settings: SourceSettings) -> Source:
    """The source for these settings; raises AddressRefused. Touches no network yet."""
    # Imported when needed: PyAV alone is 20 MB, and the web process reads no stills; and the address
    # rules import this package.
    from cameras.sources.addresses import validate_address

    validate_address(
        settings.kind, settings.address, allow_loopback=settings.allow_loopback, folders=settings.folders
    )
    match settings.kind:
        case SourceKind.RTSP:
            from cameras.sources.rtsp import RtspSource

            return RtspSource(settings)
        case SourceKind.HTTP:
            from cameras.sources.http import HttpSource

            return HttpSource(settings)
        case SourceKind.MJPEG:
            from cameras.sources.mjpeg import MjpegSource

            return MjpegSource(settings)
        case SourceKind.FILES:
            from cameras.sources.files import FilesSource

            return FilesSource(settings)
