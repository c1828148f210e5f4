"""The way along all files, and then along all rows, that can be left and taken up again anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.files.storage import default_storage

from captures.derivatives import Wanted, newest_of, wanted_of
from captures.inventory.looking import YOUNG
from captures.inventory.report import Finding, Report, Shelf, Trouble
from captures.inventory.shelves import SHELVES, Day, Named, days, read_name
from captures.models import Capture, Timelapse
from captures.stretches import PICTURES, Place, pages
from media_jobs import files
from media_jobs.tracked import Running

Look = Callable[[Capture, Wanted, int | None], list[Finding]]
BATCH = 200
FILES, ROWS, GONE = "files", "rows", "gone"  # the last is repair's own


@dataclass(frozen=True, slots=True)
class Extent:
    """What is walked along. `timelapse` None is all; `is_deep`: every byte is read."""

    timelapse: int | None = None
    is_deep: bool = False
    shelves: tuple[Shelf, ...] = tuple(SHELVES.values())


@dataclass(slots=True)
class Course:
    """How far the walk is, and what it has found: JSON between two turns.

    `seen` and `gone` are repair's counts of rows, of each timelapse, and of those whose pictures are not there.
    """

    phase: str = FILES
    folder: str = ""
    name: str = ""
    place: Place = field(default_factory=Place)
    frames: int = 0
    report: Report = field(default_factory=Report)
    seen: Counter[str] = field(default_factory=Counter)
    gone: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, memory: dict[str, Any]) -> Course:
        document = memory.get("course")
        if not document:
            return cls()
        return cls(
            phase=document["phase"],
            folder=document["folder"],
            name=document["name"],
            place=Place.of(document["place"]),
            frames=document["frames"],
            report=Report.of(memory.get("report")),
            seen=Counter(document.get("seen")),
            gone=Counter(document.get("gone")),
        )

    def memory(self) -> dict[str, Any]:
        course = {
            "phase": self.phase,
            "folder": self.folder,
            "name": self.name,
            "place": self.place.to_document(),
            "frames": self.frames,
            "seen": dict(self.seen),
            "gone": dict(self.gone),
        }
        return {"course": course, "report": self.report.to_document()}

    def steps(self, rows: int) -> tuple[int, int]:
        """Done and total: each row counts twice, for its frame among the files and for itself."""
        if self.phase == GONE:
            return 2 * rows, 2 * rows
        return min(self.frames, rows) if self.phase == FILES else rows + self.report.rows, 2 * rows


@dataclass(frozen=True, slots=True)
class Step:
    """One file, or one row with all of its files, and what is wrong with it.

    `capture` is the row that a file's name speaks of, if there is one.
    """

    findings: list[Finding]
    capture: Capture | None = None
    named: Named | None = None


def travel(running: Running, course: Course, extent: Extent, now: datetime, look: Look) -> Iterator[Step]:
    """First along the files, then along the rows; notes what is found, and after each step where it is.

    Raises WorkCancelled and TurnPassed between two steps.
    """
    rows = running.job.progress_total // 2
    while course.phase != GONE:
        steps = (
            along_files(course, extent, now) if course.phase == FILES else along_rows(course, extent, look)
        )
        for step in steps:
            for finding in step.findings:
                course.report.add(finding)
            yield step
            running.go_on(*course.steps(rows), course.memory)
        if course.phase == ROWS:
            return
        course.phase = ROWS


def along_files(course: Course, extent: Extent, now: datetime) -> Iterator[Step]:
    """Each file of the shelves; a finding where no row names it, unless it is younger than a row may be late."""
    own = _folder_of(extent.timelapse)
    if extent.timelapse is not None and own is None:
        return
    for day in days(own, extent.shelves, course.folder):
        try:
            names = files.names_in(day.folder)
        except OSError:
            yield Step([Finding(day.shelf, Trouble.UNREADABLE, day.folder, day.timelapse)])
            continue
        if day.folder == course.folder:
            names = [name for name in names if name > course.name]
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            named = {name: read_name(name) for name in batch}
            rows = _rows([found.capture for found in named.values() if found])
            for name in batch:
                found = named[name]
                capture = rows.get(found.capture) if found else None
                orphan = _orphan(day, name, capture, now, course.report)
                course.folder, course.name = day.folder, name
                course.report.files += 1
                course.frames += day.shelf == Shelf.FRAME
                yield Step([orphan] if orphan else [], capture, found)


def along_rows(course: Course, extent: Extent, look: Look) -> Iterator[Step]:
    """Each stored or discarded row, and what is wrong with its files."""
    for timelapse, captures in pages(extent.timelapse, course.place, PICTURES):
        wanted, newest_id = wanted_of(timelapse), newest_of(timelapse.pk)
        for capture in captures:
            findings = look(capture, wanted, newest_id)
            course.place.reach(capture)
            course.report.rows += 1
            yield Step(findings, capture)


def _folder_of(timelapse_id: int | None) -> tuple[int, int] | None:
    if timelapse_id is None:
        return None
    return Timelapse.objects.filter(pk=timelapse_id).values_list("camera_id", "pk").first()


def _rows(captures: list[int]) -> dict[int, Capture]:
    rows = Capture.objects.select_related("timelapse__camera").filter(pk__in=captures)
    return {row.pk: row for row in rows}


def names(capture: Capture | None, path: str) -> bool:
    """Whether the row names this file as one of its own."""
    own = (capture.file, capture.thumbnail, capture.small, capture.original) if capture else ()
    return path in own


def _orphan(day: Day, name: str, capture: Capture | None, now: datetime, report: Report) -> Finding | None:
    path = f"{day.folder}/{name}"
    if names(capture, path):
        return None
    try:
        written_at = default_storage.get_modified_time(path)
        size = default_storage.size(path)
    except OSError:
        return None  # it has just gone
    if written_at > now - YOUNG:
        report.young += 1
        return None
    if capture is not None and names(Capture.objects.filter(pk=capture.pk).first(), path):
        return None  # its row was written since
    return Finding(day.shelf, Trouble.ORPHAN, path, day.timelapse, capture.pk if capture else None, size)
