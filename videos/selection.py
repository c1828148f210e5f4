"""Which frames make the film, and where it is cut: on the slot grid, never on the position in the film."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby, islice
from zoneinfo import ZoneInfo

from captures.imaging.quality.contract import GOOD
from captures.intervalometer import EPOCH, Grid, Timetable
from captures.models import Capture, CaptureQuerySet, Timelapse
from videos.encoding.keys import segment_key
from videos.encoding.look import Look
from videos.models import Recipe, Video

# How far a timetable without a grid of its own is read to know its pace.
PACE_SPAN = timedelta(days=7)
PACE_SLOTS = 1000


@dataclass(frozen=True, slots=True)
class Frame:
    """A stored picture as a value. `checksum` is that of its file."""

    capture_id: int
    slot: datetime
    checksum: str


@dataclass(frozen=True, slots=True)
class Cut:
    """A run of frames that is encoded together. `is_open`: more frames may still join it."""

    key: str
    frames: tuple[Frame, ...]
    is_open: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """The grid on which the film is cut from a moment on."""

    from_at: datetime
    grid: Grid


def select(video: Video, *, until: datetime | None = None) -> list[Frame]:
    """The film's frames in order of their slots; `until` (inclusive) leaves out what came later."""
    stored = _stored(video)
    if until is not None:
        stored = stored.filter(slot__lte=until)
    rows = stored.order_by("slot").values_list("pk", "slot", "checksum")
    return [Frame(*row) for row in rows.iterator(chunk_size=5000)]


def exists(video: Video) -> bool:
    """Whether there is any picture for the film."""
    return _stored(video).exists()


def count(video: Video) -> int:
    """How many pictures the film would have now."""
    return _stored(video).count()


def _stored(video: Video) -> CaptureQuerySet:
    """Those of its days that its recipe allows."""
    stored = Capture.objects.stored().filter(timelapse=video.timelapse_id)
    if video.recipe.frames != Recipe.Frames.ALL:
        stored = stored.filter(is_flagged=False)
    if video.recipe.frames == Recipe.Frames.FLAWLESS:
        stored = stored.filter(verdict=GOOD)
    start, end = day_limits(video.from_day, video.until_day, video.timelapse.zone)
    if start is not None:
        stored = stored.filter(slot__gte=start)
    if end is not None:
        stored = stored.filter(slot__lt=end)
    return stored


def day_limits(
    from_day: date | None, until_day: date | None, zone: ZoneInfo
) -> tuple[datetime | None, datetime | None]:
    """The instants of local midnight that begin the first day and end the last one."""
    start = datetime.combine(from_day, time(), tzinfo=zone) if from_day else None
    end = datetime.combine(until_day + timedelta(days=1), time(), tzinfo=zone) if until_day else None
    return start, end


def stretches_of(timelapse: Timelapse) -> list[Stretch]:
    schedules = timelapse.schedules.order_by("from_at")
    return [Stretch(schedule.from_at, _grid_of(schedule.timetable)) for schedule in schedules]


def _grid_of(timetable: Timetable) -> Grid:
    """The timetable's own grid where it has one, else one with as many steps as it has slots, on the average.

    It depends on the timetable alone, so that a pause makes no cut.
    """
    shortest, anchor = timetable.plan.shortest_interval, timetable.anchors[0]
    if len(timetable.anchors) == 1 and shortest is not None and anchor is not None:
        return Grid(anchor, shortest)
    days = [first for first, _ in timetable.plan.dates]
    first = timetable.first_from(datetime.combine(min(days), time(), UTC) if days else EPOCH)
    some = list(islice(timetable.between(first, first + PACE_SPAN), PACE_SLOTS)) if first else []
    pace = (some[-1] - some[0]) / (len(some) - 1) if len(some) > 1 else PACE_SPAN
    return Grid(EPOCH, max(pace, timedelta(seconds=1)))


def cut(
    frames: Sequence[Frame], stretches: Sequence[Stretch], look: Look, build: str, *, length: int
) -> list[Cut]:
    """Cuts `frames` where the grid's index passes a multiple of `length`.

    So a frame that is left out, healed or appended touches the one segment that it belongs to. Pausing and resuming
    on the same grid makes no cut. Where frames come thicker than the grid they are cut after each `length` of them.
    """
    runs = []
    for _, run in groupby(_with_bucket(frames, stretches, length), key=lambda pair: pair[0]):
        members = tuple(frame for _, frame in run)
        runs += [members[start : start + length] for start in range(0, len(members), length)]
    cuts = []
    for number, members in enumerate(runs, start=1):
        key = segment_key((frame.checksum for frame in members), look, build)
        cuts.append(Cut(key=key, frames=members, is_open=number == len(runs)))
    return cuts


def _with_bucket(
    frames: Sequence[Frame], stretches: Sequence[Stretch], length: int
) -> Iterable[tuple[tuple[Grid, int], Frame]]:
    position = 0
    for frame in frames:
        while position + 1 < len(stretches) and stretches[position + 1].from_at <= frame.slot:
            position += 1
        grid = stretches[position].grid
        yield (grid, grid.index(frame.slot) // length), frame
