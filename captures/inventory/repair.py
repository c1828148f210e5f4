"""Repair: what verify finds is put right where that can be done without losing anything.

frame without a row   its row is failed or missed: healed · its row names a file that is gone: the row names this one
                      otherwise: set aside
row without its frame failed: file_lost · with a damaged one: set aside, failed: file_broken
                      with another whole one: restated
small pictures        made again; those that a row lacks are adopted where they are whole

Nothing is deleted: what belongs to nobody is set aside in the folder `quarantine`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any

from django.core.files.storage import default_storage

from captures import healing
from captures.derivatives import derive, drop_smalls, wanted_of
from captures.healing import FrameFacts
from captures.imaging.errors import BrokenPicture
from captures.imaging.pictures import inspect_picture
from captures.inventory.looking import look
from captures.inventory.report import Finding, Report, Shelf, Trouble
from captures.inventory.shelves import DERIVED, ROOT, folders_in
from captures.inventory.verify import count_leftovers, oldest_in_the_making
from captures.inventory.walk import Course, Extent, Step, travel
from captures.models import Capture
from captures.pictures import digest_in, digest_of
from media_jobs import audit, clock, files
from media_jobs.exceptions import WorkFailed
from media_jobs.tracked import Running

SET_ASIDE = "quarantine"
MANY_LOST = (
    20  # frames of one timelapse; where they are more than half of it, a disk is away rather than they
)
FIELDS = {Shelf.THUMBNAIL: "thumbnail", Shelf.SMALL: "small"}


def repair(running: Running) -> dict[str, Any]:
    """Returns the report, with what was done. Raises WorkFailed where the disk of the media is not there."""
    if running.job.progress_total and not folders_in(ROOT):
        raise WorkFailed(
            "The media folder is empty although there are pictures: is its disk mounted? Nothing was changed.",
            code="storage_away",
        )
    now, course = clock.now(), Course.of(running.job.result)
    extent = Extent(running.args["timelapse"], is_deep=running.args["deep"])
    mender = Mender(course.report, by=running.job.requested_by)
    for step in travel(running, course, extent, now, partial(look, is_deep=extent.is_deep, now=now)):
        mender.mend(step)
    if extent.timelapse is None:
        _clear_leftovers(course.report, now)
    report = course.report
    audit.note(
        "storage_repaired",
        topic=running.job.topic,
        by=running.job.requested_by,
        facts={"found": report.total, **report.actions},
    )
    return report.to_document()


def set_aside(name: str) -> None:
    """Moves a stored file into the quarantine, under its old name."""
    try:
        data = files.read(name)
    except OSError:
        return  # gone meanwhile
    files.write(f"{SET_ASIDE}/{name}", data)
    files.delete(name)


def _clear_leftovers(report: Report, now: datetime) -> None:
    count_leftovers(report, now)
    for _ in range(files.clear_leftovers(oldest_in_the_making(now))):
        report.did("cleared")


class Mender:
    """Puts right what one step of the walk has found, and counts what it did."""

    def __init__(self, report: Report, *, by: str) -> None:
        self._report = report
        self._by = by
        self._seen: Counter[int] = Counter()
        self._gone: Counter[int] = Counter()

    def mend(self, step: Step) -> None:
        for finding in step.findings:
            if finding.trouble == Trouble.ORPHAN:
                self._report.did(self._mend_orphan(finding, step))
        if step.capture is not None and step.named is None:
            self._seen[step.capture.timelapse_id] += 1
            if step.findings:
                self._mend_row(step.capture, step.findings)

    def _mend_orphan(self, finding: Finding, step: Step) -> str:
        capture = step.capture
        is_its_own = (
            capture is not None
            and step.named is not None
            and capture.timelapse_id == finding.timelapse
            and capture.slot == step.named.slot
        )
        if capture is not None and is_its_own:
            if finding.shelf == Shelf.FRAME and (done := self._take_in(capture, finding.file)):
                return done
            if finding.shelf in DERIVED and self._adopt(capture, finding):
                return "adopted"
        set_aside(finding.file)
        return "set_aside"

    def _take_in(self, capture: Capture, file: str) -> str:
        """Gives a frame to its row; empty where it belongs to none."""
        facts = _facts_of(file)
        if facts is None:
            return ""
        if healing.is_healable(capture):
            if not healing.heal(capture, facts, by=self._by):
                return ""
            self._derive(Capture.objects.select_related("timelapse__camera").get(pk=capture.pk))
            return "healed"
        is_displaced = (
            capture.state == Capture.State.STORED
            and facts.checksum == capture.checksum
            and not files.exists(capture.file)
        )
        return "found_again" if is_displaced and healing.restate(capture, facts, by=self._by) else ""

    def _adopt(self, capture: Capture, finding: Finding) -> bool:
        """A small picture whose row lacks it, whole, and as it would be made now."""
        field = FIELDS[finding.shelf]
        wanted = wanted_of(capture.timelapse)
        box = wanted.thumbnail if finding.shelf == Shelf.THUMBNAIL else wanted.small
        is_lacking = capture.state == Capture.State.STORED and not getattr(capture, field)
        if not is_lacking or box is None or (finding.shelf == Shelf.SMALL and wanted.is_latest_only):
            return False
        try:
            data = files.read(finding.file)
            facts = inspect_picture(data)
        except (OSError, BrokenPicture):
            return False
        is_right = digest_in(finding.file) == digest_of(data)
        if not is_right or (facts.width, facts.height) != box.fit(capture.width, capture.height):
            return False
        rows = Capture.objects.stored().filter(pk=capture.pk, **{field: ""})
        return bool(rows.update(**{field: finding.file, f"{field}_bytes": len(data)}))

    def _mend_row(self, capture: Capture, findings: Iterable[Finding]) -> None:
        of_shelf = {finding.shelf: finding for finding in findings}
        if Shelf.ORIGINAL in of_shelf:
            self._forget(capture, of_shelf[Shelf.ORIGINAL], original="")
        if Shelf.DISCARDED in of_shelf:
            self._forget(capture, of_shelf[Shelf.DISCARDED], file="", quarantine_until=None)
        if Shelf.FRAME in of_shelf and not self._mend_frame(capture, of_shelf[Shelf.FRAME]):
            return
        derived = [of_shelf[shelf] for shelf in DERIVED if shelf in of_shelf]
        if any(finding.trouble != Trouble.UNWANTED for finding in derived) or Shelf.FRAME in of_shelf:
            self._derive(capture)
        elif derived:
            drop_smalls([capture])
            self._report.did("removed")

    def _mend_frame(self, capture: Capture, finding: Finding) -> bool:
        """Whether there is a frame then."""
        if finding.trouble == Trouble.MISSING:
            self._lose(capture)
            return False
        facts = _facts_of(capture.file)
        if facts is None:
            self._break(capture)
            return False
        if not healing.restate(capture, facts, by=self._by):
            return False
        self._report.did("restated")
        capture.refresh_from_db(fields=["file", "bytes", "width", "height", "checksum"])
        return True

    def _lose(self, capture: Capture) -> None:
        whose = capture.timelapse_id
        self._gone[whose] += 1
        if self._gone[whose] > MANY_LOST and self._gone[whose] * 2 > self._seen[whose]:
            self._report.did("held_back")
        elif healing.lose(capture, healing.LOST, by=self._by):
            self._report.did("lost")

    def _break(self, capture: Capture) -> None:
        set_aside(capture.file)
        if healing.lose(capture, healing.BROKEN, by=self._by):
            self._report.did("broken")

    def _derive(self, capture: Capture) -> None:
        try:
            made = derive(capture, wanted_of(capture.timelapse))
        except BrokenPicture:
            self._break(capture)
        except OSError:
            self._report.did("not_made")
        else:
            self._report.did("made" if made else "not_made")

    def _forget(self, capture: Capture, finding: Finding, **fields: Any) -> None:
        """What cannot be made again: the row says so, and what is left of it is set aside."""
        if finding.trouble in {Trouble.WRONG_SIZE, Trouble.WRONG_BYTES, Trouble.WRONG_CHECKSUM}:
            return  # it is a picture: somebody may want it
        set_aside(finding.file)
        if Capture.objects.filter(pk=capture.pk, state=capture.state).update(**fields):
            self._report.did("forgotten")


def _facts_of(file: str) -> FrameFacts | None:
    """None where it is no whole picture."""
    try:
        data = files.read(file)
        facts = inspect_picture(data)
        written_at = default_storage.get_modified_time(file)
    except (OSError, BrokenPicture):
        return None
    checksum = hashlib.sha256(data).hexdigest()
    return FrameFacts(file, len(data), facts.width, facts.height, checksum, written_at)
