"""The messages of ONVIF that tell a camera's streams: written and read as values, no network in here.

Sources: ONVIF Core and Media Service Specification (ver10), SOAP 1.2, OASIS WSS UsernameToken Profile 1.0. Answers are
read by the local names of their elements: cameras mix up namespaces, but hardly ever names.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.parsers import expat
from xml.sax.saxutils import escape

from cameras.sources.errors import LoginRefused, SourceError

Element = ElementTree.Element
DEVICE = "http://www.onvif.org/ver10/device/wsdl"
MEDIA = "http://www.onvif.org/ver10/media/wsdl"
SCHEMA = "http://www.onvif.org/ver10/schema"
SOAP = "http://www.w3.org/2003/05/soap-envelope"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DIGEST = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"

GET_TIME = f'<GetSystemDateAndTime xmlns="{DEVICE}"/>'
GET_CAPABILITIES = f'<GetCapabilities xmlns="{DEVICE}"><Category>Media</Category></GetCapabilities>'
GET_PROFILES = f'<GetProfiles xmlns="{MEDIA}"/>'
MAX_ANSWER_BYTES = 1_000_000
MAX_PROFILES = 8


class NotOnvif(SourceError):
    """What answers there does not speak ONVIF."""

    code = "not_onvif"
    advice = "Its streams are looked for by known paths instead."


@dataclass(frozen=True, slots=True)
class Profile:
    """One stream that the camera is set up for; `width` and `height` are what it says, 0 where it says nothing."""

    token: str
    name: str
    encoding: str
    width: int
    height: int


def get_stream(token: str) -> str:
    """The request for a profile's RTSP address."""
    return (
        f'<GetStreamUri xmlns="{MEDIA}"><StreamSetup><Stream xmlns="{SCHEMA}">RTP-Unicast</Stream>'
        f'<Transport xmlns="{SCHEMA}"><Protocol>RTSP</Protocol></Transport></StreamSetup>'
        f"<ProfileToken>{escape(token)}</ProfileToken></GetStreamUri>"
    )


def get_snapshot(token: str) -> str:
    """The request for the HTTP address of a profile's snapshots."""
    return f'<GetSnapshotUri xmlns="{MEDIA}"><ProfileToken>{escape(token)}</ProfileToken></GetSnapshotUri>'


def envelope(body: str, security: str = "") -> bytes:
    head = f"<s:Header>{security}</s:Header>" if security else ""
    whole = f'<s:Envelope xmlns:s="{SOAP}">{head}<s:Body>{body}</s:Body></s:Envelope>'
    return f'<?xml version="1.0" encoding="UTF-8"?>{whole}'.encode()


def security(username: str, password: str, created: datetime, nonce: bytes) -> str:
    """The login: SHA-1 over nonce, time and password, as the profile asks for. `created` is by the camera's clock."""
    at = f"{created.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    sha = hashlib.sha1(nonce + at.encode() + password.encode(), usedforsecurity=False)
    digest = base64.b64encode(sha.digest()).decode()
    return (
        f'<Security s:mustUnderstand="1" xmlns="{WSSE}"><UsernameToken><Username>{escape(username)}</Username>'
        f'<Password Type="{DIGEST}">{digest}</Password><Nonce>{base64.b64encode(nonce).decode()}</Nonce>'
        f'<Created xmlns="{WSU}">{at}</Created></UsernameToken></Security>'
    )


def read_answer(answer: bytes) -> Element:
    """The body of an answer. Raises NotOnvif, and LoginRefused where the fault says so."""
    root = _parse(answer)
    body = _first(root, "Body")
    if _name(root) != "Envelope" or body is None:
        raise NotOnvif
    fault = _first(body, "Fault")
    if fault is not None:
        words = " ".join(text.strip() for text in fault.itertext()).lower()
        if "notauthorized" in words or "not authorized" in words or "unauthorized" in words:
            raise LoginRefused
        raise NotOnvif("The camera answers with a fault.")
    return body


def camera_time(body: Element) -> datetime | None:
    """The camera's clock in UTC; None where it does not say."""
    utc = _first(body, "UTCDateTime")
    if utc is None:
        return None
    names = ("Year", "Month", "Day", "Hour", "Minute", "Second")
    parts = [_whole(utc, name) for name in names]
    try:
        return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type] # six whole numbers, in this order
    except ValueError:
        return None


def media_address(body: Element) -> str:
    """Where the camera says that its media service is; empty where it has none."""
    media = _first(body, "Media")
    return _text(media, "XAddr") if media is not None else ""


def profiles(body: Element) -> list[Profile]:
    """The profiles that encode video, the largest first; at most MAX_PROFILES."""
    found = []
    for element in _all(body, "Profiles"):
        encoder = _first(element, "VideoEncoderConfiguration")
        token = element.get("token", "")
        if encoder is None or not token:
            continue
        size = _whole(encoder, "Width"), _whole(encoder, "Height")
        found.append(Profile(token, _text(element, "Name") or token, _text(encoder, "Encoding"), *size))
    return sorted(found, key=lambda profile: -profile.width * profile.height)[:MAX_PROFILES]


def address(body: Element) -> str:
    """The address of a stream or snapshot; empty where the camera gives none."""
    return _text(body, "Uri")


def _parse(answer: bytes) -> Element:
    """By names as they are written: of some cameras the prefixes are bound to nothing."""
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse_document_type
    try:
        parser.Parse(answer.decode("utf-8", "replace").lstrip("\ufeff \r\n\t").encode(), True)
    except expat.ExpatError:
        raise NotOnvif from None
    return builder.close()


def _refuse_document_type(*_: object) -> None:
    """Its entities could swell the document or name files; SOAP forbids it (SOAP 1.2, 5)."""
    raise NotOnvif


def _name(element: Element) -> str:
    return element.tag.rpartition(":")[2]


def _all(element: Element, name: str) -> Iterator[Element]:
    return (found for found in element.iter() if _name(found) == name)


def _first(element: Element, name: str) -> Element | None:
    return next(_all(element, name), None)


def _text(element: Element, name: str) -> str:
    found = _first(element, name)
    return (found.text or "").strip() if found is not None else ""


def _whole(element: Element, name: str) -> int:
    """0 where it is no number that a camera could mean."""
    text = _text(element, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
