"""GStreamer's RTSP server (Debian: gir1.2-gst-rtsp-server-1.0), run by the system's python3 as a child.

Prints its port and serves until its standard input closes: /h264, /h265, /mjpeg, and /basic and /digest for
admin with the password of the first argument.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - after the versions are chosen

SOURCE = (
    "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=640,height=360,framerate=10/1 ! "
)
H264 = SOURCE + "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay name=pay0 pt=96"
H265 = SOURCE + "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph265pay name=pay0 pt=96"
MJPEG = SOURCE + "jpegenc ! rtpjpegpay name=pay0 pt=26"


def mount(server, path, pipeline):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {pipeline} )")
    factory.set_shared(True)
    server.get_mount_points().add_factory(path, factory)
    return factory


def lock(factory):
    rules = GstRtspServer.RTSPPermissions()
    rules.add_permission_for_role("viewer", "media.factory.access", True)
    rules.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(rules)


def make_login(method, password):
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.set_supported_methods(method)
    if method == GstRtsp.RTSPAuthMethod.BASIC:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic("admin", password), token)
    else:
        auth.add_digest("admin", password, token)
    return auth


def serve(auth=None):
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    for path, pipeline in (("/h264", H264), ("/h265", H265), ("/mjpeg", MJPEG)):
        factory = mount(server, path, pipeline)
        if auth is not None:
            lock(factory)
    if auth is not None:
        server.set_auth(auth)
    server.attach(None)
    return server


def main():
    Gst.init(None)
    methods = GstRtsp.RTSPAuthMethod
    servers = {
        "open": serve(),
        "basic": serve(make_login(methods.BASIC, sys.argv[1])),
        "digest": serve(make_login(methods.DIGEST, sys.argv[1])),
    }
    sys.stdout.write(" ".join(f"{name}={server.get_bound_port()}" for name, server in servers.items()) + "\n")
    sys.stdout.flush()
    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin, GLib.IO_HUP | GLib.IO_IN, lambda *_: loop.quit())
    loop.run()


main()
