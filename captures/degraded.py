"""A camera whose pictures are bad too often is degraded: said once, left after enough good ones or by hand.

well --(a rule: so many in a row, within a while, of the last 20)--> degraded
degraded --(so many good ones in a row | a person | switched off by a person | not judged any more)--> well

The alert is open as long as the mode lasts, so its end is when the mode was last left, whatever way.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from cameras import alerts, changes, health
from cameras.models import Alert, Camera
from cameras.settings import Settings
from captures.models import JudgedPicture
from media_jobs import audit, clock

LAST = 20  # of which a share may be bad
KIND = Alert.Kind.DEGRADED


def note(camera_id: int, settings: Settings, now: datetime, *, is_bad: bool, bad: int) -> None:
    """Counts a picture, which has its row; `bad` is how many bad ones the camera gave for it, kept or not."""
    mine = Camera.objects.filter(pk=camera_id)
    good = {"bad_in_row": 0, "good_in_row": F("good_in_row") + 1, "glitch_count": F("glitch_count") + bad}
    if not is_bad and mine.filter(is_degraded=False).update(**good):
        return
    with transaction.atomic():
        if is_bad:
            mine.update(bad_in_row=F("bad_in_row") + 1, good_in_row=0, glitch_count=F("glitch_count") + bad)
            _enter_if_too_many(mine.get(), settings, now)
            return
        mine.update(**good)
        if mine.filter(is_degraded=True, good_in_row__gte=settings.degraded_leave_after).exists():
            _leave(camera_id, now, by=audit.CLOCK)


def leave(camera: Camera, *, by: str) -> bool:
    """A person says that it is well again, or the clock that it is not judged any more. False: it is not degraded."""
    with transaction.atomic():
        return _leave(camera.pk, clock.now(), by=by)


def _enter_if_too_many(camera: Camera, settings: Settings, now: datetime) -> None:
    if camera.is_degraded:
        return
    broken = _broken_rule(camera, settings, now)
    if broken is None:
        return
    if not Camera.objects.filter(pk=camera.pk, is_degraded=False).update(
        is_degraded=True, degraded_since=now
    ):
        return
    reason, words = broken
    is_disabled = settings.degraded_disables and camera.is_enabled
    if is_disabled:
        words = f"{words} It was switched off for that; only a person switches it on again."
        changes.switch([camera], is_on=False, by=audit.CLOCK)
    alerts.raise_alert(camera.pk, KIND, now, reason=reason, words=words)


def _broken_rule(camera: Camera, settings: Settings, now: datetime) -> tuple[str, str] | None:
    """The first rule that is broken, by its code and in words; None where all are kept."""
    if camera.bad_in_row >= settings.degraded_in_row:
        return "bad_in_row", f"{camera.bad_in_row} bad pictures in a row."
    rows = JudgedPicture.objects.filter(camera=camera, error="").exclude(action=JudgedPicture.Action.RETRIED)
    # What was before it was last left has been answered for.
    if (left := _left_at(camera)) is not None:
        rows = rows.filter(at__gt=left)
    window = timedelta(minutes=settings.degraded_window_min)
    recent = rows.filter(is_bad=True, at__gt=now - window).count()
    if recent >= settings.degraded_count:
        return "bad_in_window", f"{recent} bad pictures within {settings.degraded_window_min} minutes."
    last = list(rows.order_by("-at", "-id").values_list("is_bad", flat=True)[:LAST])
    if len(last) == LAST and sum(last) * 100 > settings.degraded_share * LAST:
        return "bad_share", f"{sum(last)} of the last {LAST} pictures were bad."
    return None


def _left_at(camera: Camera) -> datetime | None:
    ended = Alert.objects.filter(camera=camera, kind=KIND, cleared_at__isnull=False)
    return ended.order_by("-cleared_at").values_list("cleared_at", flat=True).first()


def _leave(camera_id: int, now: datetime, *, by: str) -> bool:
    if not health.leave_degraded_mode(camera_id):
        return False
    alerts.clear(camera_id, KIND, now, by=by)
    return True
