"""A camera that speaks ONVIF: it names its streams, wants a login by its own clock, and gives snapshots."""

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta

from tests.misbehaving_cameras import RawServer

CLOCK = timedelta(days=-4000)  # nobody has ever told it the time
ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:trt="http://www.onvif.org/ver10/media/wsdl"'
    ' xmlns:tds="http://www.onvif.org/ver10/device/wsdl"><SOAP-ENV:Body>{}</SOAP-ENV:Body></SOAP-ENV:Envelope>'
)
REFUSED = (
    "<SOAP-ENV:Fault><SOAP-ENV:Code><SOAP-ENV:Value>SOAP-ENV:Sender</SOAP-ENV:Value><SOAP-ENV:Subcode>"
    "<SOAP-ENV:Value>ter:NotAuthorized</SOAP-ENV:Value></SOAP-ENV:Subcode></SOAP-ENV:Code></SOAP-ENV:Fault>"
)


class OnvifCamera(RawServer):
    """`profiles` are (token, width, height, stream, snapshot): the addresses as it names them, None for none."""

    def __init__(self, username, password, profiles, picture):
        super().__init__(self.serve_requests)
        self.login = username, password
        self.profiles = profiles
        self.picture = picture
        self.refused = 0
        self.paths = []

    async def serve_requests(self, reader, writer):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"(?i)content-length: (\d+)", head)
            body = (await reader.readexactly(int(length[1]))).decode() if length else ""
            method, path = head.split(" ")[:2]
            self.paths.append(path)
            status, kind, answer = self.answer(method, path, body)
            lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(answer)}", "", ""]
            writer.write("\r\n".join(lines).encode() + answer)
            await writer.drain()

    def answer(self, method, path, body):
        if method == "GET" and path == "/onvif-snapshot?camera=1":
            return "200 OK", "image/jpeg", self.picture
        if method != "POST" or path not in ("/onvif/device_service", "/onvif/media"):
            return "404 Not Found", "text/plain", b""
        status, said = "200 OK", self.say(body)
        if said is None:
            status, said = "400 Bad Request", REFUSED
        return status, "application/soap+xml", ENVELOPE.format(said).encode()

    def say(self, body):
        if "GetSystemDateAndTime" in body:
            now = datetime.now(UTC) + CLOCK
            parts = {"Time": ("Hour", "Minute", "Second"), "Date": ("Year", "Month", "Day")}
            inner = "".join(
                f"<tt:{group}>{''.join(f'<tt:{n}>{getattr(now, n.lower())}</tt:{n}>' for n in names)}</tt:{group}>"
                for group, names in parts.items()
            )
            return f"<tds:R><tt:UTCDateTime>{inner}</tt:UTCDateTime></tds:R>"
        if not self.accepts(body):
            self.refused += 1
            return None
        if "GetCapabilities" in body:
            return (
                "<tds:R><tt:Media><tt:XAddr>http://192.168.68.111/onvif/media</tt:XAddr></tt:Media></tds:R>"
            )
        if "GetProfiles" in body:
            return "".join(map(profile, self.profiles))
        token = re.search(r"<ProfileToken>(.*?)</ProfileToken>", body)[1]
        _, _, _, stream, snapshot = next(one for one in self.profiles if one[0] == token)
        named = stream if "GetStreamUri" in body else snapshot
        return f"<trt:R><tt:Uri>{named}</tt:Uri></trt:R>" if named else "<SOAP-ENV:Fault/>"

    def accepts(self, body):
        found = {
            name: re.search(rf"<{name}(?: [^>]*)?>(.*?)</{name}>", body)
            for name in ("Username", "Password", "Nonce", "Created")
        }
        if not all(found.values()):
            return False
        username, digest, nonce, created = (match[1] for match in found.values())
        at = datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        is_now = abs(datetime.now(UTC) + CLOCK - at) < timedelta(minutes=1)
        text = base64.b64decode(nonce) + created.encode() + self.login[1].encode()
        wanted = hashlib.sha1(text).digest()  # noqa: S324 - what the profile asks for
        return is_now and username == self.login[0] and digest == base64.b64encode(wanted).decode()


def profile(one):
    token, width, height, _, _ = one
    return (
        f'<trt:Profiles token="{token}"><tt:Name>{token}</tt:Name><tt:VideoEncoderConfiguration token="e">'
        f"<tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height>"
        "</tt:Resolution></tt:VideoEncoderConfiguration></trt:Profiles>"
    )
