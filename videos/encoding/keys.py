"""The name of a segment is what decides its bytes."""

import functools
import hashlib
import re
from collections.abc import Iterable

from videos.encoding.errors import EncodingFailed
from videos.encoding.look import Look
from videos.encoding.process import run_ffmpeg

KEY_FORMAT = 1  # raise it when this project makes other pixels from the same frames and look

_X264 = re.compile(rb"x264 - core (\d+(?: r\d+)?(?: [0-9a-f]{6,})?)")
_VERSIONS = (
    ("ffmpeg", re.compile(r"ffmpeg version (\S+)")),
    ("x265", re.compile(r"HEVC encoder version (\S+)")),
    ("svt-av1", re.compile(r"SVT-AV1 Encoder Lib (\S+)")),
)


def segment_key(frame_checksums: Iterable[str], look: Look, build: str) -> str:
    """64 hex digits: SHA-256 over lines of UTF-8 text, each ended by a line feed.

        timelapser-segment <KEY_FORMAT>
        build <encoder_build()>
        look <Look.canonical()>
        frame <checksum>            one line for each frame, in order

    Raises ValueError for a checksum that is empty or has white space in it (it could pretend to be a line).
    """
    digest = hashlib.sha256(
        f"timelapser-segment {KEY_FORMAT}\nbuild {build}\nlook {look.canonical()}\n".encode()
    )
    for checksum in frame_checksums:
        if not checksum or any(character.isspace() for character in checksum):
            raise ValueError(f"not a checksum: {checksum!r}")
        digest.update(f"frame {checksum}\n".encode())
    return digest.hexdigest()


@functools.cache
def encoder_build() -> str:
    """ffmpeg and the encoders in it, as `ffmpeg=n9.0 x264=165 x265=4.3 svt-av1=v4.2`; asked once per process.

    The encoders say their versions only at work, so each encodes one small black picture (about 0.1 s
    together). Raises EncoderMissing, EncodingFailed.
    """
    arguments = ["-f", "lavfi", "-i", "color=black:size=64x64:rate=1"]
    for encoder, target in (("libx264", "pipe:1"), ("libx265", "-"), ("libsvtav1", "-")):
        form = "h264" if target == "pipe:1" else "null"
        arguments += ["-frames:v", "1", "-threads", "1", "-c:v", encoder, "-f", form, target]
    banner, _ = run_ffmpeg(["-version"], time_limit_s=30)
    stream, said = run_ffmpeg(arguments, time_limit_s=30, loglevel="info", encoder_loglevel=3)
    text = banner.decode("utf-8", "replace") + said
    found = [(name, pattern.search(text)) for name, pattern in _VERSIONS]
    versions = {name: match[1] for name, match in found if match}
    if match := _X264.search(stream):
        versions["x264"] = match[1].decode("ascii").replace(" ", "-")
    if len(versions) != len(_VERSIONS) + 1:
        raise EncodingFailed(
            f"this ffmpeg does not name its encoders, only {', '.join(versions) or 'nothing'}"
        )
    return " ".join(f"{name}={versions[name]}" for name in sorted(versions))
