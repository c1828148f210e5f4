"""What decides the pixels and the bitstream of a film, and the encoder's arguments that follow from it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

_X26X_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
)  # fmt: skip

MIN_SIDE_PX = 64  # SVT-AV1's smallest
MAX_SIDE_PX = 8192  # the largest that H.264 level 6.2 and SVT-AV1 both take
MAX_SEGMENT_FRAMES = 3600
# bench/films.py: with segments of 120 one more frame costs 0.6 of what it costs with 240, and the film is 3-4 % larger
# than in one piece with key frames 250 apart (240: 0-1 %). Shorter ones save little more and grow: 60 by 8-11 %.
SEGMENT_FRAMES = 120
MIN_TIMESCALE = 10_000  # ticks of a second in the file; below this the muxer chooses another by itself


@dataclass(frozen=True, slots=True)
class Codec:
    """One way to encode. `reorder_frames`: how far B-frames move a picture in decoding order."""

    encoder: str
    tag: str
    presets: tuple[str, ...]
    max_crf: int
    default_preset: str
    default_crf: int
    reorder_frames: int


# Defaults: reference measurements, "Encoding": x264 veryfast 23 and SVT-AV1 preset 10 CRF 32 are equal in
# VMAF (87.8). Reordering: x264 and x265 use a B-pyramid (two pictures of delay, whatever the number of
# B-frames); an AV1 packet is a whole temporal unit and never reordered.
CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        "h264": Codec("libx264", "avc1", _X26X_PRESETS, 51, "veryfast", 23, 2),
        "h265": Codec("libx265", "hvc1", _X26X_PRESETS, 51, "veryfast", 26, 2),
        "av1": Codec("libsvtav1", "av01", tuple(str(n) for n in range(4, 14)), 63, "10", 32, 0),
    }
)


@dataclass(frozen=True, slots=True)
class Look:
    """Size in pixels (even), exact frames per second, codec, quality and the frames of a segment.

    `crf` and `preset` left out (None, "") become the codec's defaults. Raises ValueError for what cannot be
    encoded.
    """

    width: int
    height: int
    fps: Fraction | int
    codec: str = "h264"
    crf: int | None = None
    preset: str = ""
    gop: int = SEGMENT_FRAMES

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise ValueError(f"codec must be one of {', '.join(CODECS)}, not {self.codec!r}")
        codec = CODECS[self.codec]
        object.__setattr__(self, "fps", Fraction(self.fps))
        object.__setattr__(self, "crf", codec.default_crf if self.crf is None else int(self.crf))
        object.__setattr__(self, "preset", self.preset or codec.default_preset)
        for name, side in (("width", self.width), ("height", self.height)):
            if side % 2 or not MIN_SIDE_PX <= side <= MAX_SIDE_PX:
                raise ValueError(f"{name} must be even and {MIN_SIDE_PX}-{MAX_SIDE_PX}, not {side}")
        if not Fraction(1, 60) <= self.fps <= 240 or self.rate.denominator > 100_000:
            raise ValueError(f"fps must be a plain ratio in 1/60-240, not {self.fps}")
        if not 0 <= self.quality <= codec.max_crf:
            raise ValueError(f"crf must be 0-{codec.max_crf} for {self.codec}, not {self.crf}")
        if self.preset not in codec.presets:
            raise ValueError(f"preset must be one of {', '.join(codec.presets)}, not {self.preset!r}")
        if not 1 <= self.gop <= MAX_SEGMENT_FRAMES:
            raise ValueError(f"gop must be 1-{MAX_SEGMENT_FRAMES}, not {self.gop}")

    @property
    def rate(self) -> Fraction:
        return Fraction(self.fps)

    @property
    def quality(self) -> int:
        return int(self.crf or 0)

    @property
    def timescale(self) -> int:
        """Ticks of a second in the files: the smallest doubling of the rate's numerator that is fine enough.

        A frame lasts `timescale / fps` ticks, a whole number for every rational fps.
        """
        ticks = self.rate.numerator
        while ticks < MIN_TIMESCALE:
            ticks *= 2
        return ticks

    def canonical(self) -> str:
        """One line that is equal exactly when the looks are equal; part of a segment's key."""
        return " ".join(f"{field.name}={getattr(self, field.name)}" for field in dataclasses.fields(self))

    def encoder_arguments(self, threads: int) -> list[str]:
        """ffmpeg's output arguments for a closed group of pictures of constant quality that decodes alone."""
        codec = CODECS[self.codec]
        arguments = ["-c:v", codec.encoder, "-preset", self.preset, "-crf", str(self.quality)]
        arguments += ["-g", str(self.gop), "-threads", str(threads), "-tag:v", codec.tag]
        return arguments + _PRIVATE_ARGUMENTS[self.codec](self.gop, threads) + _COLOUR


# Pictures arrive as full-range RGB; players expect limited-range BT.709, converted and declared.
_COLOUR = [
    "-vf", "scale=out_color_matrix=bt709:out_range=limited,format=yuv420p,"
    "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=limited",
    "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv",
]  # fmt: skip


def _x264(gop: int, _threads: int) -> list[str]:
    return ["-x264-params", f"open-gop=0:stitchable=1:keyint={gop}"]


def _x265(gop: int, threads: int) -> list[str]:
    # With one thread x265 turns wavefronts off, which changes the picture parameter set: such segments do
    # not join.
    pool = max(2, threads)
    return [
        "-x265-params",
        f"open-gop=0:keyint={gop}:info=0:log-level=warning:pools={pool}:frame-threads=2:wpp=1",
    ]


def _svt_av1(_gop: int, threads: int) -> list[str]:
    return ["-svtav1-params", f"irefresh-type=2:lp={threads}"]


_PRIVATE_ARGUMENTS = {"h264": _x264, "h265": _x265, "av1": _svt_av1}
