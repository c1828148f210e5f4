"""What judging a picture costs, detector by detector; or the labelled sets that the detectors are judged by.

    python bench/quality.py [--rounds 25] [--pictures FOLDER]
    python bench/quality.py --sets FOLDER        (TIMELAPSER_REAL_MEDIA names the media)

CPU milliseconds of this thread, medians, detectors interleaved round by round; the ratio is to the full decode of the
same 1080p picture, which holds on other machines.
"""

import argparse
import os
import pathlib
import statistics
import sys
import time
from datetime import UTC, datetime

import cv2
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from bench.quality_sets import build
from bench.thumbnails import pictures
from captures.imaging.quality.contract import Path
from captures.imaging.quality.past import Past
from captures.imaging.quality.picture import Picture
from captures.imaging.quality.score import evaluate
from captures.imaging.quality.table import DETECTORS


def cpu_ms(work) -> float:
    began = time.thread_time()
    work()
    return (time.thread_time() - began) * 1000


def past_of(data: bytes) -> Past:
    """Of a camera that has shown the same scene with another noise."""
    pixels = Picture.of_bytes(data, full=True, heavy=False).pixels
    noise = np.random.default_rng(1).normal(0, 4, pixels.shape).astype(np.int8)
    picture = Picture.of_pixels(cv2.add(pixels, noise, dtype=cv2.CV_8U), heavy=False)
    return Past().followed(picture, evaluate(picture, heavy=False), datetime(2026, 1, 1, tzinfo=UTC))


def measure(files: list[bytes], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {}
    pasts, at = [past_of(data) for data in files], datetime(2026, 1, 2, tzinfo=UTC)
    for number in range(rounds):
        data, past = files[number % len(files)], pasts[number % len(files)]
        looked = {
            "decode, full": lambda data=data: Picture.of_bytes(data, full=True, heavy=False),
            "decode, for the fast path": lambda data=data: Picture.of_bytes(data, full=False, heavy=False),
            "decode, for the heavy path": lambda data=data: Picture.of_bytes(data, full=False, heavy=True),
        }
        picture = Picture.of_bytes(data, full=True, heavy=True)
        for detector in DETECTORS:
            looked[detector.name] = lambda picture=picture, detector=detector, past=past: detector.read(
                picture, past
            )
        evaluation = evaluate(picture, heavy=True, past=past)
        looked |= {
            "fast path": lambda picture=picture, past=past: evaluate(picture, heavy=False, past=past),
            "fast and heavy path": lambda picture=picture, past=past: evaluate(
                picture, heavy=True, past=past
            ),
            "the past is followed": lambda picture=picture, evaluation=evaluation, past=past: past.followed(
                picture, evaluation, at
            ),
            "the past is read and written": lambda past=past: Past.from_bytes(past.to_bytes()),
        }
        for name, work in looked.items():
            times.setdefault(name, []).append(cpu_ms(work))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--pictures", type=pathlib.Path)
    parser.add_argument("--sets", type=pathlib.Path)
    options = parser.parse_args()
    if options.sets:
        media = os.environ.get("TIMELAPSER_REAL_MEDIA")
        if not media:
            parser.error("TIMELAPSER_REAL_MEDIA is not set: there is nothing to make the sets of")
        print(f"{build(pathlib.Path(media), options.sets)} pictures in {options.sets}")
        return
    cv2.setNumThreads(1)
    found = measure(pictures(options.pictures, 1920, 1080), options.rounds)
    paths = {each.name: each.path for each in DETECTORS}
    print("| at 1080p | path | CPU ms | of the full decode |")
    print("|---|---|--:|--:|")
    for name, value in found.items():
        print(f"| {name} | {paths.get(name, '')} | {value:.2f} | {value / found['decode, full']:.3f} |")
    sums = {path: sum(found[name] for name, its in paths.items() if its is path) for path in Path}
    print(", ".join(f"{path}: {value:.1f} ms" for path, value in sums.items()))


if __name__ == "__main__":
    main()
