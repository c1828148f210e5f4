"""`python -m timelapser.demo`: two cameras on this machine until SIGTERM; prints their addresses as JSON."""

import argparse
import asyncio
import json
import signal
import sys

import cv2

from timelapser.demo.feed import Feed
from timelapser.demo.http_camera import HttpCamera
from timelapser.demo.rtsp_server import Mount, RtspServer
from timelapser.demo.scene import HARBOUR, LAKESIDE, Scene

RTSP_PATH = "/harbour"
HTTP_PATH = "/snapshot.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m timelapser.demo", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--rtsp-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--http-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--fps", type=int, default=5)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    try:
        asyncio.run(_serve(arguments.host, arguments.rtsp_port, arguments.http_port, arguments.fps))
    except OSError as error:
        sys.exit(f"The demonstration cameras cannot start: {error.strerror or error}.")


async def _serve(host: str, rtsp_port: int, http_port: int, fps: int) -> None:
    rtsp = RtspServer({RTSP_PATH: Mount(Feed(Scene(view=HARBOUR), fps=fps))}, host=host, port=rtsp_port)
    http = HttpCamera(Scene(view=LAKESIDE), host=host, port=http_port, fps=fps)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    try:
        await rtsp.start()
        await http.start()
        addresses = {"rtsp": rtsp.address(RTSP_PATH), "http": http.address(HTTP_PATH)}
        sys.stdout.write(json.dumps(addresses) + "\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await rtsp.stop()
        await http.stop()


if __name__ == "__main__":
    main()
