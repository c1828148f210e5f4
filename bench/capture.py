"""What one still over RTSP costs: our source against OpenCV's reader and ffmpeg as a child.

    python bench/capture.py [rounds]

The camera runs in a process of its own. Readers take turns within each round, so that a busy machine troubles
all alike; trust the ratios. CPU is that of the reading process, or of the child.
"""

import multiprocessing
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import imageio_ffmpeg

from cameras.sources import SourceKind, SourceSettings, open_source
from timelapser.demo.background import InBackground
from timelapser.demo.feed import Feed
from timelapser.demo.rtsp_server import Mount, RtspServer
from timelapser.demo.scene import Scene

CASES = {"/at-once": "key frame at once", "/in-between": "joined between key frames (2 s)"}
QUICK_PROBE = ["-analyzeduration", "0", "-probesize", "32", "-skip_frame", "nokey"]


def serve(connection):
    scene = Scene(1920, 1080)
    at_once = Feed(scene, fps=20, key_every_s=2)
    in_between = Feed(scene, fps=20, key_every_s=2, joins_at_key=False)
    server = RtspServer({"/at-once": Mount(at_once), "/in-between": Mount(in_between)})
    with InBackground(server):
        connection.send(server.address(""))
        connection.recv()


def read_by_source(address):
    return (
        open_source(SourceSettings(SourceKind.RTSP, address, allow_loopback=True)).read().pixels is not None
    )


def read_by_opencv(address):
    capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG)
    is_read, _ = capture.read()
    capture.release()
    return is_read


def read_by_ffmpeg(address, *options):
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-rtsp_transport",
        "tcp",
        *options,
        "-i",
        address,
    ]
    command += ["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
    return (
        len(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
        == 1920 * 1080 * 3
    )


READERS = {
    "our source (PyAV, key frames only)": read_by_source,
    "OpenCV VideoCapture": read_by_opencv,
    "ffmpeg child, quick probe, key frames only": lambda address: read_by_ffmpeg(address, *QUICK_PROBE),
    "ffmpeg child as it comes": read_by_ffmpeg,
}


def spent_s():
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def measure(read, address):
    cpu, wall = spent_s(), time.monotonic()
    is_read = read(address)
    return spent_s() - cpu, time.monotonic() - wall, is_read


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    ours, theirs = multiprocessing.Pipe()
    camera = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    camera.start()
    base = ours.recv()
    # In-between only means something while another one watches: it keeps the encoder running.
    watcher = cv2.VideoCapture(base + "/in-between", cv2.CAP_FFMPEG)
    found = {(path, name): [] for path in CASES for name in READERS}
    read_by_source(base + "/at-once")
    for _ in range(rounds):
        for path, name in found:
            found[path, name].append(measure(READERS[name], base + path))
    watcher.release()
    ours.send("stop")
    camera.join()
    print(f"One 1080p still over RTSP/TCP, H.264, medians of {rounds} interleaved rounds\n")
    print("| reader | case | latency | CPU | CPU, ratio to ours | read |\n|---|---|--:|--:|--:|--:|")
    for (path, name), results in found.items():
        cpu, wall = (statistics.median(result[index] for result in results) for index in (0, 1))
        first = statistics.median(result[0] for result in found[path, next(iter(READERS))])
        good = sum(result[2] for result in results)
        print(
            f"| {name} | {CASES[path]} | {wall:.2f} s | {cpu:.3f} s | {cpu / first:.1f} | {good}/{rounds} |"
        )


if __name__ == "__main__":
    main()
