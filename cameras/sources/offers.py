"""Where cameras are known to offer pictures: the paths of the makes, what was measured there, and which is best.

The paths are those of the makers' manuals and of cameras' recorded answers; docs/cameras.md says how they are tried.
Left out are those that want the password inside of the address (Foscam's and Reolink's snapshots, XMEye's streams): it
would be stored and shown with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from cameras.sources.addresses import validate_address
from cameras.sources.contract import SourceKind
from cameras.sources.errors import AddressRefused

RTSP_PORTS = (554, 8554, 10554, 88)  # the standard's, its usual second, VStarcam's, Foscam's
WEB_PORTS = (80, 443, 8080)
ONVIF_PORTS = (80, 2020, 8000, 8080, 8899, 5000)  # Tapo's 2020, Reolink's and Hikvision's 8000, XMEye's 8899

# (path, makes), the main stream of each before its smaller ones, which are marked by "sub".
STREAMS: tuple[tuple[str, str], ...] = (
    ("/Streaming/Channels/101", "Hikvision, HiLook, Annke, LTS"),
    ("/Streaming/Channels/102", "Hikvision, sub"),
    ("/cam/realmonitor?channel=1&subtype=0", "Dahua, Amcrest, Lorex, Imou"),
    ("/cam/realmonitor?channel=1&subtype=1", "Dahua, Amcrest, sub"),
    ("/h264Preview_01_main", "Reolink"),
    ("/h265Preview_01_main", "Reolink, H.265"),
    ("/h264Preview_01_sub", "Reolink, sub"),
    ("/stream1", "TP-Link Tapo and Vigi, Pelco"),
    ("/stream2", "TP-Link Tapo and Vigi, sub"),
    ("/axis-media/media.amp", "Axis"),
    ("/videoMain", "Foscam"),
    ("/videoSub", "Foscam, sub"),
    ("/media/video1", "Uniview, Sony"),
    ("/media/video2", "Uniview, Sony, sub"),
    ("/unicast/c1/s0/live", "Uniview, older"),
    ("/profile2/media.smp", "Hanwha, Samsung"),
    ("/profile1/media.smp", "Hanwha, Samsung, MJPEG"),
    ("/profile3/media.smp", "Hanwha, Samsung, sub"),
    ("/live1s1.sdp", "Vivotek"),
    ("/live.sdp", "Vivotek, older"),
    ("/live2.sdp", "Vivotek, sub"),
    ("/s0", "Ubiquiti"),
    ("/s1", "Ubiquiti, sub"),
    ("/live/ch00_0", "Ubiquiti airCam, V380, MacroVideo"),
    ("/live/ch00_1", "Ubiquiti airCam, sub"),
    ("/rtsp_tunnel", "Bosch"),
    ("/MediaInput/h264/stream_1", "Panasonic, i-PRO"),
    ("/MediaInput/h264/stream_2", "Panasonic, sub"),
    ("/live1.sdp", "D-Link"),
    ("/play1.sdp", "D-Link, older"),
    ("/CH001.sdp", "GeoVision"),
    ("/stream0/mobotix.h264", "Mobotix"),
    ("/h264.sdp", "Arecont"),
    ("/defaultPrimary?streamType=u", "Avigilon"),
    ("/h264/ch1/main/av_stream", "Hikvision, older"),
    ("/h264/ch1/sub/av_stream", "Hikvision, older, sub"),
    ("/tcp/av0_0", "VStarcam"),
    ("/tcp/av0_1", "VStarcam, sub"),
    ("/ch0_0.h264", "Yi, Hi3518"),
    ("/11", "Anpviz, HiSilicon"),
    ("/12", "HiSilicon, sub"),
    ("/0", "Longse, Grandstream"),
    ("/1", "Longse, Grandstream, sub"),
    ("/live/ch0", "Wansview, IPCam"),
    ("/live/0", "Luckfox, Rockchip"),
    ("/0/main", "VStarcam, other"),
    ("/main", "Avycon"),
    ("/profile1", "Longse, Avycon"),
    ("/H264?channel=1&subtype=0&unicast=true&proto=Onvif", "GW Security"),
    ("/h264_stream", "Sricam, IPCam"),
    ("/onvif1", "Yoosee, Sricam"),
    ("/live", "Wyze and other"),
    ("/unicast", "v4l2rtspserver, Raspberry Pi"),
    ("/h264", "generic"),
    ("/stream", "generic"),
    ("/cam", "MediaMTX, generic"),
    ("/video1", "generic"),
    ("/", "generic"),
)
SNAPSHOTS: tuple[tuple[str, str], ...] = (
    ("/ISAPI/Streaming/channels/101/picture", "Hikvision, HiLook, Annke"),
    ("/cgi-bin/snapshot.cgi?channel=1", "Dahua, Amcrest, Lorex"),
    ("/cgi-bin/snapshot.cgi", "Dahua, one channel"),
    ("/axis-cgi/jpg/image.cgi", "Axis"),
    ("/stw-cgi/video.cgi?msubmenu=snapshot&action=view", "Hanwha, Samsung"),
    ("/cgi-bin/viewer/video.jpg", "Vivotek"),
    ("/snap.jpeg", "Ubiquiti"),
    ("/images/snapshot.jpg", "Uniview"),
    ("/SnapshotJPEG", "Panasonic"),
    ("/oneshotimage1", "Sony"),
    ("/snap.jpg", "Bosch"),
    ("/record/current.jpg", "Mobotix"),
    ("/image/jpeg.cgi", "D-Link"),
    ("/cgi/jpg/image.cgi", "TRENDnet"),
    ("/tmpfs/auto.jpg", "HiSilicon"),  # noqa: S108 - a path of the camera's
    ("/webcapture.jpg?command=snap&channel=1", "XMEye"),
    ("/snapshot.jpg", "generic"),
    ("/snapshot.cgi", "generic"),
    ("/image.jpg", "generic"),
    ("/jpg/image.jpg", "generic"),
    ("/shot.jpg", "IP Webcam"),
    ("/capture", "ESP32-CAM"),
    ("/?action=snapshot", "mjpg-streamer, OctoPrint"),
)
# Names under which addresses carry logins; a value follows "=" or, in XMEye's paths, "_".
_LOGIN_NAMES = re.compile(r"(?i)(user(name)?|usr|login|pass(word|wd)?|pwd|psw|token|auth|session)[=_]")

QUICK_MS = 3000  # a slower still costs its slot's punctuality


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place to look at."""

    kind: SourceKind
    address: str
    found_by: str
    is_main: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """What one still there was like. `bytes` is the size of the stored picture, `note` says why it is ranked so."""

    kind: str
    address: str
    transport: str
    width: int
    height: int
    codec: str
    elapsed_ms: int
    bytes: int
    found_by: str
    is_main: bool
    is_recommended: bool = False
    note: str = ""

    @property
    def is_quick(self) -> bool:
        return self.elapsed_ms <= QUICK_MS

    @property
    def pixels(self) -> int:
        return self.width * self.height


