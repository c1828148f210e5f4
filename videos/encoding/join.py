"""Segments become a film by copying their packets.

Every packet gets its times from us, in whole frames: shown at `segment start + position inside`, decoded at
`number of the packet - reordering delay of the codec`. ffmpeg's concat demuxer carries each segment's own
decoding times over instead; a segment of 1 or 2 frames has no delay, one of 7 has two frames of it, and so a
short segment in the middle gives a decoding time that does not rise (measured: "Non-monotonic DTS" at each
such border, repaired by guessing). It also joins different sizes and encoders without a word. Here both are
impossible: the delay is one for the whole film, and differing parameters are refused.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from videos.encoding.errors import (
    DISK_FULL_ERRNOS,
    DiskFull,
    EncodingCancelled,
    EncodingFailed,
    NoFrames,
    SegmentsDiffer,
)
from videos.encoding.files import published
from videos.encoding.look import CODECS, Look
from videos.encoding.verify import (
    StreamParameters,
    check_all_decodes,
    check_decodes,
    check_film,
    opened,
    packets,
    parameters,
)

DECODE_WHOLE_UP_TO = 60  # frames; longer films are decoded at the borders of segments
DECODE_BORDERS = 16  # at most so many of them, first and last included
_ASK_EVERY_S = 0.1
# stsz 4, ctts 8, stsc 12, co64 8, stss 4 at worst per frame; the rest of the index is below 4 KiB.
_INDEX_BYTES_PER_FRAME = 36
_INDEX_BYTES = 8192


@dataclass(frozen=True, slots=True)
class FilmFacts:
    """Sizes in pixels and bytes, `duration` in seconds, exact; codec as in Look."""

    frame_count: int
    duration: Fraction
    width: int
    height: int
    bytes: int
    codec: str


def join_segments(
    paths: Sequence[Path], look: Look, out: Path, *, should_stop: Callable[[], bool]
) -> FilmFacts:
    """Copy the segments, in order, into the MP4 file `out`, index first, frame n at exactly n / fps.

    The result is read back (every frame once, decoding times rising, duration) and decoded at its borders
    before it replaces `out`. Memory does not grow with the pictures. `should_stop` is asked about ten times
    a second. Raises SegmentsDiffer, NoFrames, EncodingCancelled, DiskFull, EncodingFailed (also for a missing
    segment).
    """
    if not paths:
        raise NoFrames("(no segments)")
    ask = _Rarely(should_stop)
    with published(out) as part:
        counts = _survey(paths, look, ask)
        frame_count = sum(counts)
        _copy(paths, counts, look, part, ask)
        check_film(part, look, frame_count, should_stop=ask)
        if frame_count <= DECODE_WHOLE_UP_TO:
            check_all_decodes(part, look, frame_count, should_stop=ask)
        else:
            check_decodes(part, look, _spread(list(accumulate(counts[:-1], initial=0))), should_stop=ask)
        size_bytes = part.stat().st_size
    return FilmFacts(frame_count, frame_count / look.rate, look.width, look.height, size_bytes, look.codec)


def _survey(paths: Sequence[Path], look: Look, should_stop: Callable[[], bool]) -> list[int]:
    """The number of frames of each segment, without reading their packets. Raises SegmentsDiffer."""
    counts: list[int] = []
    wanted: StreamParameters | None = None
    for path in paths:
        if should_stop():
            raise EncodingCancelled
        with opened(path) as (_, stream):
            found = parameters(stream)
            wanted = wanted or found
            if (found.width, found.height) != (look.width, look.height):
                raise SegmentsDiffer(f"{path.name} is {found.width}x{found.height}")
            if found != wanted:
                raise SegmentsDiffer(f"{path.name} differs from {paths[0].name}")
            counts.append(stream.frames)
    return counts


def _copy(
    paths: Sequence[Path], counts: Sequence[int], look: Look, part: Path, should_stop: Callable[[], bool]
) -> None:
    # Room for the index is left at the front and filled at the end: the whole is written once, where
    # `faststart` writes it twice.
    room = _INDEX_BYTES + _INDEX_BYTES_PER_FRAME * sum(counts)
    # The edit list counts in the movie's ticks: with the default of 1000 the duration of 30000/1001 is not
    # exact.
    ticks = str(look.timescale)
    options = {"moov_size": str(room), "video_track_timescale": ticks, "movie_timescale": ticks}
    start = 0
    try:
        with av.open(f"file:{part}", "w", format="mp4", container_options=options) as film:
            target: VideoStream | None = None
            for path, count in zip(paths, counts, strict=True):
                with opened(path) as (segment, stream):
                    target = target or _target(film, stream, look)
                    copied = _copy_packets(segment, stream, film, target, look, start, should_stop)
                if copied != count:
                    raise EncodingFailed(f"{path.name} has {copied} frames, its index says {count}")
                start += count
    except (av.error.FFmpegError, OSError) as error:
        if error.errno in DISK_FULL_ERRNOS:
            raise DiskFull(str(part.parent)) from error
        raise EncodingFailed(f"the join failed: {error}") from error


def _target(film: OutputContainer, template: VideoStream, look: Look) -> VideoStream:
    # AV1 is read by a decoder that has no encoder of the same name, so its parameters are copied as they
    # are. That way gives no access to the tag, which Apple's players want to be hvc1 for H.265.
    is_opaque = template.codec_context.name == "libdav1d"
    target = film.add_stream_from_template(template, opaque=is_opaque)
    if not is_opaque:
        target.codec_context.codec_tag = CODECS[look.codec].tag
    target.time_base = Fraction(1, look.timescale)
    return target


def _copy_packets(
    segment: InputContainer,
    stream: VideoStream,
    film: OutputContainer,
    target: VideoStream,
    look: Look,
    start: int,
    should_stop: Callable[[], bool],
) -> int:
    ticks = int(look.timescale / look.rate)
    time_base = Fraction(1, look.timescale)
    delay = CODECS[look.codec].reorder_frames
    index = -1
    for index, (position, packet) in enumerate(packets(segment, stream, look)):
        if should_stop():
            raise EncodingCancelled
        packet.stream = target
        packet.time_base = time_base
        packet.pts = (start + position) * ticks
        packet.dts = (start + index - delay) * ticks
        packet.duration = ticks
        film.mux(packet)
    return index + 1


def _spread(starts: Sequence[int]) -> list[int]:
    """The first, the last, and evenly between."""
    if len(starts) <= DECODE_BORDERS:
        return list(starts)
    step = (len(starts) - 1) / (DECODE_BORDERS - 1)
    return [starts[round(number * step)] for number in range(DECODE_BORDERS)]


class _Rarely:
    """Asks the same question at most every 0.1 s, so that it may be asked for every packet."""

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        self._should_stop = should_stop
        self._asked_at = 0.0

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - self._asked_at < _ASK_EVERY_S:
            return False
        self._asked_at = now
        return self._should_stop()
