"""Looking for a camera's streams and snapshots: each that answers is measured by one still.

One after the other, so that no camera has more than one reader of ours here, and each in a seat of its host. First what
the camera says itself (ONVIF); where nothing of that answers, the paths that the makes use. The first refused login
ends it, as failures lock accounts; only ONVIF has accounts of its own on many makes, and there it ends ONVIF alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings

from cameras import seats
from cameras.sources import (
    AddressRefused,
    CameraRefused,
    ConnectTimedOut,
    LoginRefused,
    NameNotFound,
    ReadTimedOut,
    SourceError,
    SourceKind,
    SourceSettings,
    Still,
    TlsRefused,
    Unreachable,
    open_source,
)
from cameras.sources import offers as known
from cameras.sources.deadline import Deadline
from cameras.sources.offers import Candidate, Offer
from media_jobs.exceptions import WorkCancelled
from media_jobs.tracked import Running

TOTAL_S = 60.0
CONNECT_S = 2.0
STILL_S = 8.0  # key frames come every 1 to 4 s; who needs longer gives no punctual pictures
SAME_IN_ROW = 3  # so many equal pictures in a row: the camera gives the same at every path
SILENT_IN_ROW = 2  # so many paths, or ports, that say nothing at all
TORN_IN_ROW = 6  # so many torn connections: what listens there is something else
JPEG_QUALITY = 90

Known = Callable[[str, int], Iterator[Candidate]]


@dataclass(frozen=True, slots=True)
class Target:
    """Which device, and how to log in. A port of None: those that are usual."""

    host: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    rtsp_port: int | None = None
    web_port: int | None = None
    verify_tls: bool = True


class Search:
    """One search: what is left of its time, what it has found, and what went wrong first."""

    def __init__(self, target: Target, running: Running) -> None:
        self.failure: SourceError = Unreachable("Nothing that is known answers at this host.")
        self.remark = ""
        self._target = target
        self._running = running
        self._deadline = Deadline(TOTAL_S)
        self._offers: list[Offer] = []
        self._tried = 0
        self._withheld = 0
        self._is_complete = True
        self._closed: set[int] = set()

    def run(self) -> list[Offer]:
        """What answers, the recommended first. Where nothing does, `failure` says why. Raises WorkCancelled."""
        try:
            self._ask_the_camera()
            if not self._has(SourceKind.RTSP):
                self._try_ports(_ports(self._target.rtsp_port, known.RTSP_PORTS), known.known_streams)
            if not self._has(SourceKind.HTTP):
                self._try_ports(_ports(self._target.web_port, known.WEB_PORTS), known.known_snapshots)
        except SourceError as error:
            self.failure = error
            self.remark = f" Then it was given up: {error}"
        return known.ranked(self._offers)

    def facts(self) -> dict[str, Any]:
        """How it went: `withheld` counts addresses that the camera names and that hold a login or are not allowed."""
        return {
            "tried": self._tried,
            "withheld": self._withheld,
            "is_complete": self._is_complete,
            "elapsed_ms": round(self._deadline.elapsed_s() * 1000),
        }

    def _has(self, kind: SourceKind) -> bool:
        return any(offer.kind == kind for offer in self._offers)

    def _ask_the_camera(self) -> None:
        from cameras.sources import onvif_talk  # slow import: the web asks for searches, but makes none

        silent = 0
        for port in _ports(self._target.web_port, known.ONVIF_PORTS):
            service = known.web_address(self._target.host, port) + onvif_talk.SERVICE
            try:
                named = list(onvif_talk.ask(self._settings(SourceKind.HTTP, service), self._deadline))
            except (NameNotFound, AddressRefused):
                raise
            except SourceError as error:
                self._note_port(error, port)
                silent += isinstance(error, ConnectTimedOut | ReadTimedOut)
                if isinstance(error, LoginRefused) or silent >= SILENT_IN_ROW:
                    return
                continue
            self._measure_named(named)
            return

    def _measure_named(self, named: Iterable[Any]) -> None:
        for one in named:
            port = self._target.rtsp_port if one.kind == SourceKind.RTSP else self._target.web_port
            address = known.as_asked(
                one.kind,
                one.address,
                self._target.host,
                port,
                allow_loopback=settings.ALLOW_LOOPBACK_CAMERAS,
            )
            if address is None or known.holds_login(address, self._target.password):
                self._withheld += 1
                continue
            self._try(Candidate(one.kind, address, one.name, one.is_main))

    def _try_ports(self, ports: Iterable[int], candidates: Known) -> None:
        """The first of the ports at which anything answers is looked through."""
        silent = 0
        for port in ports:
            if port in self._closed:
                continue
            error = self._look_through(candidates(self._target.host, port))
            if error is None:
                return
            self._note_port(error, port)
            silent += isinstance(error, ConnectTimedOut)
            if silent >= SILENT_IN_ROW:
                return

    def _look_through(self, candidates: Iterable[Candidate]) -> SourceError | None:
        """What is wrong with the port, if nothing of the kind listens there. Raises what ends the search."""
        same = silent = torn = 0
        for candidate in candidates:
            before = len(self._offers)
            error = self._try(candidate)
            if isinstance(error, CameraRefused | ConnectTimedOut | TlsRefused):
                return error
            if isinstance(error, ReadTimedOut):
                self.failure = error
            silent = silent + 1 if isinstance(error, ReadTimedOut) else 0
            torn = torn + 1 if isinstance(error, Unreachable) else 0
            same = same + 1 if error is None and len(self._offers) == before else 0
            if silent >= SILENT_IN_ROW or torn >= TORN_IN_ROW or same >= SAME_IN_ROW:
                break
        if same >= SAME_IN_ROW and self._is_complete:
            self._offers = [replace(offer, found_by="answers at every path") for offer in self._offers]
        return None

    def _try(self, candidate: Candidate) -> SourceError | None:
        """Measures one, unless the time is over or its host has no seat. Raises what ends the search, WorkCancelled."""
        self._running.progress(self._tried)
        if self._running.should_stop():
            raise WorkCancelled
        with seats.seat(candidate.address) as is_seated:
            if not is_seated or self._deadline.is_over():
                self._is_complete = False
                if not self._offers:
                    busy = "Others read from this host just now, and there was no seat left."
                    self.failure = ReadTimedOut("The search took longer than it may." if is_seated else busy)
                return None
            self._tried += 1
            try:
                still = open_source(self._settings(candidate.kind, candidate.address)).read()
            except (LoginRefused, NameNotFound, AddressRefused):
                raise
            except SourceError as error:
                return error
        offer = _measured(candidate, still)
        if not any(_is_same(offer, other) for other in self._offers):
            self._offers.append(offer)
        return None

    def _settings(self, kind: SourceKind, address: str) -> SourceSettings:
        return SourceSettings(
            kind=kind,
            address=address,
            username=self._target.username,
            password=self._target.password,
            verify_tls=self._target.verify_tls,
            connect_timeout_s=CONNECT_S,
            deadline_s=min(STILL_S, self._deadline.remaining_s()),
            allow_loopback=settings.ALLOW_LOOPBACK_CAMERAS,
        )

    def _note_port(self, error: SourceError, port: int) -> None:
        if isinstance(error, CameraRefused | ConnectTimedOut):
            self._closed.add(port)
        if isinstance(error, ConnectTimedOut | ReadTimedOut):
            self.failure = error  # silence says more than that a port is closed


def _ports(given: int | None, usual: tuple[int, ...]) -> tuple[int, ...]:
    return (given,) if given is not None else usual


def _is_same(one: Offer, other: Offer) -> bool:
    return (one.kind, one.width, one.height, one.codec) == (
        other.kind,
        other.width,
        other.height,
        other.codec,
    )


def _measured(candidate: Candidate, still: Still) -> Offer:
    return Offer(
        kind=candidate.kind.value,
        address=candidate.address,
        transport="tcp",
        width=still.width,
        height=still.height,
        codec=still.codec,
        elapsed_ms=round(still.elapsed_s * 1000),
        bytes=_stored_bytes(still),
        found_by=candidate.found_by,
        is_main=candidate.is_main,
    )


def _stored_bytes(still: Still) -> int:
    """How large the picture is as it would be stored."""
    if still.encoded is not None:
        return len(still.encoded)
    import cv2  # slow import, see above

    assert still.pixels is not None  # noqa: S101 - a still has bytes or pixels
    return len(cv2.imencode(".jpg", still.pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1])
