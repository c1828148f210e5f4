"""Labelled sets of good and damaged pictures out of real media, for `manage.py evaluate_quality`.

    python bench/quality.py --sets FOLDER      (TIMELAPSER_REAL_MEDIA names the media)

Nothing of it is kept in the project: the media are other people's. Damage to streams is made by cutting real H.264 the
way packet loss does and decoding it; a frame counts as damaged where it really differs from the whole stream's.
"""

import csv
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import imageio_ffmpeg
import numpy as np

from captures.imaging.quality.calibration import GOOD
from tests import damaged

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
STILLS = {  # folder: (camera, every n-th)
    "a1_flicker_icecube": ("icecube", 2),
    "a2_sunset_ramp": ("sunset", 6),
    "a3_construction_daily": ("construction", 1),
    "a5_phenocam_noon": ("phenocam", 1),
    "b3_tricky_good": ("", 1),
    "c4_exif_orientation": ("", 1),
    "d1_zxing": ("", 3),
    "d2_boofcv_qr": ("", 1),
    "e1_hands": ("", 1),
}
CLIPS = {
    "f1_streams/flower_720p.264": ("flower", 15),
    "c1_traffic_containers/Testvideo_Cars-Cyclist_FR20_2020-01-01_00-00-00.h264": ("junction", 5),
    "c1_traffic_containers/Testvideo_Cars-Truck_FR20_2020-01-01_00-00-00.h264": ("junction-2", 5),
    "c2_intel/bottle-detection.mp4": ("bottles", 60),
    "c2_intel/car-detection.mp4": ("car-park", 30),
    "c3_misc_fixed/street_intersection.mp4": ("street", 60),
    "c3_misc_fixed/rubixfire.mp4": ("fire", 25),
    "c3_misc_fixed/bgs_video.avi": ("road", 20),
    "c3_misc_fixed/moonfire_clip_1fps.mp4": ("ip-camera", 1),
    "e1_hands/hand_test_video.mp4": ("hand", 30),
}
GREEN = (0, 135, 0)
BARCODES = ("code128", "ean13", "itf", "upca")  # vertical bars and nothing else: smear, but drawn


@dataclass(frozen=True)
class Labelled:
    label: str
    camera: str
    name: str
    data: bytes


