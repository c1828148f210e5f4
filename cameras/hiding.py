"""What tests may show of a camera: its masks are burned in first, and what was shown before a mask is forgotten."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from cameras.exceptions import MasksChanged
from cameras.geometry import Geometry
from cameras.models import Camera
from cameras.sources.addresses import IpAddress, unwrap
from cameras.sources.deadline import Deadline
from cameras.sources.errors import SourceError
from media_jobs import files
from media_jobs.models import MediaJob

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PREVIEWS = "previews"
PREVIEW, BEFORE = "preview", "before"
LOOK_UP_S = 3  # for the names of all hosts together
NEW_CAMERA = "camera.new"  # the topic of tests of what is not saved yet


def masks_of(camera_id: int) -> Geometry:
    """What must never be shown of this camera; nothing where it is gone. Raises GeometryRefused."""
    written = Camera.objects.filter(pk=camera_id).values_list("geometry", flat=True).first()
    return Geometry.from_document(written or {}).only_masks


def masks_at(address: str) -> Geometry:
    """What must not be shown of any camera of this host: who tests an address may have one of them in view.

    The same host by name, or by an IP address that both names have, as this machine sees it. A name that is not found
    within LOOK_UP_S may be that of any host.
    """
    host, found = _host(address), Geometry()
    numbers_of = cache(partial(_numbers_of, deadline=Deadline(LOOK_UP_S)))
    for known, written in Camera.objects.filter(geometry__has_key="masks").values_list("address", "geometry"):
        if _may_be_same(host, _host(known), numbers_of):
            found = found.with_masks_of(Geometry.from_document(written))
    return found.only_masks


def keep_previews(
    job: MediaJob,
    pixels: NDArray[np.uint8],
    shown: Mapping[str, Geometry],
    masks: Callable[[], Geometry],
    *,
    width: int | None = None,
) -> dict[str, str]:
    """Stores a preview for each name of `shown`, its geometry applied; returns their files by these names.

    `masks` are asked before and after: where they have changed meanwhile nothing is kept. Raises MasksChanged,
    StorageError.
    """
    from cameras.previews import WIDTH_PX, make_preview  # slow import: the web never makes one

    known = masks()
    pixels = known.burn(pixels)
    kept: dict[str, str] = {}
    for name, geometry in shown.items():
        kept[name] = _file_of(job.pk, name)
        files.write(kept[name], make_preview(geometry.frame(pixels), width or WIDTH_PX))
    if masks() != known:
        files.delete(*kept.values())
        raise MasksChanged
    return kept


def forget_previews(camera: Camera) -> None:
    """Deletes what tests of the camera have shown, and those of cameras that were not saved: it may be among them."""
    names = {name: _job_of(name) for name in files.names_in(PREVIEWS)}
    others = MediaJob.objects.filter(pk__in=[pk for pk in names.values() if pk])
    kept = set(others.exclude(topic__in=[camera.topic, NEW_CAMERA]).values_list("pk", flat=True))
    files.delete(*(f"{PREVIEWS}/{name}" for name, pk in names.items() if pk not in kept))


def _job_of(name: str) -> UUID | None:
    """Whose preview the file is."""
    try:
        return UUID(name[:36])
    except ValueError:
        return None


def _file_of(job_id: object, name: str) -> str:
    return f"{PREVIEWS}/{job_id}.jpg" if name == PREVIEW else f"{PREVIEWS}/{job_id}-{name}.jpg"


def _host(address: str) -> str:
    return urlsplit(address).hostname or address


def _may_be_same(host: str, other: str, numbers_of: Callable[[str], frozenset[IpAddress]]) -> bool:
    if host == other or "/" in host or "/" in other:  # a folder is on no host
        return host == other
    own, others = numbers_of(host), numbers_of(other)
    return not own or not others or not own.isdisjoint(others)


def _numbers_of(host: str, deadline: Deadline) -> frozenset[IpAddress]:
    """Its IP addresses; none where nobody knows them."""
    from cameras.sources.connect import resolve  # slow import: the web never looks one up

    try:
        return frozenset({unwrap(ipaddress.ip_address(host))})
    except ValueError:
        pass
    try:
        found = resolve(host, 0, deadline, allow_loopback=True)
    except SourceError:
        return frozenset()
    return frozenset(unwrap(ipaddress.ip_address(number.partition("%")[0])) for number in found)
