"""How quality is drawn: five bands with a colour and a pattern each, a bar of their shares, a line over days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from captures.quality_report import BANDS, DayOfQuality, band_of

SPARK_WIDTH, SPARK_HEIGHT = 120, 32
SPARK_MARGIN = 3  # of the last point's dot
LOWEST_SPAN = 20  # points: a camera that wavers between 96 and 98 draws no mountains


@dataclass(frozen=True, slots=True)
class Band:
    """A range of scores; `code` is the name of its style, `words` its range."""

    code: str
    label: str
    words: str


@dataclass(frozen=True, slots=True)
class Part:
    """A band's part of a bar, all in per cent of its width."""

    band: Band
    count: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Spark:
    """A small line of scores, oldest first; `points` as SVG's polyline takes them, in a box of 120 × 32."""

    points: str
    last_x: float
    last_y: float
    words: str


@dataclass(frozen=True, slots=True)
class Column:
    """A day of the trend, as high as its average, in per cent of the drawing. `band` None: nothing was judged."""

    day: date
    found: DayOfQuality | None
    band: Band | None
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 3)


def _bands() -> dict[str, Band]:
    limits = [101, *(least for _, least in BANDS)]
    return {
        code: Band(code, code.capitalize(), f"{least}–{above - 1}" if least else f"below {above}")
        for (code, least), above in zip(BANDS, limits, strict=False)
    }


ALL_BANDS = _bands()


def band(score: float) -> Band:
    """That of a score or of an average, which counts as the whole points that are shown."""
    return ALL_BANDS[band_of(whole(score))]


def whole(score: float) -> int:
    """Points as they are shown: rounded down, so that 70 is never said of what is below it."""
    return int(score)


def bar(counts: Mapping[str, int]) -> tuple[Part, ...]:
    """The bands as a bar of 100 %, best first; those without a picture have no width."""
    total = sum(counts.values())
    parts: list[Part] = []
    x = 0.0
    for code, found in ALL_BANDS.items():
        share = 100 * counts.get(code, 0) / total if total else 0.0
        parts.append(Part(found, counts.get(code, 0), round(x, 3), round(share, 3)))
        x += share
    return tuple(parts)


def spark(days: Sequence[DayOfQuality]) -> Spark | None:
    """None where there are no two days to join by a line; days without pictures are bridged."""
    if len(days) < 2:
        return None
    averages = [one.average for one in days]
    top = min(100.0, max(averages) + 2)
    low = min(min(averages) - 2, top - LOWEST_SPAN)
    x_step = (SPARK_WIDTH - 2 * SPARK_MARGIN) / (days[-1].day - days[0].day).days
    y_step = (SPARK_HEIGHT - 2 * SPARK_MARGIN) / (top - low)
    spots = [
        (
            round(SPARK_MARGIN + (one.day - days[0].day).days * x_step, 1),
            round(SPARK_MARGIN + (top - one.average) * y_step, 1),
        )
        for one in days
    ]
    words = f"{whole(averages[0])} on {days[0].day:%d %b}, {whole(averages[-1])} on {days[-1].day:%d %b}"
    return Spark(" ".join(f"{x},{y}" for x, y in spots), *spots[-1], words)


def columns(days: Sequence[DayOfQuality], since: date, until: date) -> tuple[Column, ...]:
    """One for each day from `since` to `until`, both inclusive; days without pictures are empty."""
    by_day = {one.day: one for one in days}
    count = (until - since).days + 1
    return tuple(
        _column(since + timedelta(days=place), by_day.get(since + timedelta(days=place)), place, 100 / count)
        for place in range(count)
    )


def _column(day: date, found: DayOfQuality | None, place: int, step: float) -> Column:
    height = round(found.average, 2) if found else 0.0
    return Column(
        day=day,
        found=found,
        band=band(found.average) if found else None,
        x=round((place + 0.12) * step, 3),
        y=round(100 - height, 2),
        width=round(0.76 * step, 3),
        height=height,
    )
