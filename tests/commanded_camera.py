"""A camera that on command does what cameras do in a year: it smears, freezes, is covered, refuses, disappears.

It draws a lively scene at noon (clouds, a crane, waves, sensor noise), and speaks HTTP and RTSP:

    camera = CommandedCamera()
    with InBackground(camera):
        ...  # read camera.http_address or camera.rtsp_address
        camera.suffer(Trouble.SMEAR)
        camera.recover()
"""

import asyncio
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum

import cv2
import numpy as np

from timelapser.demo.clock import EPOCH, paint_clock
from timelapser.demo.feed import Feed, encode_jpeg
from timelapser.demo.http_camera import HttpCamera, send_answer
from timelapser.demo.login import Login
from timelapser.demo.rtsp_server import Mount, RtspServer
from timelapser.demo.scene import HARBOUR, Scene

HTTP_PATH, RTSP_PATH = "/snapshot.jpg", "/harbour"
DAY_S = 86_400.0
DAMAGE_FROM = 0.5  # of the height: what is above has arrived whole
NO_GREEN = (0, 135, 0)  # BGR of a decoder's empty planes, Y = U = V = 0
MOVE_TIMEOUT_S = 10.0


class Trouble(StrEnum):
    SMEAR = "smear"  # below a row only that row again: vertical bands, as decoders make them
    GREY = "grey"  # the lower part never arrived, and the decoder left grey
    GREEN = "green"  # the same with empty planes
    TRUNCATED = "truncated"  # the file ends in its middle
    FROZEN = "frozen"  # the same file again and again
    DARK = "dark"  # the light is gone
    COVERED = "covered"  # something soft hangs before the lens
    DEFOCUSED = "defocused"
    MOVED = "moved"  # somebody has pushed it; the clock stays in its corner
    REFUSED = "refused"  # 401
    GONE = "gone"  # nobody listens on its port


class CommandedScene(Scene):
    """The scene with noise and the trouble of `trouble`, read anew for each picture; its sun is highest at `noon`."""

    def __init__(self, width=1280, height=720, *, noon=None):
        noon_s = ((noon or datetime.now(UTC)) - EPOCH).total_seconds()
        view = replace(HARBOUR, phase=(0.5 - noon_s / DAY_S) % 1.0)
        super().__init__(width, height, view, day_s=DAY_S)
        self.trouble = None
        self._chance = np.random.default_rng(5)
        self._noise = self._chance.normal(0, 2.5, (height + 64, width + 64, 3)).astype(np.int8)

    def draw(self, moment):
        trouble = self.trouble
        pixels = self._with_noise(_seen(self.draw_view(moment), trouble))
        paint_clock(pixels, moment, name=self.view.name)
        return _damaged(pixels, trouble)

    def _with_noise(self, pixels):
        y, x = self._chance.integers(0, 64, 2)
        noise = self._noise[y : y + self.height, x : x + self.width]
        return cv2.add(pixels, noise, dtype=cv2.CV_8U)


def _seen(pixels, trouble):
    """What the lens lets through, before any clock is painted."""
    height, width = pixels.shape[:2]
    if trouble == Trouble.DARK:
        return (pixels * 0.012).astype(np.uint8)
    if trouble == Trouble.COVERED:
        cloth = cv2.GaussianBlur(cv2.resize(pixels, (16, 9), interpolation=cv2.INTER_AREA), (9, 9), 4)
        cloth = cv2.resize(cloth, (width, height), interpolation=cv2.INTER_CUBIC)
        return (cloth * 0.12 + np.array((38, 46, 58))).astype(np.uint8)
    if trouble == Trouble.DEFOCUSED:
        return cv2.GaussianBlur(pixels, (0, 0), height / 60)
    if trouble == Trouble.MOVED:
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), 1, 1)
        turn[:, 2] += (width * 0.14, -height * 0.1)
        return cv2.warpAffine(pixels, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    return pixels


def _damaged(pixels, trouble):
    """What is lost on the way from the lens to us, the camera's clock included."""
    row = round(len(pixels) * DAMAGE_FROM)
    if trouble == Trouble.SMEAR:
        pixels[row:] = pixels[row]
    elif trouble == Trouble.GREY:
        pixels[row:] = 128
    elif trouble == Trouble.GREEN:
        pixels[row:] = NO_GREEN
    return pixels


class Gate(Login):
    """Lets everybody in, or nobody."""

    def __init__(self):
        super().__init__("nobody", "knows", "basic")
        self.is_open = True

    def accepts(self, method, authorization):
        return self.is_open


class CommandedCamera:
    """Commands may come from any thread, and are obeyed with the next picture that is asked for."""

    def __init__(self, width=1280, height=720):
        self.scene = CommandedScene(width, height)
        self._gate = Gate()
        self._http = HttpCamera(self.scene, login=self._gate)
        self._http.routes[HTTP_PATH] = self._send_snapshot
        self._rtsp = RtspServer({RTSP_PATH: Mount(Feed(self.scene, fps=5), self._gate)})
        self._frozen = b""
        self._holders = []
        self._lock = threading.Lock()
        self.served = 0  # snapshots, also those asked for twice

    @property
    def http_address(self):
        return self._http.address(HTTP_PATH)

    @property
    def rtsp_address(self):
        return self._rtsp.address(RTSP_PATH)

    @property
    def trouble(self):
        return self.scene.trouble

    async def start(self):
        self._loop = asyncio.get_running_loop()
        await self._listen()

    async def stop(self):
        await self._go()
        self._release()

    # --- commands ---------------------------------------------------------------------------------------------

    def suffer(self, trouble):
        """From the next picture on, until `recover` or another trouble."""
        self.recover()
        if trouble == Trouble.FROZEN:
            self._frozen = encode_jpeg(self.scene.draw(datetime.now(UTC)))
        self.scene.trouble = trouble
        self._gate.is_open = trouble != Trouble.REFUSED
        if trouble == Trouble.GONE:
            self._wait(self._go(keeps_ports=True))

    def recover(self):
        was, self.scene.trouble = self.scene.trouble, None
        self._gate.is_open = True
        if was == Trouble.GONE:
            self._release()
            self._wait(self._listen())

    def _wait(self, deed):
        asyncio.run_coroutine_threadsafe(deed, self._loop).result(MOVE_TIMEOUT_S)

    # --- serving ----------------------------------------------------------------------------------------------

    async def _listen(self):
        await self._http.start()
        await self._rtsp.start()

    async def _go(self, *, keeps_ports=False):
        await self._http.stop()
        await self._rtsp.stop()
        if keeps_ports:  # bound without listening: refused, and nobody else can have it
            for port in (self._http.port, self._rtsp.port):
                holder = socket.socket()
                holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with suppress(
                    OSError
                ):  # the last viewer's connection may not be over yet; nobody listens either way
                    holder.bind(("127.0.0.1", port))
                self._holders.append(holder)

    def _release(self):
        while self._holders:
            self._holders.pop().close()

    async def _send_snapshot(self, request, writer):
        picture = await asyncio.to_thread(self._snapshot)
        await send_answer(writer, 200, picture, "image/jpeg")

    def _snapshot(self):
        with self._lock:
            self.served += 1
            if self.scene.trouble == Trouble.FROZEN:
                return self._frozen
            picture = encode_jpeg(self.scene.draw(datetime.now(UTC)))
            if self.scene.trouble == Trouble.TRUNCATED:
                return picture[: int(len(picture) * 0.4)]
            return picture
