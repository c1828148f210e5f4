"""A scene as video: encoded once for all who watch, and only while somebody does."""

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

import av
import cv2
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

from timelapser.demo.clock import Pixels
from timelapser.demo.scene import Scene

CLOCK_HZ = 90_000  # of RTP video, RFC 6184 and RFC 2435
NAL_IDR, NAL_SPS, NAL_PPS = 5, 7, 8
Unit = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded picture: its NAL units without start codes, or a single JPEG."""

    parts: Unit
    timestamp: int  # in 1/90000 s
    is_key: bool


class Encoder(ABC):
    name: str

    @abstractmethod
    def encode(self, pixels: Pixels, timestamp: int, *, is_key: bool) -> Picture:
        """One picture in (BGR), the same one out: no delay."""


class H264Encoder(Encoder):
    name = "H264"

    def __init__(self, width: int, height: int, fps: int, crf: int = 24) -> None:
        context = av.CodecContext.create("libx264", "w")
        assert isinstance(context, VideoCodecContext)  # noqa: S101 - narrows the type that PyAV leaves open
        context.width, context.height = width, height
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, CLOCK_HZ)
        context.framerate = Fraction(fps)
        context.thread_count = 1
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": str(crf),
            "forced-idr": "1",
            "x264-params": "keyint=infinite:scenecut=0:repeat-headers=1:threads=1:sliced-threads=0",
        }
        self._context = context

    def encode(self, pixels: Pixels, timestamp: int, *, is_key: bool) -> Picture:
        frame = VideoFrame.from_ndarray(pixels, format="bgr24").reformat(format="yuv420p")
        frame.pts = timestamp
        frame.time_base = Fraction(1, CLOCK_HZ)
        frame.pict_type = PictureType.I if is_key else PictureType.NONE
        units = tuple(unit for packet in self._context.encode(frame) for unit in split_units(bytes(packet)))
        return Picture(units, timestamp, is_key=any(unit[0] & 0x1F == NAL_IDR for unit in units))


class JpegEncoder(Encoder):
    name = "JPEG"

    def encode(self, pixels: Pixels, timestamp: int, *, is_key: bool) -> Picture:
        return Picture((encode_jpeg(pixels),), timestamp, is_key=True)


def encode_jpeg(pixels: Pixels, quality: int = 88) -> bytes:
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def split_units(stream: bytes) -> list[bytes]:
    """NAL units of an Annex B byte stream (ITU-T H.264, B.1), without start codes."""
    units = []
    for part in stream.split(b"\x00\x00\x01"):
        unit = part.rstrip(b"\x00")
        if unit:
            units.append(unit)
    return units


class Feed:
    """Many watch, one encodes. Nobody watching costs nothing; who joins gets a key frame at once."""

    def __init__(
        self,
        scene: Scene,
        encoder: Callable[[], Encoder] | None = None,
        *,
        fps: int = 5,
        key_every_s: float = 1.0,
        joins_at_key: bool = True,
    ) -> None:
        self._scene = scene
        self._make_encoder = encoder or (lambda: H264Encoder(scene.width, scene.height, fps))
        self._fps = fps
        self._key_every_s = key_every_s
        self.joins_at_key = joins_at_key
        self._watchers: set[asyncio.Queue[Picture]] = set()
        self._task: asyncio.Task[None] | None = None
        self._wants_key = False
        first = self._make_encoder()
        self.codec = first.name
        picture = first.encode(scene.draw(datetime.now(UTC)), 0, is_key=True)
        self.parameter_sets = tuple(unit for unit in picture.parts if unit[0] & 0x1F in (NAL_SPS, NAL_PPS))

    @property
    def is_encoding(self) -> bool:
        return self._task is not None and not self._task.done()

    async def watch(self) -> AsyncGenerator[Picture, None]:
        """Pictures as they are made, for as long as the caller iterates (close it with `aclosing`)."""
        queue: asyncio.Queue[Picture] = asyncio.Queue(maxsize=3 * self._fps)
        self._watchers.add(queue)
        self._wants_key = self._wants_key or self.joins_at_key
        if not self.is_encoding:
            self._task = asyncio.create_task(self._run())
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.discard(queue)
            if not self._watchers and self._task is not None:
                # Let go of at once: who joins in the next moment must find no dying task.
                self._task.cancel()
                self._task = None

    async def _run(self) -> None:
        encoder = self._make_encoder()
        key_at = time.monotonic() + (0 if self.joins_at_key else self._key_every_s)
        while True:
            started = time.monotonic()
            is_key = self._wants_key or started >= key_at
            if is_key:
                self._wants_key = False
                key_at = started + self._key_every_s
            picture = await asyncio.to_thread(self._make, encoder, is_key=is_key)
            for queue in self._watchers:
                with contextlib.suppress(
                    asyncio.QueueFull
                ):  # who does not keep up loses pictures, not we memory
                    queue.put_nowait(picture)
            await asyncio.sleep(max(0.0, started + 1 / self._fps - time.monotonic()))

    def _make(self, encoder: Encoder, *, is_key: bool) -> Picture:
        timestamp = int(time.monotonic() * CLOCK_HZ)
        return encoder.encode(self._scene.draw(datetime.now(UTC)), timestamp, is_key=is_key)
