"""What the demonstration cameras see: a town that grows, under a sky with sun, moon, clouds and stars."""

import math
from dataclasses import dataclass
from datetime import datetime

import cv2
import numpy as np
from numpy.typing import NDArray

from timelapser.demo.clock import EPOCH, Pixels, paint_clock

DAY_S = 180.0  # a whole day of the scene, so that a film of a minute's pictures shows it
Colour = tuple[float, float, float]  # blue, green, red


@dataclass(frozen=True, slots=True)
class View:
    """One camera's place: the same sky, another town."""

    name: str
    seed: int
    hills: Colour
    houses: Colour
    phase: float  # share of a day that this view is ahead
    has_crane: bool


HARBOUR = View("Harbour", 7, (74, 96, 70), (112, 104, 98), 0.30, has_crane=True)
LAKESIDE = View("Lakeside", 23, (58, 104, 92), (92, 108, 138), 0.45, has_crane=False)
VIEWS = (HARBOUR, LAKESIDE)

# Sky colours at the top and at the horizon over the share of the day, 0 and 1 being midnight.
_HOURS = (0.0, 0.20, 0.26, 0.34, 0.50, 0.66, 0.74, 0.80, 1.0)
_TOP = ((38, 16, 8), (44, 20, 12), (120, 72, 60), (206, 138, 72), (224, 152, 74), (210, 140, 76),
        (112, 58, 70), (48, 20, 14), (38, 16, 8))  # fmt: skip
_LOW = ((62, 34, 20), (78, 44, 40), (120, 156, 244), (226, 206, 178), (240, 222, 192), (214, 204, 190),
        (78, 128, 250), (84, 50, 54), (62, 34, 20))  # fmt: skip


@dataclass(frozen=True, slots=True)
class _House:
    left: int
    right: int
    top: int
    shade: float
    windows: tuple[tuple[int, int, float, float], ...]  # x, y, lit from, lit until, in shares of the day