def known_streams(host: str, port: int) -> Iterator[Candidate]:
    """The RTSP paths of all makes at this port of a host."""
    return _known(SourceKind.RTSP, f"rtsp://{bracketed(host)}:{port}", STREAMS)


def known_snapshots(host: str, port: int) -> Iterator[Candidate]:
    """The same for pictures over HTTP."""
    return _known(SourceKind.HTTP, web_address(host, port), SNAPSHOTS)


def web_address(host: str, port: int) -> str:
    """The root of what answers at a web port, without a path."""
    return f"https://{bracketed(host)}" if port == 443 else f"http://{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def as_asked(
    kind: SourceKind, named: str, host: str, port: int | None, *, allow_loopback: bool
) -> str | None:
    """The address that a camera names, at the host that was asked for (cameras behind a router name their inner
    one) and at `port` where that was given; None where it is none that is allowed.
    """
    try:
        parts = urlsplit(named)
        port = port or parts.port
    except ValueError:
        return None
    where = bracketed(host) + (f":{port}" if port else "")
    try:
        return validate_address(
            kind, parts._replace(netloc=where, fragment="").geturl(), allow_loopback=allow_loopback
        )
    except AddressRefused:
        return None


def holds_login(address: str, *secrets: str) -> bool:
    """Whether an address seems to carry a login: by the names in it, or because it has one of the `secrets`."""
    parts = urlsplit(address)
    rest = unquote(f"{parts.path}?{parts.query}")
    return bool(_LOGIN_NAMES.search(rest)) or any(secret and secret in rest for secret in secrets)


def ranked(offers: Iterable[Offer]) -> list[Offer]:
    """The best first, which alone is recommended: the largest picture that comes quickly, of the main stream."""
    ordered = sorted(
        offers, key=lambda offer: (not offer.is_quick, -offer.pixels, not offer.is_main, offer.elapsed_ms)
    )
    if not ordered:
        return []
    best = ordered[0]
    rest = [replace(offer, note=_compared(offer, best)) for offer in ordered[1:]]
    speed = f"within {QUICK_MS // 1000} s" if best.is_quick else "at all, but slowly"
    return [replace(best, is_recommended=True, note=f"The largest picture that came {speed}."), *rest]


def _compared(offer: Offer, best: Offer) -> str:
    if not offer.is_quick:
        return "Slow: each picture would be late."
    if offer.pixels < best.pixels:
        return "Smaller."
    return "As large, but slower." if offer.elapsed_ms > best.elapsed_ms else "As large."


def _known(kind: SourceKind, root: str, paths: Iterable[tuple[str, str]]) -> Iterator[Candidate]:
    for path, makes in paths:
        yield Candidate(kind, root + path, makes, is_main="sub" not in makes)
