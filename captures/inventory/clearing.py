"""What is not needed goes: small pictures without a row or against the settings, what was set aside long ago; or all.

A rehearsal walks the same way and counts the same things, and deletes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.core.files.storage import default_storage

from cameras.effective import globally
from captures.derivatives import Wanted, drop_all, drop_smalls
from captures.inventory.repair import SET_ASIDE
from captures.inventory.report import Finding, Shelf, Trouble
from captures.inventory.shelves import DERIVED
from captures.inventory.verify import count_leftovers, oldest_in_the_making
from captures.inventory.walk import Course, Extent, along_files, travel
from captures.models import Capture
from captures.stretches import WITH_DERIVED, pages
from media_jobs import audit, clock, files
from media_jobs.tracked import Running


def clean_up(running: Running) -> dict[str, Any]:
    """Returns the report: what went, or would go."""
    is_rehearsal: bool = running.args["dry_run"]
    now, course = clock.now(), Course.of(running.job.result)
    extent = Extent(running.args["timelapse"], shelves=DERIVED)
    for step in travel(running, course, extent, now, _unwanted):
        if is_rehearsal:
            continue
        for finding in step.findings:
            if finding.trouble == Trouble.ORPHAN:
                files.delete(finding.file)
            elif step.capture is not None:
                drop_smalls([step.capture])
    if extent.timelapse is None:
        _clear_rest(course, now, is_rehearsal=is_rehearsal)
    report = course.report
    if not is_rehearsal:
        facts = {"files": report.total, "bytes": sum(report.bytes.values())}
        audit.note("storage_cleaned_up", topic=running.job.topic, by=running.job.requested_by, facts=facts)
    return report.to_document() | {"dry_run": is_rehearsal}


def _unwanted(capture: Capture, wanted: Wanted, newest_id: int | None) -> list[Finding]:
    if not capture.small or wanted.wants_small(capture, newest_id):
        return []
    own = (capture.small, capture.timelapse_id, capture.pk, capture.small_bytes)
    return [Finding(Shelf.SMALL, Trouble.UNWANTED, *own)]


def _clear_rest(course: Course, now: datetime, *, is_rehearsal: bool) -> None:
    count_leftovers(course.report, now)
    before = now - timedelta(days=globally().quarantine_days)
    for name in list(_set_aside_before(SET_ASIDE, before)):
        size = files.size(name) or 0
        course.report.add(Finding(Shelf.SET_ASIDE, Trouble.UNWANTED, name, bytes=size))
        if not is_rehearsal:
            files.delete(name)
    if not is_rehearsal:
        files.clear_leftovers(oldest_in_the_making(now))


def _set_aside_before(folder: str, before: datetime) -> Iterator[str]:
    try:
        folders, names = default_storage.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if default_storage.get_modified_time(f"{folder}/{name}") < before:
            yield f"{folder}/{name}"
    for inner in folders:
        yield from _set_aside_before(f"{folder}/{inner}", before)


def delete_all(running: Running) -> dict[str, Any]:
    """Deletes all thumbnails and smalls, of a timelapse or of all: files and rows, and files without rows.

    Returns how many, and their bytes.
    """
    memory = running.job.result
    course, removed, freed = Course.of(memory), int(memory.get("removed", 0)), int(memory.get("freed", 0))
    done, total = running.job.progress_done, running.job.progress_total
    for _, captures in pages(running.args["timelapse"], course.place, WITH_DERIVED):
        dropped = drop_all(captures)
        removed, freed = removed + dropped.files, freed + dropped.bytes
        done += len(captures)
        course.place.reach(captures[-1])
        place = course.memory() | {"removed": removed, "freed": freed}
        running.go_on(done, max(done, total), place.copy)
    for step in along_files(course, Extent(running.args["timelapse"], shelves=DERIVED), clock.now()):
        for finding in step.findings:
            files.delete(finding.file)
            removed, freed = removed + 1, freed + finding.bytes
        place = course.memory() | {"removed": removed, "freed": freed}
        running.go_on(done, max(done, total), place.copy)
    facts = {"files": removed, "bytes": freed}
    audit.note("thumbnails_deleted", topic=running.job.topic, by=running.job.requested_by, facts=facts)
    return {"removed": removed, "bytes": freed}
