"""One key frame of a camera's RTSP stream, by FFmpeg's libraries in this process (PyAV).

FFmpeg's own time-outs see traffic and never end where packets are lost and no key frame completes. PyAV
reads its time-out anew, by `float()`, at each start of `demux()`: it is given an object that answers with
what is left of the deadline, and is started for each packet. So every wait inside of FFmpeg ends with the
deadline, and no thread or process has to be killed.

FFmpeg wants the login inside of the address, and writes that address into its errors and reprs. None of them
leaves this module: failures are turned into values here and raised without trace or context.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import av
import av.error
import av.logging
import certifi
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from cameras.sources.addresses import host_and_port
from cameras.sources.connect import connect, resolve, start_tls, tls_context
from cameras.sources.contract import Source, SourceSettings, Still
from cameras.sources.deadline import Deadline
from cameras.sources.errors import (
    BrokenPicture,
    CameraRefused,
    LoginRefused,
    NameNotFound,
    NoKeyFrame,
    NotAVideo,
    NotFound,
    ReadTimedOut,
    SourceError,
    TooLarge,
    Unreachable,
)
from cameras.sources.pictures import read_picture_facts

av.logging.set_level(None)  # libav would write addresses to stderr

# libavformat/rtsp.h keeps the encoded login in `char auth[128]` and cuts it silently.
MAX_LOGIN_BYTES = 127
# After a failure the port is looked at once more to tell what it was; the margin of the contract is 0.5 s.
DIAGNOSIS_S = 0.35

_LOGIN_ERRORS = (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)
_LATE_ERRORS = (av.error.ExitError, av.error.TimeoutError)
_NONSENSE_ERRORS = (av.error.InvalidDataError, av.error.PatchWelcomeError)


class RtspSource(Source):
    def read(self) -> Still:
        """One still; raises SourceError.

        The first address of the host that lets itself be reached is used, as a number, so that a name cannot
        turn elsewhere after the check. Not covered: a camera that answers with an RTSP redirect is followed
        by FFmpeg, wherever it points.
        """
        deadline = Deadline(self.settings.deadline_s)
        host, port = host_and_port(self.settings.address)
        failure: SourceError = NameNotFound()
        for ip in resolve(host, port, deadline, allow_loopback=self.settings.allow_loopback):
            outcome = _Attempt(self.settings, ip, port, deadline).run()
            if isinstance(outcome, Still):
                return outcome
            failure = outcome
            if not isinstance(failure, Unreachable) or deadline.is_over():
                break
        raise failure


class _Attempt:
    """One connection to one address."""

    def __init__(self, settings: SourceSettings, ip: str, port: int, deadline: Deadline) -> None:
        self._settings = settings
        self._ip = ip
        self._port = port
        self._deadline = deadline
        self._patience = _Patience(deadline, settings.connect_timeout_s)
        self._is_open = False
        self._packets = 0
        self._broken = 0

    def run(self) -> Still | SourceError:
        """Failures are given back as values, without the traceback: its frames know the login."""
        try:
            with self._open() as container:
                self._is_open = True
                return self._read_still(container)
        except SourceError as error:
            return error.with_traceback(None)
        except av.error.FFmpegError as error:
            failure = type(error)
        # Outside of the block, or the error with the address would be the context of whatever comes now.
        return self._typed(failure)

    @contextmanager
    def _open(self) -> Iterator[InputContainer]:
        secure = self._settings.address.lower().startswith("rtsps:")
        options = {
            "rtsp_transport": "tcp" if secure else self._settings.transport,
            "allowed_media_types": "video",
            # Measured: half the time and CPU of the defaults. Never fflags=nobuffer: it loses key frames.
            "analyzeduration": "0",
            "probesize": "32",
            "user_agent": "timelapser",
        }
        if secure:
            options |= _tls_options(self._settings)
        # The stubs say float; see the module's docstring for what an object with __float__ is for.
        with av.open(
            _address_with_login(self._settings, self._ip, self._port),
            format="rtsp",
            options=options,
            metadata_errors="replace",  # stream names come in any encoding
            timeout=(self._patience, self._deadline),  # type: ignore[arg-type] # see _Patience: asked by float()
        ) as container:
            yield container

    def _read_still(self, container: InputContainer) -> Still:
        stream = next(iter(container.streams.video), None)
        if stream is None or getattr(stream, "codec_context", None) is None:
            raise NotAVideo
        stream.codec_context.thread_count = 1
        stream.codec_context.skip_frame = "NONKEY"
        for packet in self._packets_of(container, stream):
            still = self._still_of_jpeg(packet) if stream.codec_context.name == "mjpeg" else None
            if still is None:
                still = self._still_of_frame(stream, packet)
            if still is not None:
                return still
        raise self._late()

    def _packets_of(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
        """Packets of the stream until the deadline. Raises Unreachable when the camera ends the stream."""
        while not self._deadline.is_over():
            # A new generator for each packet, over all streams: only its start asks for the time-out.
            packet = next(iter(container.demux()), None)
            if packet is None or not packet.size:
                raise Unreachable("The camera ended the stream before a whole key frame had come.")
            if packet.stream.index != stream.index:
                continue
            if packet.size > self._settings.max_bytes:
                raise TooLarge
            self._packets += 1
            yield packet

    def _still_of_jpeg(self, packet: Packet) -> Still | None:
        encoded = bytes(packet)
        try:
            facts = read_picture_facts(encoded)
        except SourceError:
            self._broken += 1
            return None
        return Still(encoded, None, facts.width, facts.height, facts.codec, self._deadline.elapsed_s())

    def _still_of_frame(self, stream: VideoStream, packet: Packet) -> Still | None:
        for frame in _decode(stream, packet):
            if frame.is_corrupt:
                self._broken += 1
                continue
            pixels: NDArray[np.uint8] = frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False)
            codec = stream.codec_context.name
            return Still(None, pixels, frame.width, frame.height, codec, self._deadline.elapsed_s())
        return None

    def _late(self) -> SourceError:
        if self._broken:
            return BrokenPicture("Every key frame that came in time was damaged.")
        if self._packets:
            return NoKeyFrame()
        return ReadTimedOut()

    def _typed(self, error: type[av.error.FFmpegError]) -> SourceError:
        if issubclass(error, _LOGIN_ERRORS):
            return LoginRefused()
        if issubclass(error, av.error.HTTPNotFoundError):
            return NotFound()
        if issubclass(error, av.error.HTTPClientError):
            # Also what FFmpeg comes to when the description names no video and it plays nothing.
            return NotAVideo("The camera plays no video here: there is none, or it serves no more viewers.")
        if issubclass(error, av.error.HTTPServerError):
            return Unreachable("The camera answers with an error of its own.")
        if issubclass(error, av.error.ConnectionRefusedError):
            return CameraRefused()
        if self._is_open:
            return self._late() if issubclass(error, _LATE_ERRORS) else Unreachable()
        # FFmpeg says "invalid data" also when it is interrupted while it reads an answer.
        is_late = self._patience.is_over() or issubclass(error, _LATE_ERRORS)
        is_nonsense = issubclass(error, _NONSENSE_ERRORS)
        return self._look_again() or (
            ReadTimedOut() if is_late else NotAVideo() if is_nonsense else Unreachable()
        )

    def _look_again(self) -> SourceError | None:
        """What FFmpeg does not tell: whether port, encryption or protocol failed. None if all are fine."""
        soon = Deadline(DIAGNOSIS_S)
        host = host_and_port(self._settings.address)[0]
        try:
            connection = connect(self._ip, self._port, soon, allow_loopback=self._settings.allow_loopback)
            if self._settings.address.lower().startswith("rtsps:"):
                connection = start_tls(connection, tls_context(verify=self._settings.verify_tls), host, soon)
        except SourceError as failure:
            return failure.with_traceback(None)
        with connection:
            connection.settimeout(soon.remaining_s())
            try:
                connection.sendall(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
                is_closed = not connection.recv(1)
            except TimeoutError:
                is_closed = False
            except OSError:
                is_closed = True
        return Unreachable("The camera closes the connection without an answer.") if is_closed else None


class _Patience:
    """What PyAV may spend on opening: asked first to connect, then to look for the first packets."""

    def __init__(self, deadline: Deadline, connect_timeout_s: float) -> None:
        self._current = deadline.sooner(connect_timeout_s)
        self._later = deadline
        self._is_asked = False

    def is_over(self) -> bool:
        return self._current.is_over()

    def __float__(self) -> float:
        if self._is_asked:
            self._current = self._later
        self._is_asked = True
        return float(self._current)


def _decode(stream: VideoStream, packet: Packet) -> list[VideoFrame]:
    """The frames that a packet completes; damaged data give none.

    A decoder that reorders would hold a key frame back until later ones come, which are skipped here: where
    a key frame's packet gives nothing, the decoder is emptied.
    """
    context = stream.codec_context
    try:
        frames = context.decode(packet)
        if not frames and packet.is_keyframe:
            frames = context.decode(None)
            context.flush_buffers()
    except av.error.InvalidDataError:
        return []
    return frames


def _address_with_login(settings: SourceSettings, ip: str, port: int) -> str:
    parts = urlsplit(settings.address)
    where = f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
    login = ""
    if settings.username or settings.password:
        login = f"{_encode(settings.username)}:{_encode(settings.password)}"
        if len(login.encode()) > MAX_LOGIN_BYTES:
            raise LoginRefused("User name and password are too long for RTSP: together 126 letters at most.")
        login += "@"
    return parts._replace(netloc=login + where).geturl()


def _encode(text: str) -> str:
    """Percent-encoded where the address would read it otherwise, and no more, as room is scarce."""
    return "".join(quote(c, safe="") if c in "@:/?#[]%\\ " or ord(c) < 32 else c for c in text)


def _tls_options(settings: SourceSettings) -> dict[str, str]:
    if not settings.verify_tls:
        return {"tls_verify": "0"}
    return {
        "tls_verify": "1",
        "verifyhost": host_and_port(settings.address)[0],
        "ca_file": ssl.get_default_verify_paths().cafile or certifi.where(),
    }
