"""Pictures whose files are not there: counted first, all of them, and given up afterwards, where no disk is away.

A row that is given up loses what it knows of its file. So nothing is given up before the whole walk has been counted;
the counts are part of the walk's memory, and outlive each turn.
"""

from __future__ import annotations

from captures import healing
from captures.inventory.looking import is_missing
from captures.inventory.report import Finding, Shelf, Trouble
from captures.inventory.walk import GONE, ROWS, Course
from captures.models import Capture
from captures.stretches import PICTURES, Place, pages
from media_jobs.tracked import Running

# Of one timelapse, or of all; where they are more than half of it, a disk is away rather than they.
MANY_GONE = 20
_OF_ROWS = (Shelf.FRAME, Shelf.ORIGINAL, Shelf.DISCARDED)  # what cannot be made again


def count(course: Course, capture: Capture, findings: list[Finding]) -> None:
    """Notes one row of the walk, and whether something of it is gone that cannot be made again."""
    whose = str(capture.timelapse_id)
    course.seen[whose] += 1
    course.gone[whose] += any(is_gone(finding) for finding in findings)


def is_gone(finding: Finding) -> bool:
    return finding.trouble == Trouble.MISSING and finding.shelf in _OF_ROWS


def give_up(running: Running, course: Course, *, by: str) -> None:
    """After the walk: the rows say what is gone; where a disk may be away they are left as they are, every one.

    Raises WorkCancelled and TurnPassed between two rows.
    """
    if course.phase == ROWS:
        course.phase, course.place = GONE, Place()
        _hold_back(course)
    for timelapse in sorted((int(whose) for whose in course.gone), reverse=True):
        if course.place.timelapse is not None and timelapse > course.place.timelapse:
            continue
        for _, captures in pages(timelapse, course.place, PICTURES):
            for capture in captures:
                _give_up_one(course, capture, by)
                course.place.reach(capture)
                running.go_on(*course.steps(running.job.progress_total // 2), course.memory)


def _hold_back(course: Course) -> None:
    is_all_away = _is_away(course.gone.total(), course.seen.total())
    for whose, gone in list(course.gone.items()):
        if is_all_away or _is_away(gone, course.seen[whose]):
            course.report.did("held_back", gone)
            del course.gone[whose]
    course.gone = +course.gone


def _is_away(gone: int, seen: int) -> bool:
    return gone > MANY_GONE and gone * 2 > seen


def _give_up_one(course: Course, capture: Capture, by: str) -> None:
    held = Capture.objects.filter(pk=capture.pk, state=capture.state)
    if (
        capture.original
        and is_missing(capture.original)
        and held.filter(original=capture.original).update(original="")
    ):
        course.report.did("forgotten")
    if not capture.file or not is_missing(capture.file):
        return
    if capture.state == Capture.State.STORED:
        if healing.lose(capture, healing.LOST, by=by):
            course.report.did("lost")
    elif held.filter(file=capture.file).update(file="", quarantine_until=None):
        course.report.did("forgotten")
