"""Repair: what verify finds is put right where that can be done without losing anything.

frame without a row   its row is failed or missed: healed · its row names a file that is gone: the row names this one
                      otherwise: set aside
row without its frame failed: file_lost (absence.py) · with a damaged one: set aside, failed: file_broken
                      with another whole one: flagged, and reported until a person has decided
small pictures        made again; those that a row lacks are adopted where they are whole

No frame and no original is deleted: what belongs to nobody is set aside in the folder `quarantine`. Small pictures that
the settings do not want any more go, and what was begun long ago and never finished. What cannot be read is reported
and left as it is.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import partial
from typing import Any

from django.core.files.storage import default_storage

from captures import flags, healing
from captures.derivatives import derive, drop_smalls, wanted_of
from captures.healing import FrameFacts
from captures.imaging.developing import inspect_picture
from captures.imaging.errors import BrokenPicture
from captures.imaging.pictures import read_header
from captures.inventory import absence
from captures.inventory.looking import is_missing, look
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
STORAGE = "storage"  # who has flagged a picture that is not the one that was stored
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
    mender = Mender(course, by=running.job.requested_by)
    for step in travel(running, course, extent, now, partial(look, is_deep=extent.is_deep, now=now)):
        mender.mend(step)
    absence.give_up(running, course, by=running.job.requested_by)
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


def set_aside(name: str) -> bool:
    """Moves a stored file into the quarantine, under its old name. False where it cannot be read; it stays then."""
    try:
        data = files.read(name)
    except OSError:
        return False
    files.write(f"{SET_ASIDE}/{name}", data)
    files.delete(name)
    return True


def _clear_leftovers(report: Report, now: datetime) -> None:
    count_leftovers(report, now)
    for _ in range(files.clear_leftovers(oldest_in_the_making(now))):
        report.did("cleared")


class Mender:
    """Puts right what one step of the walk has found, and counts what it did."""

    def __init__(self, course: Course, *, by: str) -> None:
        self._course = course
        self._report = course.report
        self._by = by

    def mend(self, step: Step) -> None:
        for finding in step.findings:
            if finding.trouble == Trouble.ORPHAN and (done := self._mend_orphan(finding, step)):
                self._report.did(done)
        if step.capture is not None and step.named is None:
            absence.count(self._course, step.capture, step.findings)
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
        return "set_aside" if set_aside(finding.file) else ""

    def _take_in(self, capture: Capture, file: str) -> str:
        """Gives a frame to its row; empty where it belongs to none."""
        try:
            data, written_at = files.read(file), default_storage.get_modified_time(file)
        except OSError:
            return ""
        checksum = hashlib.sha256(data).hexdigest()
        if healing.is_healable(capture, checksum):
            judged = None
            # One that was lost and is the same again stays what it was found to be.
            if capture.score is None or not capture.checksum:
                judged = healing.judge(capture, data, capture.taken_at or written_at)
            if judged is not None and judged.shot.negative is None:
                return ""
            facts = _facts_of(file, data, written_at, is_known=True)
            if facts is None or not healing.heal(capture, facts, judged, by=self._by):
                return ""
            self._derive(Capture.objects.select_related("timelapse__camera").get(pk=capture.pk))
            return "healed"
        is_displaced = (
            capture.state == Capture.State.STORED
            and checksum == capture.checksum
            and is_missing(capture.file)
        )
        facts = _facts_of(file, data, written_at, is_known=True) if is_displaced else None
        return "found_again" if facts is not None and healing.restate(capture, facts, by=self._by) else ""

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

    def _mend_row(self, capture: Capture, findings: list[Finding]) -> None:
        """What can be read; what is gone is counted first, and given up after the walk."""
        if any(finding.shelf == Shelf.FRAME and _is_left(finding) for finding in findings):
            return
        of_shelf = {finding.shelf: finding for finding in findings if not _is_left(finding)}
        if Shelf.ORIGINAL in of_shelf:
            self._forget(capture, of_shelf[Shelf.ORIGINAL], original="")
        if Shelf.DISCARDED in of_shelf:
            self._forget(capture, of_shelf[Shelf.DISCARDED], file="", quarantine_until=None)
        is_restated = False
        if Shelf.FRAME in of_shelf:
            done = self._mend_frame(capture)
            if done not in {"restated", "kept"}:
                return
            is_restated = done == "restated"
        derived = [of_shelf[shelf] for shelf in DERIVED if shelf in of_shelf]
        if is_restated or any(finding.trouble != Trouble.UNWANTED for finding in derived):
            self._derive(capture)
        elif derived:
            drop_smalls([capture])
            self._report.did("removed")

    def _mend_frame(self, capture: Capture) -> str:
        """`restated` or `kept` where there is a frame then; it is not told from another one by its row alone."""
        try:
            data, written_at = files.read(capture.file), default_storage.get_modified_time(capture.file)
        except OSError:
            return ""
        is_the_same = hashlib.sha256(data).hexdigest() == capture.checksum
        facts = _facts_of(capture.file, data, written_at, is_known=is_the_same)
        if facts is None:
            return "" if is_the_same else self._break(capture)
        if capture.checksum and not is_the_same:
            words = "Its file is not the one that was stored."
            if flags.set_flag(capture, is_flagged=True, by=STORAGE, reason=words):
                self._report.did("flagged")
            return "kept"
        if not healing.restate(capture, facts, by=self._by):
            return ""
        self._report.did("restated")
        capture.refresh_from_db(fields=["file", "bytes", "width", "height", "checksum"])
        return "restated"

    def _break(self, capture: Capture) -> str:
        if not set_aside(capture.file) or not healing.lose(capture, healing.BROKEN, by=self._by):
            return ""
        self._report.did("broken")
        return "broken"

    def _derive(self, capture: Capture) -> None:
        try:
            made = derive(capture, wanted_of(capture.timelapse))
        except (BrokenPicture, OSError):
            # The frame itself was looked at before: what cannot be made of it is no reason to take it away.
            self._report.did("not_made")
        else:
            self._report.did("made" if made else "not_made")

    def _forget(self, capture: Capture, finding: Finding, **fields: Any) -> None:
        """What cannot be made again: the row says so, and what is left of it is set aside."""
        if finding.trouble in {Trouble.WRONG_SIZE, Trouble.WRONG_BYTES, Trouble.WRONG_CHECKSUM}:
            return  # it is a picture: somebody may want it
        if not set_aside(finding.file):
            return
        if Capture.objects.filter(pk=capture.pk, state=capture.state).update(**fields):
            self._report.did("forgotten")


def _is_left(finding: Finding) -> bool:
    """What nobody acts on now: it may be there after all, or is given up when all has been counted."""
    return finding.trouble == Trouble.UNREADABLE or absence.is_gone(finding)


def _facts_of(file: str, data: bytes, written_at: datetime, *, is_known: bool) -> FrameFacts | None:
    """None where it is no whole picture; what was judged already (`is_known`) need not be."""
    try:
        facts = read_header(data) if is_known else inspect_picture(data)
    except BrokenPicture:
        return None
    checksum = hashlib.sha256(data).hexdigest()
    return FrameFacts(file, len(data), facts.width, facts.height, checksum, written_at)
