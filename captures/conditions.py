"""A camera that does not see what it should: told once when it has lasted, and once when it is over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from cameras import alerts, places
from cameras.models import Alert, Camera
from cameras.settings import Settings
from captures.imaging.quality.contract import Evaluation, Sort
from captures.intervalometer.sun import DAWN_DEG, Place, altitude
from captures.models import CameraPast, JudgedPicture
from media_jobs import audit, clock

Kind = Alert.Kind
# A bird, a lorry or a flash light is in one picture, seldom in two. With three a camera that takes a picture each hour
# is told of within the same half day, and one of each minute is no alarm for whoever cleans its glass.
IN_A_ROW = 3
# Where nobody knows the place, nights explain what is dark for less: the sun rises within a day, but beyond the polar
# circles, where a place helps.
DARK_WITHOUT_A_PLACE = timedelta(hours=24)
WORDS: dict[Kind, str] = {
    Kind.FROZEN: "It gives the same picture again and again. Restart the camera or its recorder.",
    Kind.COVERED: "Something covers the lens. Look at the camera, and clean it.",
    Kind.DEFOCUSED: "It is out of focus. Focus it anew; fog, drops and spider's webs do the same.",
    Kind.MOVED: "It looks elsewhere than before. Turn it back; if it shall stay so this ends by itself.",
    Kind.DARK: "There is next to no light in its pictures. Look at its iris, its infra-red light, and its cover.",
}
KIND_OF_DETECTOR: dict[str, Kind] = {kind.value: kind for kind in WORDS}


def note(camera: Camera, evaluation: Evaluation, settings: Settings, now: datetime) -> None:
    """Raises what all of the last IN_A_ROW pictures show, and clears what none of them does; this one has its row."""
    if evaluation.sort is Sort.DAMAGE:
        return  # half a picture looks out of focus and moved: it tells nothing of the lens
    seen = {KIND_OF_DETECTOR[name] for name in _found(evaluation) if name in KIND_OF_DETECTOR}
    alerting = Alert.objects.filter(camera=camera, kind__in=WORDS, cleared_at=None)
    is_open = {Kind(kind) for kind in alerting.values_list("kind", flat=True)}
    changed = seen ^ is_open
    if Kind.DARK in changed and _may_be_night(camera, settings, now, is_dark=Kind.DARK in seen):
        # It is dark because the sun is down: nobody need look. And a lamp at night does not mend a closed iris.
        changed.discard(Kind.DARK)
    if not changed:
        return
    last = _last(camera)
    if len(last) < IN_A_ROW:
        return
    for kind in changed:
        shown = [kind in each for each in last]
        if kind in seen and all(shown):
            alerts.raise_alert(camera.pk, kind, now, reason=kind.value, words=WORDS[kind])
        elif kind in is_open and not any(shown):
            alerts.clear(camera.pk, kind, now)


def end(camera: Camera, now: datetime, *, by: str = audit.CLOCK) -> None:
    """Its pictures are not judged any more: nobody would notice when what they showed is over."""
    is_open = Alert.objects.filter(camera=camera, kind__in=WORDS, cleared_at=None)
    for kind in list(is_open.values_list("kind", flat=True)):
        alerts.clear(camera.pk, Kind(kind), now, by=by)


def learn_anew(camera: Camera, *, by: str) -> None:
    """A person says that the camera shall look as it does: what it is compared with is forgotten, alerts are over."""
    with transaction.atomic():
        CameraPast.objects.filter(camera=camera).delete()
        end(camera, clock.now(), by=by)
        audit.note("view_learnt_anew", topic=camera.topic, by=by)


def _found(evaluation: Evaluation) -> Iterable[str]:
    return (reading.detector for reading in evaluation.readings if reading.is_found)


def _last(camera: Camera) -> list[set[Kind]]:
    """What the last pictures showed, those that were damaged or only taken once more left out."""
    readings = _telling(camera).order_by("-at", "-id").values_list("readings", flat=True)[:IN_A_ROW]
    return [{*_kinds(each)} for each in readings]


def _telling(camera: Camera) -> QuerySet[JudgedPicture]:
    rows = JudgedPicture.objects.filter(camera=camera, error="").exclude(action=JudgedPicture.Action.RETRIED)
    return rows.exclude(sort=Sort.DAMAGE)


def _kinds(readings: list[dict[str, Any]]) -> Iterable[Kind]:
    for reading in readings:
        kind = KIND_OF_DETECTOR.get(str(reading.get("detector")))
        if kind is not None and reading.get("is_found"):
            yield kind


def _may_be_night(camera: Camera, settings: Settings, now: datetime, *, is_dark: bool) -> bool:
    spot = places.spot_of(camera, settings)
    if spot is not None:
        return altitude(Place(spot.latitude, spot.longitude), now.timestamp()) < DAWN_DEG
    return is_dark and not _has_been_dark(camera, now - DARK_WITHOUT_A_PLACE)


def _has_been_dark(camera: Camera, since: datetime) -> bool:
    """Whether the last picture until then and each one since are dark."""
    before = _telling(camera).filter(at__lte=since).order_by("-at", "-id").values_list("readings", flat=True)
    if not any(Kind.DARK in _kinds(readings) for readings in before[:1]):
        return False
    # Readings are kilobytes. Those of which "dark" is the word need not be read, and of a bright day the last one
    # suffices: all are read only where something else outweighs the darkness in each picture.
    later = _telling(camera).filter(at__gt=since).exclude(verdict=Kind.DARK).order_by("-at", "-id")
    others = later.values_list("readings", flat=True).iterator(chunk_size=20)
    return all(Kind.DARK in _kinds(readings) for readings in others)
