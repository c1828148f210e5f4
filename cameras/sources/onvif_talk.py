"""A short talk with a camera that speaks ONVIF: which streams and snapshots it offers, by its own word."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from cameras.sources import onvif
from cameras.sources.contract import SourceKind, SourceSettings
from cameras.sources.deadline import Deadline
from cameras.sources.errors import LoginRefused, SourceError
from cameras.sources.http import post

CONTENT_TYPE = "application/soap+xml; charset=utf-8"
SERVICE = "/onvif/device_service"  # ONVIF Core Specification, 5.10.1
SECONDS_A_CALL = 4.0


@dataclass(frozen=True, slots=True)
class Named:
    """A stream or snapshot as the camera names it: `address` is the camera's word, not to be trusted."""

    kind: SourceKind
    address: str
    name: str
    is_main: bool


def ask(settings: SourceSettings, deadline: Deadline) -> Iterator[Named]:
    """What the service at `settings.address` names, the largest stream first, each as soon as it is known.

    Raises SourceError: NotOnvif where something else answers, LoginRefused once. All of it is asked at the address that
    was given, wherever the camera says that its services are.
    """
    talk = _Talk(settings, deadline)
    with suppress(LoginRefused):  # some keep even their clock to themselves
        talk.set_clock(onvif.camera_time(talk.call(onvif.GET_TIME, is_open=True)))
    where = urlsplit(onvif.media_address(talk.call(onvif.GET_CAPABILITIES)))
    if where.path:
        talk.move(where.path)
    for number, profile in enumerate(onvif.profiles(talk.call(onvif.GET_PROFILES))):
        words = f"ONVIF, {profile.name}"
        for kind, request in (
            (SourceKind.RTSP, onvif.get_stream(profile.token)),
            (SourceKind.HTTP, onvif.get_snapshot(profile.token)),
        ):
            address = talk.address_of(request)
            if address:
                yield Named(kind, address, words, is_main=number == 0)


class _Talk:
    """The calls of one talk: each with its own end of time, and a login that the camera's clock accepts."""

    def __init__(self, settings: SourceSettings, deadline: Deadline) -> None:
        self._settings = replace(settings, max_bytes=onvif.MAX_ANSWER_BYTES)
        self._deadline = deadline
        self._ahead = timedelta()

    def set_clock(self, camera_time: datetime | None) -> None:
        """Cameras refuse logins whose time is not theirs, and many have never been told the time."""
        self._ahead = camera_time - datetime.now(UTC) if camera_time is not None else timedelta()

    def move(self, path: str) -> None:
        self._settings = replace(
            self._settings, address=urlsplit(self._settings.address)._replace(path=path, query="").geturl()
        )

    def call(self, body: str, *, is_open: bool = False) -> onvif.Element:
        """The answer's body; `is_open`: without a login. Raises SourceError."""
        user = self._settings.username
        head = ""
        if user and not is_open:
            created = datetime.now(UTC) + self._ahead
            head = onvif.security(user, self._settings.password, created, secrets.token_bytes(16))
        settings = replace(self._settings, username="", password="") if is_open else self._settings
        soon = self._deadline.sooner(SECONDS_A_CALL)
        return onvif.read_answer(post(settings, onvif.envelope(body, head), CONTENT_TYPE, soon))

    def address_of(self, request: str) -> str:
        """Empty where the camera has none for this profile. Raises LoginRefused."""
        try:
            return onvif.address(self.call(request))
        except LoginRefused:
            raise
        except SourceError:
            return ""
