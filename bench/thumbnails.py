"""Both small pictures of one JPEG: ours, the naive way, and the limit.

    python bench/thumbnails.py [--rounds 15] [--pictures FOLDER]

Methods are interleaved round by round; CPU milliseconds of this process, medians. Without a folder the pictures are
synthetic scenes with camera-like noise.
"""

import argparse
import io
import pathlib
import statistics
import sys
import time

import cv2
import numpy as np
from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from captures.imaging.developing import inspect_picture
from captures.imaging.thumbnails import make_thumbnails

SIZES = {"1080p": (1920, 1080), "4K": (3840, 2160)}


def scene(width: int, height: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (height // 40, width // 40, 3), np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.add(smooth, rng.normal(0, 4, smooth.shape).astype(np.int16), dtype=cv2.CV_8U)


def pictures(folder: pathlib.Path | None, width: int, height: int) -> list[bytes]:
    if folder is None:
        pixels = [scene(width, height, seed) for seed in range(3)]
    else:
        read = [cv2.imread(str(path)) for path in sorted(folder.glob("*.jpg"))[:5]]
        pixels = [cv2.resize(each, (width, height), interpolation=cv2.INTER_CUBIC) for each in read]
    return [cv2.imencode(".jpg", each, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes() for each in pixels]


def naive(data: bytes) -> None:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    for box, quality in (((800, 600), 80), ((200, 150), 70)):
        ratio = min(box[0] / image.width, box[1] / image.height)
        size = (round(image.width * ratio), round(image.height * ratio))
        image.resize(size, Image.Resampling.LANCZOS).save(io.BytesIO(), "JPEG", quality=quality)


def limit(data: bytes) -> None:
    width = Image.open(io.BytesIO(data)).width
    flag = cv2.IMREAD_REDUCED_COLOR_4 if width >= 3200 else cv2.IMREAD_REDUCED_COLOR_2
    cv2.imdecode(np.frombuffer(data, np.uint8), flag)


def full_decode(data: bytes) -> None:
    Image.open(io.BytesIO(data)).load()


METHODS = {
    "Pillow, full decode, two Lanczos": naive,
    "**make_thumbnails**": make_thumbnails,
    "limit: scaled decode alone": limit,
    "check: Pillow full decode": full_decode,
    "check: **inspect_picture**": inspect_picture,
}


def measure(data: list[bytes], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in METHODS}
    for number in range(rounds):
        for name, method in METHODS.items():
            began = time.process_time()
            method(data[number % len(data)])
            times[name].append((time.process_time() - began) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--pictures", type=pathlib.Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    found = {name: measure(pictures(options.pictures, *size), options.rounds) for name, size in SIZES.items()}
    print("| CPU ms for each picture | " + " | ".join(f"{name} | times faster" for name in found) + " |")
    print("|---|" + "--:|--:|" * len(found))
    for name in METHODS:
        base = "check: Pillow full decode" if name.startswith("check") else "Pillow, full decode, two Lanczos"
        cells = [f"{times[name]:.1f} | {times[base] / times[name]:.1f}" for times in found.values()]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
