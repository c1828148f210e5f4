"""Frames become one segment: a closed group of pictures in a file that decodes alone."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from videos.encoding.errors import NoFrames
from videos.encoding.files import published
from videos.encoding.frames import FrameSource, read_frame
from videos.encoding.look import Look
from videos.encoding.process import Ffmpeg
from videos.encoding.verify import check_segment


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """`omitted`: positions (from 0) of the given frames that were missing or broken; `duration` in s."""

    frame_count: int
    omitted: tuple[int, ...]
    bytes: int
    duration: Fraction


def encode_segment(
    frames: Iterable[FrameSource],
    look: Look,
    out: Path,
    *,
    on_progress: Callable[[int], None],
    should_stop: Callable[[], bool],
    time_limit_s: float,
    threads: int = 2,
) -> SegmentFacts:
    """Encode `frames`, in order, into the MP4 file `out`; memory for one frame and the encoder's look-ahead.

    A frame that is missing or broken is left out. `on_progress` receives the number of frames encoded so
    far, rising, about four times a second. `should_stop` is asked about ten times a second and must be
    cheap. `out` is replaced by a whole, checked file or not touched. Raises NoFrames, EncodingCancelled,
    EncodingTookTooLong, EncodingFailed, DiskFull, EncoderMissing.
    """
    omitted: list[int] = []
    with published(out) as part:
        count = 0
        child = Ffmpeg(
            _arguments(look, part, threads),
            should_stop=should_stop,
            time_limit_s=time_limit_s,
            on_output=_FrameCounter(on_progress),
        )
        with child:
            for index, source in enumerate(frames):
                child.attend()
                pixels = read_frame(source, look.width, look.height)
                if pixels is None:
                    omitted.append(index)
                    continue
                child.feed(pixels.data)
                count += 1
            if not count:
                raise NoFrames(f"({len(omitted)} asked for)")
            child.finish()
        check_segment(part, look, count)
        size_bytes = part.stat().st_size
    on_progress(count)
    return SegmentFacts(count, tuple(omitted), size_bytes, count / look.rate)


def _arguments(look: Look, part: Path, threads: int) -> list[str]:
    return [
        "-progress", "pipe:1", "-stats_period", "0.25", "-nostats",
        "-f", "rawvideo", "-pix_fmt", "bgr24", "-video_size", f"{look.width}x{look.height}",
        "-framerate", str(look.rate), "-i", "pipe:0",
        "-an", *look.encoder_arguments(threads), "-fps_mode", "passthrough", "-map_metadata", "-1",
        "-video_track_timescale", str(look.timescale), "-movie_timescale", str(look.timescale),
        "-f", "mp4", "-y", f"file:{part}",
    ]  # fmt: skip


class _FrameCounter:
    """Reads `frame=123` from ffmpeg's -progress, which arrives in pieces."""

    def __init__(self, on_progress: Callable[[int], None]) -> None:
        self._on_progress = on_progress
        self._rest = b""
        self._seen = 0

    def __call__(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            name, _, value = line.partition(b"=")
            if name == b"frame" and value.strip().isdigit() and int(value) > self._seen:
                self._seen = int(value)
                self._on_progress(self._seen)