def build(media: pathlib.Path, folder: pathlib.Path) -> int:
    """Writes the pictures and labels.csv (file, label, camera; rows of a camera in order of time)."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "label", "camera"))
        for each in everything(media):
            name = f"{count:05d}_{each.label}_{each.name}"
            (folder / name).write_bytes(each.data)
            rows.writerow((name, each.label, each.camera))
            count += 1
    return count


def everything(media: pathlib.Path) -> Iterator[Labelled]:
    rng = np.random.default_rng(7)
    for camera, pictures in _good(media):
        step = max(1, len(pictures) // 6)
        for number, (name, data) in enumerate(pictures):
            if number % step == step - 1:
                yield from _damages(camera, name, data, pictures[number - 1][1], rng)
            yield Labelled(GOOD, camera, name, data)
        if camera:
            name, data = pictures[-1]
            for label in (GOOD, "frozen", "frozen"):
                yield Labelled(label, camera, name, data)
    yield from _others(media)
    for clip, (camera, _) in CLIPS.items():
        yield from _broken_streams(media, clip, camera)


def _good(media: pathlib.Path) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    for folder, (camera, step) in STILLS.items():
        paths = sorted(
            path
            for path in (media / folder).rglob("*")
            if path.suffix.lower() in (".jpg", ".png") and not path.parent.name.startswith(BARCODES)
        )
        paths = [path for path in paths[::step] if min(cv2.imread(str(path)).shape[:2]) >= 96]
        yield camera, [(path.name, path.read_bytes()) for path in paths]
    opened = sorted(
        (media / "a4_garden_shutter").glob("[ot]*.jpg"), key=lambda path: path.stem.split("_")[-1]
    )
    yield "garden", [(path.name, path.read_bytes()) for path in opened]
    for clip, (camera, step) in CLIPS.items():
        frames = _frames(media / clip)[::step]
        yield (
            camera,
            [(f"{camera}-{number}.jpg", damaged.encoded(frame)) for number, frame in enumerate(frames)],
        )


def _damages(
    camera: str, name: str, data: bytes, before: bytes, rng: np.random.Generator
) -> Iterator[Labelled]:
    """Of one picture, before it comes whole: what the camera showed before is all that it can be compared with."""
    pixels, other = (cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_COLOR) for each in (data, before))
    data = data if data[:2] == b"\xff\xd8" else damaged.encoded(pixels)
    for label, changed in _ways(data, pixels, other, camera, rng):
        if label in ("torn", "smear-drawn", "bit-flips"):
            shown = cv2.imdecode(np.frombuffer(changed, np.uint8), cv2.IMREAD_COLOR)
            if shown is None or not _differs(pixels, shown):
                continue  # nobody could see it
        yield Labelled(label, camera, name.replace(".png", ".jpg"), changed)


def _ways(data, pixels, other, camera, rng):
    height, width = pixels.shape[:2]
    row = round(height * rng.uniform(0.2, 0.92))
    yield "truncated", damaged.cut(data, rng.uniform(0.1, 0.95))
    yield "truncated-closed", damaged.cut(data, rng.uniform(0.1, 0.9), is_closed=True)
    for count in (1, 4):
        yield "bit-flips", damaged.flipped(data, rng, count)
    yield "grey-below", damaged.encoded(damaged.grey_below(pixels, row, int(rng.integers(0, width))))
    yield "green-below", damaged.encoded(damaged.green_below(pixels, row))
    yield "smear-drawn", damaged.encoded(damaged.smeared(pixels, round(height * rng.uniform(0.1, 0.7))))
    level = [0, 128, 255, GREEN, (235, 0, 0)][int(rng.integers(0, 5))]
    yield "uniform", damaged.encoded(damaged.uniform(pixels, level))
    yield "green-frame", damaged.encoded(np.clip(pixels * 0.15 + np.array(GREEN), 0, 255).astype(np.uint8))
    if camera and other.shape == pixels.shape and other.std() > 12:
        shift = round(width * rng.uniform(0.08, 0.5))
        yield (
            "torn",
            damaged.encoded(
                damaged.torn(pixels, other, 16 * round(height * rng.uniform(0.2, 0.8) / 16), shift)
            ),
        )
    yield "good-night", damaged.encoded(damaged.at_night(pixels, rng, rng.uniform(0.02, 0.15)))
    yield "good-infrared", damaged.encoded(damaged.in_infrared(pixels, rng))
    yield "good-fog", damaged.encoded(damaged.in_fog(pixels, rng, rng.uniform(0.5, 0.97)))
    yield "good-snow", damaged.encoded(damaged.in_snow(pixels, rng))
    if camera and camera not in ("hand", "fire"):
        yield "defocused", damaged.encoded(damaged.defocused(pixels, rng.uniform(1 / 200, 1 / 40)))
        yield (
            "covered",
            damaged.encoded(damaged.covered(pixels, rng, rng.uniform(0.85, 1.2), rng.uniform(8, 60))),
        )
        sign = rng.choice((-1, 1))
        yield (
            "moved",
            damaged.encoded(damaged.moved(pixels, sign * rng.uniform(0.04, 0.2), rng.uniform(-6, 6))),
        )


def _others(media: pathlib.Path) -> Iterator[Labelled]:
    with (media / "labels" / "b1_broken_stills.csv").open() as file:
        for row in csv.DictReader(file):
            path = media / "b1_broken_stills" / row["file"]
            label = "good" if row["verdict"] == "good" else "real-broken-stills"
            yield Labelled(label, "", path.name, path.read_bytes())
    for number, frame in enumerate(_frames(media / "b2_broken_h264" / "Error_I_P.264")):
        label = "good" if number in (2, 3) else "real-broken-h264"
        yield Labelled(label, "", f"b2-{number}.jpg", damaged.encoded(frame))
    for path in sorted((media / "a4_garden_shutter").glob("closed*.jpg")):
        yield Labelled("obstructed", "garden", path.name, path.read_bytes())


def _broken_streams(media: pathlib.Path, clip: str, camera: str) -> Iterator[Labelled]:
    with tempfile.TemporaryDirectory() as folder:
        whole = pathlib.Path(folder) / "whole.264"
        _ffmpeg(
            "-i", str(media / clip), "-frames:v", "150", "-an", "-c:v", "libx264", "-preset", "veryfast", "-bf", "0",
            "-g", "25", "-pix_fmt", "yuv420p", "-f", "h264", str(whole),
        )  # fmt: skip
        frames = _frames(whole)
        for mode in ("cutidr", "noidr", "drop"):
            broken = pathlib.Path(folder) / f"{mode}.264"
            subprocess.run(
                [sys.executable, str(media / "breakstream.py"), str(whole), str(broken), mode], check=True
            )
            shown = _frames(broken)
            yield from _damaged_frames(f"stream-{mode}", camera, frames, shown)


def _damaged_frames(label, camera, frames, shown) -> Iterator[Labelled]:
    """A lost frame shifts the count: damaged is what resembles none of the whole frames near it."""
    small = [cv2.resize(frame, (96, 54), interpolation=cv2.INTER_AREA) for frame in frames]
    found = 0
    for number in range(0, len(shown), 4):
        view = cv2.resize(shown[number], (96, 54), interpolation=cv2.INTER_AREA)
        near = range(max(0, number - 2), min(len(frames), number + 28))
        nearest = min(near, key=lambda at: np.abs(small[at].astype(int) - view).mean(), default=None)
        if nearest is not None and _differs(frames[nearest], shown[number]):
            yield Labelled(label, camera, f"{camera}-{number}.jpg", damaged.encoded(shown[number]))
            found += 1
        if found == 12:
            return


def _differs(whole: np.ndarray, shown: np.ndarray) -> bool:
    """A person sees it: more than a thirtieth of the picture is wrong by 25 levels and more."""
    if whole.shape != shown.shape:
        return True
    size = (max(1, whole.shape[1] // 4), max(1, whole.shape[0] // 4))
    first, second = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (whole, shown))
    return bool((cv2.absdiff(first, second).max(axis=2) > 25).mean() > 1 / 30)


def _frames(path: pathlib.Path) -> list[np.ndarray]:
    """As a careless reader shows them: with everything that is broken."""
    output = subprocess.run(
        [FFMPEG, "-v", "quiet", "-noautorotate", "-flags", "+output_corrupt", "-i", str(path), "-frames:v", "1200",
         "-fps_mode", "passthrough", "-vf", "scale='min(iw,1280)':-2",
         "-f", "image2pipe", "-c:v", "mjpeg", "-q:v", "2", "-"],
        stdout=subprocess.PIPE, check=False,
    ).stdout  # fmt: skip
    frames, at = [], 0
    while (end := output.find(b"\xff\xd9", at)) >= 0:
        frames.append(cv2.imdecode(np.frombuffer(output[at : end + 2], np.uint8), cv2.IMREAD_COLOR))
        at = end + 2
    return frames


def _ffmpeg(*arguments: str) -> None:
    subprocess.run([FFMPEG, "-v", "quiet", "-y", *arguments], check=True, stdin=subprocess.DEVNULL)
