"""What one more frame costs: the tail segment and the join, against rendering the whole film.

    python bench/films.py [--frames 2000 10000] [--lengths 30 60 120 240] [--size 640x360] [--codec h264]

Nothing is extrapolated: every film of the first table is really rendered whole, once by one ffmpeg, and in segments;
then one frame is added. Wall seconds, and CPU seconds of this process and its ffmpeg. In the second table the tail is
encoded at 1, 1/4, 1/2, 3/4 and all of its length, and the join is of the largest film.
"""

import argparse
import itertools
import os
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from videos.encoding.join import join_segments
from videos.encoding.look import Look
from videos.encoding.process import run_ffmpeg
from videos.encoding.segments import encode_segment

ONE_SHOT_GOP = 250  # x264's own default
PICTURES = 240


@dataclass(frozen=True, slots=True)
class Cost:
    wall_s: float
    cpu_s: float

    def __str__(self) -> str:
        return f"{self.wall_s:.2f} | {self.cpu_s:.2f}"


def cost_of(work: Callable[[], object]) -> Cost:
    def cpu() -> float:
        return sum(os.times()[:4])

    wall, before = time.perf_counter(), cpu()
    work()
    return Cost(time.perf_counter() - wall, cpu() - before)


def make_pictures(folder: pathlib.Path, look: Look) -> list[pathlib.Path]:
    """A fixed camera, minutes between its pictures: ground, drifting clouds, light that changes and jitters, people
    and cars elsewhere in each, camera noise. Walked forth and back."""
    rng = np.random.default_rng(1)
    width, height = look.width, look.height

    def smooth(cell: int, across: int = width) -> np.ndarray:
        coarse = rng.integers(30, 220, (height // cell + 2, across // cell + 2, 3), np.uint8)
        return cv2.resize(coarse, (across, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)

    ground = 0.5 * smooth(max(2, height // 90)) + 0.5 * smooth(height // 9)
    clouds = smooth(height // 6, width * 3)
    horizon = height // 3
    paths = []
    for number in range(PICTURES):
        view = ground.copy()
        offset = number * width // 120
        view[:horizon] = clouds[:horizon, offset : offset + width] + rng.normal(0, 6)
        view *= 0.7 + 0.3 * np.sin(number / 40) + rng.normal(0, 0.01)
        for _ in range(12):
            x, y = rng.integers(0, width), rng.integers(horizon, height)
            size = int(height // 40 + 1)
            view[y : y + size, x : x + 2 * size] = rng.integers(0, 255, 3)
        noisy = np.clip(view + rng.normal(0, 3, view.shape), 0, 255).astype(np.uint8)
        paths.append(folder / f"{number}.jpg")
        cv2.imwrite(str(paths[-1]), noisy, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return paths


class Bench:
    """Frames without end, and both ways to make a film of them."""

    def __init__(self, folder: pathlib.Path, look: Look, pictures: pathlib.Path | None) -> None:
        self.folder, self.look = folder, look
        forth = sorted(pictures.glob("*.jpg")) if pictures else make_pictures(folder, look)
        self._walk = [*forth, *reversed(forth)]

    def encode(self, first: int, count: int, name: str, look: Look | None = None) -> pathlib.Path:
        out = self.folder / f"{name}.mp4"
        frames = (self._walk[number % len(self._walk)] for number in range(first, first + count))
        encode_segment(
            frames,
            look or self.look,
            out,
            on_progress=lambda done: None,
            should_stop=lambda: False,
            time_limit_s=36_000,
        )
        return out

    def segments(self, count: int, length: int) -> list[pathlib.Path]:
        """All of them; what an earlier table already encoded is used again."""
        look = replace(self.look, gop=length)
        paths = []
        for first in range(0, count, length):
            name = f"s{length}-{first}-{min(length, count - first)}"
            path = self.folder / f"{name}.mp4"
            paths.append(
                path if path.exists() else self.encode(first, min(length, count - first), name, look)
            )
        return paths

    def concat(self, paths: Sequence[pathlib.Path]) -> None:
        """ffmpeg's concat demuxer, for comparison; it checks nothing."""
        listing = self.folder / "list.txt"
        listing.write_text("".join(f"file '{path}'\n" for path in paths))
        arguments = [
            "-f",
            "concat",
            "-safe",
            "0",
            "-i",
            f"file:{listing}",
            "-c",
            "copy",
            "-movflags",
            "+faststart",
        ]
        run_ffmpeg([*arguments, "-y", f"file:{self.folder / 'concat.mp4'}"], time_limit_s=3600)

    def join(self, paths: Sequence[pathlib.Path], length: int) -> None:
        look = replace(self.look, gop=length)
        join_segments(paths, look, self.folder / "film.mp4", should_stop=lambda: False)


def compare_with_whole(bench: Bench, sizes: Sequence[int], length: int) -> list[pathlib.Path]:
    """The first table. Gives the segments of the largest film."""
    print("| frames | way | wall s | CPU s | whole / this (wall, CPU) |\n|--:|---|--:|--:|--:|")
    paths: list[pathlib.Path] = []
    one_shot = replace(bench.look, gop=ONE_SHOT_GOP)
    for count in sizes:
        whole = cost_of(lambda count=count: bench.encode(0, count + 1, "whole", one_shot))
        print(f"| {count:,} + 1 | one ffmpeg, the whole | {whole} | 1, 1 |", flush=True)
        paths = bench.segments(count, length)
        open_count = count % length
        closed = paths[: count // length]
        for label, tail in (("as it is now", open_count + 1), ("at its longest", length)):
            add = cost_of(lambda tail=tail, first=count - open_count: bench.encode(first, tail, "tail"))
            joined = [*closed, bench.folder / "tail.mp4"]
            join = cost_of(lambda joined=joined: bench.join(joined, length))
            total = Cost(add.wall_s + join.wall_s, add.cpu_s + join.cpu_s)
            ratios = f"{whole.wall_s / total.wall_s:.0f}, {whole.cpu_s / total.cpu_s:.0f}"
            parts = f"tail of {tail} ({label}) {add.wall_s:.2f} s + join {join.wall_s:.2f} s"
            print(f"| | {parts} | {total} | {ratios} |", flush=True)
        concat = cost_of(lambda joined=joined: bench.concat(joined))
        print(f"| | (ffmpeg's concat instead of our join, unchecked) | {concat} | |", flush=True)
    return paths


def compare_lengths(bench: Bench, lengths: Sequence[int], count: int, sample: int) -> None:
    """The second table."""
    one_shot = bench.encode(0, sample, "sample", replace(bench.look, gop=ONE_SHOT_GOP)).stat().st_size
    print(
        f"\n| segment | size to one-shot ({sample} frames) | tail, mean: wall s | CPU s "
        f"| join of {count:,}: wall s | CPU s | one more frame: wall s | CPU s |\n|{'--:|' * 8}"
    )
    for length in lengths:
        paths = bench.segments(sample, length)
        share = sum(path.stat().st_size for path in paths) / one_shot - 1
        look = replace(bench.look, gop=length)
        counts = sorted({1, *(max(1, length * part // 4) for part in (1, 2, 3, 4))})
        tails = [cost_of(lambda n=n, look=look: bench.encode(0, n, "tail", look)) for n in counts]
        tail = Cost(
            statistics.mean(each.wall_s for each in tails), statistics.mean(each.cpu_s for each in tails)
        )
        repeated = list(itertools.islice(itertools.cycle(paths[: sample // length]), count // length))
        joins = [cost_of(lambda r=repeated, n=length: bench.join(r, n)) for _ in range(3)]
        join = sorted(joins, key=lambda each: each.wall_s)[1]
        both = Cost(tail.wall_s + join.wall_s, tail.cpu_s + join.cpu_s)
        print(f"| {length} | {share:+.1%} | {tail} | {join} | {both} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, nargs="+", default=[2000, 10_000])
    parser.add_argument("--lengths", type=int, nargs="+", default=[30, 60, 120, 240])
    parser.add_argument("--length", type=int, default=Look(64, 64, 25).gop, help="of the first table")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--codec", default="h264")
    parser.add_argument("--pictures", type=pathlib.Path, help="a folder of *.jpg, instead of synthetic ones")
    parser.add_argument("--sample", type=int, default=960, help="frames for the comparison of sizes")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    look = Look(width, height, 25, options.codec, gop=options.length)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(pathlib.Path(folder), look, options.pictures)
        print(f"{options.size}, {options.codec} {look.preset} CRF {look.quality}, segments of {look.gop}\n")
        compare_with_whole(bench, options.frames, options.length)
        compare_lengths(bench, options.lengths, max(options.frames), options.sample)


if __name__ == "__main__":
    main()
