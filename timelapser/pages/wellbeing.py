"""How a camera is, for its page and the dashboard: its state in words, its alerts, thirty days of its uptime."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from cameras import effective, health
from cameras.models import Alert, Camera
from captures import uptime

SHOWN_DAYS = 30
SHOWN_OUTAGES = 5
SHOWN_ALERTS = 8
SHOWN_PAST_ALERTS = 10


@dataclass(frozen=True, slots=True)
class Wellbeing:
    """What the card of a camera's health says. `next_probe_at` None: with the next tick, if `is_asked` at all."""

    advice: str
    is_asked: bool
    next_probe_at: datetime | None
    until_offline: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A day in the strip: `code` names its style, `height` is of 100."""

    day: date
    counts: uptime.Counts
    x: int
    code: str

    @property
    def height(self) -> float:
        return round(100 * (self.counts.success_ratio or 0), 1)

    @property
    def y(self) -> float:
        return 100 - self.height


@dataclass(frozen=True, slots=True)
class Strip:
    """The last thirty days, oldest first, and the newest outages."""

    bars: list[Bar]
    total: uptime.Counts
    outages: list[tuple[uptime.Outage, str, float | None]]
    more_outages: int
    time_zone: str


@dataclass(frozen=True, slots=True)
class OpenAlerts:
    """The newest open alerts of all cameras, and how many there are besides."""

    shown: list[Alert]
    others: int

    @property
    def total(self) -> int:
        return len(self.shown) + self.others


def wellbeing(camera: Camera, now: datetime) -> Wellbeing:
    settings = effective.of_camera(camera).settings
    at = health.next_probe_at(camera, settings) if camera.is_enabled else None
    return Wellbeing(
        advice=health.advice_for(camera.last_error_code),
        is_asked=camera.is_enabled,
        next_probe_at=at if at is None or at > now else None,
        until_offline=max(0, settings.offline_after - camera.consecutive_failures),
    )


def strip(camera: Camera, now: datetime) -> Strip:
    today = now.astimezone(uptime.zone_of(camera)).date()
    found = uptime.uptime(camera, today - timedelta(days=SHOWN_DAYS - 1), today)
    outages = [
        (outage, health.words_for(outage.reason), _seconds(outage))
        for outage in found.outages[:SHOWN_OUTAGES]
    ]
    bars = [Bar(day.day, day.counts, number * 10, _code(day.counts)) for number, day in enumerate(found.days)]
    more = len(found.outages) - len(outages)
    return Strip(bars, found.total, outages, more, found.time_zone)


def alerts_of(camera: Camera) -> list[Alert]:
    """The open ones first, then the newest of those that are over."""
    rows = camera.alerts.all()
    return [*rows.filter(cleared_at=None), *rows.exclude(cleared_at=None)[:SHOWN_PAST_ALERTS]]


def open_alerts() -> OpenAlerts:
    """Two queries, however many there are."""
    rows = Alert.objects.filter(cleared_at=None)
    shown = list(rows.select_related("camera")[:SHOWN_ALERTS])
    return OpenAlerts(shown, rows.count() - len(shown))


def _seconds(outage: uptime.Outage) -> float | None:
    return (outage.until_at - outage.from_at).total_seconds() if outage.until_at else None


def _code(counts: uptime.Counts) -> str:
    ratio = counts.success_ratio
    if ratio is None:
        return "nothing"
    return "whole" if ratio == 1 else "most" if ratio >= 0.9 else "some" if ratio > 0 else "none"
