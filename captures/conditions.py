"""A camera that does not see what it should: told once when it has lasted, and once when it is over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from cameras import alerts, places
from cameras.models import Alert, Camera
from cameras.settings import Settings
from captures.imaging.quality.contract import Evaluation, Sort
from captures.intervalometer.sun import DAWN_DEG, Place, altitude
from captures.models import JudgedPicture

Kind = Alert.Kind
# A bird, a lorry or a flash light is in one picture, seldom in two. With three a camera that takes a picture each hour
# is told of within the same half day, and one of each minute is no alarm for whoever cleans its glass.
IN_A_ROW = 3
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
    if Kind.DARK in changed and _is_night(camera, settings, now):
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


def _found(evaluation: Evaluation) -> Iterable[str]:
    return (reading.detector for reading in evaluation.readings if reading.is_found)


def _last(camera: Camera) -> list[set[Kind]]:
    """What the last pictures showed, those that were damaged or only taken once more left out."""
    rows = JudgedPicture.objects.filter(camera=camera, error="").exclude(action=JudgedPicture.Action.RETRIED)
    readings = (
        rows.exclude(sort=Sort.DAMAGE).order_by("-at", "-id").values_list("readings", flat=True)[:IN_A_ROW]
    )
    return [{*_kinds(each)} for each in readings]


def _kinds(readings: list[dict[str, Any]]) -> Iterable[Kind]:
    for reading in readings:
        kind = KIND_OF_DETECTOR.get(str(reading.get("detector")))
        if kind is not None and reading.get("is_found"):
            yield kind


def _is_night(camera: Camera, settings: Settings, now: datetime) -> bool:
    """Where nobody knows the place no darkness is explained by the sun."""
    spot = places.spot_of(camera, settings)
    return spot is not None and altitude(Place(spot.latitude, spot.longitude), now.timestamp()) < DAWN_DEG