class Scene:
    """Draws the view at any moment; the same moment gives the same picture."""

    def __init__(
        self, width: int = 1280, height: int = 720, view: View = HARBOUR, *, day_s: float = DAY_S
    ) -> None:
        self.width = width
        self.height = height
        self.view = view
        self.day_s = day_s
        self._unit = height / 720
        chance = np.random.default_rng(view.seed)
        self._horizon = round(height * 0.72)
        self._hill_lines = [self._hill_line(chance, share) for share in (0.56, 0.64)]
        self._clouds = self._make_clouds(chance)
        self._stars = chance.random((140, 3))
        self._houses = self._make_houses(chance)

    def draw(self, moment: datetime) -> Pixels:
        """(height, width, 3), uint8, BGR, with the clock painted in."""
        pixels = self.draw_view(moment)
        paint_clock(pixels, moment, name=self.view.name)
        return pixels

    def draw_view(self, moment: datetime) -> Pixels:
        """(height, width, 3), uint8, BGR: what is before the camera, without its clock."""
        seconds = (moment - EPOCH).total_seconds()
        day = (seconds / self.day_s + self.view.phase) % 1.0
        light = float(np.clip(0.5 - 0.75 * math.cos(math.tau * day), 0.10, 1.0))
        pixels = self._draw_sky(day)
        self._draw_lights_of_the_sky(pixels, day, light)
        self._draw_clouds(pixels, seconds, light)
        self._draw_land(pixels, light)
        self._draw_town(pixels, day, light)
        if self.view.has_crane:
            self._draw_crane(pixels, seconds, light)
        self._draw_water(pixels, seconds)
        return pixels

    def _draw_sky(self, day: float) -> Pixels:
        top = np.array([np.interp(day, _HOURS, [colour[c] for colour in _TOP]) for c in range(3)])
        low = np.array([np.interp(day, _HOURS, [colour[c] for colour in _LOW]) for c in range(3)])
        share = np.clip(np.linspace(0, self.height / self._horizon, self.height), 0, 1)[:, None] ** 1.4
        column = (top + (low - top) * share).astype(np.uint8)[:, None, :]
        return np.repeat(column, self.width, axis=1)

    def _draw_lights_of_the_sky(self, pixels: Pixels, day: float, light: float) -> None:
        if light < 0.5:
            for x, y, brightness in self._stars:
                level = (0.5 - light) * 2 * (0.4 + 0.6 * brightness)
                spot = (int(x * self.width), int(y * self._horizon))
                old = pixels[spot[1], spot[0]].astype(float)
                cv2.circle(pixels, spot, max(1, round(self._unit)), (old + (255 - old) * level).tolist(), -1)
        for offset, radius, colour in ((0.0, 40, (150, 232, 255)), (0.5, 28, (236, 236, 226))):
            arc = (day + offset) % 1.0
            if not 0.22 < arc < 0.78:
                continue
            share = (arc - 0.22) / 0.56
            centre = (int(share * self.width), int(self._horizon * (1.02 - 0.82 * math.sin(math.pi * share))))
            size = round(radius * self._unit)
            if not offset:
                _glow(pixels, centre, size * 4, colour)
            cv2.circle(pixels, centre, size, colour, -1, cv2.LINE_AA)

    def _draw_clouds(self, pixels: Pixels, seconds: float, light: float) -> None:
        shift = int(seconds * 9 * self._unit) % self._clouds.shape[1]
        alpha = np.roll(self._clouds, shift, axis=1)[:, : self.width]
        sky = pixels[: alpha.shape[0]]
        white = np.full_like(sky, int(60 + 190 * light))
        cover = cv2.merge((alpha, alpha, alpha))
        cloudy = cv2.add(
            cv2.multiply(sky, cv2.bitwise_not(cover), scale=1 / 255),
            cv2.multiply(white, cover, scale=1 / 255),
        )
        pixels[: alpha.shape[0]] = cloudy

    def _draw_land(self, pixels: Pixels, light: float) -> None:
        for depth, line in enumerate(self._hill_lines):
            colour = [part * light * (1.15 - 0.3 * depth) for part in self.view.hills]
            cv2.fillPoly(pixels, [line], colour, cv2.LINE_AA)

    def _draw_town(self, pixels: Pixels, day: float, light: float) -> None:
        window = max(2, round(5 * self._unit))
        for house in self._houses:
            colour = [part * light * house.shade for part in self.view.houses]
            cv2.rectangle(pixels, (house.left, house.top), (house.right, self._horizon), colour, -1)
            for x, y, lit_from, lit_until in house.windows:
                is_lit = day > lit_from or day < lit_until
                pane = (110, 206, 255) if is_lit else [part * light * 0.55 for part in self.view.houses]
                cv2.rectangle(pixels, (x, y), (x + window, y + round(window * 1.5)), pane, -1)

    def _draw_crane(self, pixels: Pixels, seconds: float, light: float) -> None:
        unit = self._unit
        foot = (round(self.width * 0.7), self._horizon)
        head = (foot[0], round(self._horizon - 330 * unit))
        colour = (40 * light, 170 * light, 235 * light)
        line = max(1, round(5 * unit))
        swing = math.cos(seconds * math.tau / 40)
        tip = (round(head[0] + 250 * unit * swing), head[1] + round(10 * unit))
        back = (round(head[0] - 80 * unit * swing), head[1] + round(6 * unit))
        hook_share = 0.55 + 0.35 * math.sin(seconds * math.tau / 23)
        hook_x = round(head[0] + (tip[0] - head[0]) * hook_share)
        hook_y = round(head[1] + (90 + 60 * math.sin(seconds * math.tau / 17)) * unit)
        cv2.line(pixels, foot, head, colour, line * 2, cv2.LINE_AA)
        cv2.line(pixels, back, tip, colour, line, cv2.LINE_AA)
        cv2.line(pixels, (head[0], round(head[1] - 45 * unit)), tip, colour, max(1, line // 2), cv2.LINE_AA)
        cv2.line(pixels, (head[0], round(head[1] - 45 * unit)), back, colour, max(1, line // 2), cv2.LINE_AA)
        cv2.line(pixels, (hook_x, head[1]), (hook_x, hook_y), (30, 30, 30), max(1, line // 3), cv2.LINE_AA)
        box = round(16 * unit)
        cv2.rectangle(pixels, (hook_x - box, hook_y), (hook_x + box, hook_y + box), colour, -1)
        if light < 0.4 and int(seconds) % 2:
            cv2.circle(pixels, (head[0], round(head[1] - 50 * unit)), line, (60, 60, 255), -1, cv2.LINE_AA)

    def _draw_water(self, pixels: Pixels, seconds: float) -> None:
        """The lower part mirrors what stands above it, moved by waves of whole rows."""
        rows = self.height - self._horizon
        depth = np.arange(rows)
        wave = 2.5 * self._unit * np.sin(depth * 0.55 / self._unit - seconds * 3.1) * (0.3 + depth / rows)
        source = np.clip(self._horizon - 1 - depth * 1.6 + wave, 0, self._horizon - 1).astype(int)
        pixels[self._horizon :] = cv2.addWeighted(
            pixels[source], 0.62, np.full_like(pixels[source], (70, 44, 24)), 0.18, 0
        )

    def _hill_line(self, chance: np.random.Generator, share: float) -> NDArray[np.int32]:
        x = np.linspace(0, self.width, 64)
        waves = [(chance.uniform(1, 6), chance.uniform(0, math.tau), chance.uniform(8, 26)) for _ in range(4)]
        ups = sum(size * np.sin(x / self.width * math.tau * pace + start) for pace, start, size in waves)
        y = self.height * share + ups * self._unit
        line = np.stack((x, y), axis=1)
        return np.vstack((line, [[self.width, self._horizon], [0, self._horizon]])).astype(np.int32)

    def _make_clouds(self, chance: np.random.Generator) -> Pixels:
        """Opacity of the drifting layer, (height / 2, 2 * width), uint8, without a seam at its ends."""
        height, width = self.height // 2, self.width * 2
        total = np.zeros((height, width), np.float32)
        for cells, weight in ((6, 1.0), (13, 0.5), (29, 0.28), (61, 0.15)):
            grid = chance.random((max(2, cells // 2), cells), dtype=np.float32)
            grid = np.hstack((grid, grid[:, :1]))
            total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        fade = np.sin(np.linspace(0.1, math.pi, height, dtype=np.float32))[:, None]
        opacity: Pixels = (np.clip((total - 1.05) * 1.5, 0, 0.85) * fade * 255).astype(np.uint8)
        return opacity

    def _make_houses(self, chance: np.random.Generator) -> list[_House]:
        houses = []
        left = 0.0
        while left < self.width:
            wide = chance.uniform(46, 110) * self._unit
            tall = chance.uniform(40, 210) * self._unit * (0.6 + 0.4 * math.sin(left / self.width * math.pi))
            top = round(self._horizon - tall)
            windows = tuple(
                (round(x), round(y), chance.uniform(0.70, 0.95), chance.uniform(0.02, 0.30))
                for y in np.arange(top + 10 * self._unit, self._horizon - 12 * self._unit, 19 * self._unit)
                for x in np.arange(left + 8 * self._unit, left + wide - 12 * self._unit, 16 * self._unit)
                if chance.random() < 0.6
            )
            houses.append(_House(round(left), round(left + wide), top, chance.uniform(0.75, 1.15), windows))
            left += wide + chance.uniform(0, 14) * self._unit
        return houses


def _glow(pixels: Pixels, centre: tuple[int, int], radius: int, colour: Colour) -> None:
    """Adds light around a point, falling to nothing at the radius."""
    left, top = max(0, centre[0] - radius), max(0, centre[1] - radius)
    part = pixels[top : centre[1] + radius, left : centre[0] + radius]
    if not part.size:
        return
    y, x = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
    distance = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / radius
    strength = (np.clip(1 - distance, 0, 1) ** 2 * 0.7)[..., None]
    part[:] = (part + (np.array(colour) - part) * strength).astype(np.uint8)
