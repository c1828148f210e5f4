"""The folders in which captures' files lie, and what a file's name says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from django.core.files.storage import default_storage

from captures import filing
from captures.inventory.report import Shelf

ROOT = "cameras"
SHELVES: dict[str, Shelf] = {
    filing.FRAMES: Shelf.FRAME,
    "thumbnails": Shelf.THUMBNAIL,
    "smalls": Shelf.SMALL,
    filing.ORIGINALS: Shelf.ORIGINAL,
    filing.QUARANTINE: Shelf.DISCARDED,
}
DERIVED = (Shelf.THUMBNAIL, Shelf.SMALL)
# <slot in UTC>_<capture>, then an attempt or a digest: captures/filing.py, captures/derivatives.py.
_NAME = re.compile(r"(\d{8}T\d{6}(?:\.\d{6})?)Z?_(\d{1,18})(?:-[0-9a-f]+)?\.[a-z0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Day:
    """One folder of files. `timelapse` is None where its folder has no number for a name."""

    timelapse: int | None
    shelf: Shelf
    folder: str


@dataclass(frozen=True, slots=True)
class Named:
    """What a file's name says: which capture, of which slot."""

    capture: int
    slot: datetime


def read_name(name: str) -> Named | None:
    """None for a name that no file of ours has."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    text = match[1] if "." in match[1] else f"{match[1]}.000000"
    try:
        slot = datetime.strptime(text, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Named(int(match[2]), slot)


def days(timelapse: tuple[int, int] | None, shelves: tuple[Shelf, ...], after: str) -> Iterator[Day]:
    """The folders of a timelapse (its camera and itself), or of all, in a fixed order, those behind the folder `after`.

    `after` itself is among them: the walk may have stopped in the middle of it.
    """
    for root, timelapse_id in _roots(timelapse):
        for kind, shelf in SHELVES.items():
            if shelf not in shelves:
                continue
            for day in folders_in(f"{root}/{kind}"):
                found = Day(timelapse_id, shelf, f"{root}/{kind}/{day}")
                if _order(found.folder) >= _order(after):
                    yield found


def _roots(timelapse: tuple[int, int] | None) -> Iterator[tuple[str, int | None]]:
    if timelapse is not None:
        camera, own = timelapse
        yield f"{ROOT}/{camera}/timelapses/{own}", own
        return
    for camera_name in sorted(folders_in(ROOT), key=_number):
        for name in sorted(folders_in(f"{ROOT}/{camera_name}/timelapses"), key=_number):
            yield f"{ROOT}/{camera_name}/timelapses/{name}", int(name) if name.isdecimal() else None


def _order(folder: str) -> tuple[object, ...]:
    """Where a folder stands in the walk; the empty one at its beginning."""
    if not folder:
        return ()
    _, camera, _, timelapse, kind, day = folder.split("/")
    return (_number(camera), _number(timelapse), list(SHELVES).index(kind), day)


def _number(name: str) -> tuple[int, str]:
    """Numbers in their order, before all else."""
    return (int(name), "") if name.isdecimal() else (2**63, name)


def folders_in(folder: str) -> list[str]:
    try:
        return sorted(default_storage.listdir(folder)[0])
    except (FileNotFoundError, NotADirectoryError):
        return []
