"""Read a file back: are all frames there, in order, at their instants, and do they decode?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from videos.encoding.errors import EncodingCancelled, EncodingFailed
from videos.encoding.look import CODECS, Look

# The index of an MP4 says everything that copying needs. Left alone, the library decodes the first picture of each file
# to learn more (2.8 ms at 640 x 360); without a decoder to do it with it opens in 0.1 ms.
_COPYING = {"probesize": "32", "analyzeduration": "0", "codec_whitelist": "none"}
_DECODING = {"probesize": "32", "analyzeduration": "0"}
_DECODERS = {"h264": "h264", "h265": "hevc", "av1": "libdav1d"}


@dataclass(frozen=True, slots=True)
class StreamParameters:
    """What must be equal for streams to be joined by copying; the extradata say bit depth and sampling too."""

    codec: str
    width: int
    height: int
    colour: tuple[int, ...]
    extradata: bytes


@contextmanager
def opened(path: Path, *, is_decoding: bool = False) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open an MP4 with one video stream and nothing else. Raises EncodingFailed."""
    try:
        container = av.open(f"file:{path}", format="mp4", options=_DECODING if is_decoding else _COPYING)
    except (av.error.FFmpegError, OSError) as error:
        raise EncodingFailed(f"{path.name} cannot be opened: {error}") from error
    with container:
        if len(container.streams) != 1 or len(container.streams.video) != 1:
            raise EncodingFailed(f"{path.name} is not one video stream")
        yield container, container.streams.video[0]


def parameters(stream: VideoStream) -> StreamParameters:
    context = stream.codec_context
    colour = (context.color_range, context.color_primaries, context.color_trc, context.colorspace)
    return StreamParameters(
        codec=context.name,
        width=context.width,
        height=context.height,
        colour=tuple(int(value) for value in colour),
        extradata=bytes(context.extradata or b""),
    )


def packets(container: InputContainer, stream: VideoStream, look: Look) -> Iterator[tuple[int, Packet]]:
    """Packets in decoding order, each with its position in the film's order from 0. Raises EncodingFailed."""
    if stream.time_base is None:
        raise EncodingFailed("the stream has no time base")
    frames_of_tick = stream.time_base * look.rate
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue  # the flush at the end
            position, rest = divmod((packet.pts or 0) * frames_of_tick.numerator, frames_of_tick.denominator)
            if packet.pts is None or rest:
                raise EncodingFailed(f"a frame is not at a multiple of 1/{look.rate} s")
            yield position, packet
    except av.error.FFmpegError as error:
        raise EncodingFailed(f"cannot be read back: {error}") from error


def check_segment(path: Path, look: Look, frame_count: int) -> None:
    """Raise EncodingFailed unless the file holds exactly these frames and begins with a key frame."""
    with opened(path) as (container, stream):
        found = parameters(stream)
        if (found.codec, found.width, found.height) != (_DECODERS[look.codec], look.width, look.height):
            raise EncodingFailed(f"it became {found.codec} {found.width}x{found.height}")
        positions: list[int] = []
        for position, packet in packets(container, stream, look):
            if not positions and not (packet.is_keyframe and position == 0):
                raise EncodingFailed("it does not begin with a key frame")
            positions.append(position)
        _check_order(positions, look)
        if len(positions) != frame_count:
            raise EncodingFailed(f"{len(positions)} frames were written of {frame_count}")


def _check_order(positions: list[int], look: Look) -> None:
    if sorted(positions) != list(range(len(positions))):
        raise EncodingFailed("frames are missing or doubled")
    delay = CODECS[look.codec].reorder_frames
    if any(index - position > delay for index, position in enumerate(positions)):
        raise EncodingFailed(f"a frame is reordered by more than {delay}")


def check_film(path: Path, look: Look, frame_count: int, *, should_stop: Callable[[], bool]) -> None:
    """Raise EncodingFailed unless every frame from 0 to the last is there once and all decoding times rise.

    Bounded memory: what is not yet in order is at most the reordering delay of the codec.
    """
    with opened(path) as (container, stream):
        waiting: set[int] = set()
        expected = 0
        last_dts: int | None = None
        for number, (position, packet) in enumerate(packets(container, stream, look)):
            if number % 64 == 0 and should_stop():
                raise EncodingCancelled
            if packet.dts is None or (last_dts is not None and packet.dts <= last_dts):
                raise EncodingFailed(f"decoding times do not rise at frame {number}")
            last_dts = packet.dts
            if position < expected or position in waiting:
                raise EncodingFailed(f"frame {position} is there twice")
            waiting.add(position)
            while expected in waiting:
                waiting.remove(expected)
                expected += 1
            if len(waiting) > look.gop:
                raise EncodingFailed(f"frame {expected} is missing")
        if waiting or expected != frame_count:
            raise EncodingFailed(f"{expected} frames in order of {frame_count}")
        duration = Fraction(stream.duration or 0) * (stream.time_base or 0)
        if duration != frame_count / look.rate:
            raise EncodingFailed(
                f"it lasts {float(duration):.6f} s instead of {float(frame_count / look.rate):.6f} s"
            )


def check_decodes(path: Path, look: Look, starts: list[int], *, should_stop: Callable[[], bool]) -> None:
    """Raise EncodingFailed unless the first picture of the segments that begin at `starts` decodes."""
    with opened(path, is_decoding=True) as (container, stream):
        tick_of_frame = 1 / (look.rate * (stream.time_base or 1))
        stream.codec_context.thread_count = 1
        for start in starts:
            if should_stop():
                raise EncodingCancelled
            container.seek(int(start * tick_of_frame), stream=stream)
            try:
                frame = next(container.decode(stream), None)
            except av.error.FFmpegError as error:
                raise EncodingFailed(f"frame {start} does not decode: {error}") from error
            if frame is None or frame.is_corrupt or frame.pts != start * tick_of_frame:
                raise EncodingFailed(f"frame {start} does not decode")


def check_all_decodes(path: Path, look: Look, frame_count: int, *, should_stop: Callable[[], bool]) -> None:
    """Raise EncodingFailed unless every frame decodes, whole and in order."""
    count = 0
    with opened(path, is_decoding=True) as (container, stream):
        tick_of_frame = 1 / (look.rate * (stream.time_base or 1))
        try:
            for frame in container.decode(stream):
                if should_stop():
                    raise EncodingCancelled
                if frame.is_corrupt or frame.pts != count * tick_of_frame:
                    raise EncodingFailed(f"frame {count} does not decode")
                count += 1
        except av.error.FFmpegError as error:
            raise EncodingFailed(f"frame {count} does not decode: {error}") from error
    if count != frame_count:
        raise EncodingFailed(f"{count} frames decode of {frame_count}")
