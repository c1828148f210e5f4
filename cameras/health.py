"""How a camera has been answering: each capture and probe says so, a change is told once, and what is offline alarms.

    unknown ---------> online <----------------------------+
       |                ^  |                               |
       |     an answer  |  | a failure                     | an answer: the alert is cleared
       |                |  v                               |
       +-----------> degraded --(`offline_after` in a row: the alert is raised)--> offline

A camera that is switched off here is unknown from then on, and nobody alarms for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from cameras import alerts, effective
from cameras.models import Alert, Camera
from cameras.settings import Settings
from cameras.sources.errors import LoginRefused, SourceError
from media_jobs import audit
from media_jobs.events import EventType, emit

Health = Camera.Health

# An offline camera is asked so often in a row after a minute each, then after twice as long each time.
QUICK_PROBES = 3
QUICK_S = 60
# One that begins to fail is asked with each tick (60 s, never quite punctual) until that is certain.
FAILING = timedelta(seconds=50)
# Failed logins lock accounts: makes allow five to seven of them in half an hour or so.
WARY = timedelta(minutes=5)
PASSWORD_UNREADABLE = "password_unreadable"  # noqa: S105 - the code of an error


def note_success(camera_id: int, now: datetime) -> None:
    """A picture came: the camera is online, whatever it was."""
    was_well = Camera.objects.filter(pk=camera_id, health=Health.ONLINE, consecutive_failures=0)
    if was_well.update(last_success_at=now):
        return
    with transaction.atomic():
        Camera.objects.filter(pk=camera_id).update(
            consecutive_failures=0,
            last_success_at=now,
            last_error="",
            last_error_code="",
            probe_after=None,
            probe_count=0,
        )
        if _become(camera_id, Health.ONLINE, now):
            alerts.clear(camera_id, Alert.Kind.OFFLINE, now)


def note_failure(camera_id: int, now: datetime, *, code: str, message: str, is_probe: bool = False) -> None:
    """No picture came: degraded from the first time on, offline from so many in a row as the settings say."""
    with transaction.atomic():
        # First, as it holds the row until the end: of two who fail at once one sees the other's count.
        Camera.objects.filter(pk=camera_id).update(
            consecutive_failures=F("consecutive_failures") + 1,
            last_failure_at=now,
            last_error_code=code,
            last_error=message,
        )
        camera = Camera.objects.filter(pk=camera_id).first()
        if camera is None:
            return
        settings = effective.of_camera(camera).settings
        if camera.health != Health.OFFLINE and camera.consecutive_failures < settings.offline_after:
            _become(camera_id, Health.DEGRADED, now, code=code, message=message)
            return
        asked = camera.probe_count + is_probe if camera.health == Health.OFFLINE else 0
        _become(camera_id, Health.OFFLINE, now, code=code, message=message)
        after = now + back_off(asked, settings.probe_offline_s)
        Camera.objects.filter(pk=camera_id).update(probe_count=asked, probe_after=after)
        if camera.health != Health.OFFLINE and camera.is_enabled:
            words = f"{message} {advice_for(code)}".strip()
            alerts.raise_alert(camera_id, Alert.Kind.OFFLINE, now, reason=code, words=words)


def put_to_rest(camera_id: int, now: datetime, *, by: str) -> None:
    """It was switched off here: nobody asks it, so how it is, nobody knows, and no alert of it stays open.

    But for the one that has made the clock switch it off: that is why somebody should look. Where that one is closed,
    degraded mode is left with it.
    """
    Camera.objects.filter(pk=camera_id).update(consecutive_failures=0, probe_after=None, probe_count=0)
    _become(camera_id, Health.UNKNOWN, now)
    if by == audit.CLOCK:
        alerts.clear_all(camera_id, now, by=by, but=[Alert.Kind.DEGRADED])
        return
    alerts.clear_all(camera_id, now, by=by)
    leave_degraded_mode(camera_id)


def leave_degraded_mode(camera_id: int) -> bool:
    """What was counted begins anew. False where it is not degraded; the caller closes the alert, whose end is noted."""
    degraded = Camera.objects.filter(pk=camera_id, is_degraded=True)
    return bool(degraded.update(is_degraded=False, degraded_since=None, bad_in_row=0, good_in_row=0))


def ask_soon(camera_id: int) -> None:
    """Its address or login is another: what was offline there is asked with the next tick, and quickly at first."""
    Camera.objects.filter(pk=camera_id).update(probe_after=None, probe_count=0)


def back_off(asked: int, longest_s: int) -> timedelta:
    """How long an offline camera is left alone after so many probes without an answer."""
    doublings = min(max(0, asked - QUICK_PROBES + 1), 20)
    return timedelta(seconds=min(QUICK_S * 2**doublings, longest_s))


def next_probe_at(camera: Camera, settings: Settings) -> datetime | None:
    """When it is asked next if no capture hears of it before; None: with the next tick. `settings` are the camera's."""
    match camera.health:
        case Health.ONLINE if camera.last_success_at is not None:
            return camera.last_success_at + timedelta(seconds=settings.probe_well_s)
        case Health.DEGRADED if camera.last_failure_at is not None:
            return camera.last_failure_at + (WARY if camera.last_error_code == LoginRefused.code else FAILING)
        case Health.OFFLINE if camera.last_failure_at is not None and camera.probe_after is not None:
            # Set when it last failed; where the setting has been lowered meanwhile, that counts.
            longest = timedelta(seconds=settings.probe_offline_s)
            return min(camera.probe_after, camera.last_failure_at + longest)
    return None


def advice_for(code: str) -> str:
    """What helps against a camera's error, by its code; empty where nobody knows."""
    return _ADVICE.get(code, "")


def words_for(code: str) -> str:
    """A camera's error in a sentence, by its code; empty where nobody knows."""
    return _WORDS.get(code, "")


def _become(camera_id: int, state: Health, now: datetime, *, code: str = "", message: str = "") -> bool:
    moved = Camera.objects.filter(pk=camera_id).exclude(health=state).update(health=state, health_since=now)
    if moved:
        payload = {"camera": camera_id, "health": state, "code": code, "error": message}
        emit(EventType.CAMERA_HEALTH_CHANGED, f"camera.{camera_id}", payload, now=now)
    return bool(moved)


def _all_errors(error: type[SourceError]) -> list[type[SourceError]]:
    return [error, *(found for child in error.__subclasses__() for found in _all_errors(child))]


_ERRORS = _all_errors(SourceError)
_ADVICE = {error.code: error.advice for error in _ERRORS} | {
    PASSWORD_UNREADABLE: "Enter the camera's password again."
}
_WORDS = {error.code: (error.__doc__ or "").strip() for error in _ERRORS} | {
    PASSWORD_UNREADABLE: "The camera's password was sealed with another key."
}
# Why a camera did not give its picture; every other reason is one of ours.
REASONS = frozenset(_ADVICE)
