"""Verify: files against rows and rows against files. It changes nothing."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from captures.inventory.looking import look
from captures.inventory.report import Finding, Report, Shelf, Trouble
from captures.inventory.walk import Course, Extent, travel
from media_jobs import clock, files
from media_jobs.housekeeping import KEEP_MAKING
from media_jobs.tracked import Running


def verify(running: Running) -> dict[str, Any]:
    """Returns the report."""
    now, course = clock.now(), Course.of(running.job.result)
    extent = Extent(running.args["timelapse"], is_deep=running.args["deep"])
    for _ in travel(running, course, extent, now, partial(look, is_deep=extent.is_deep, now=now)):
        pass
    if extent.timelapse is None:
        count_leftovers(course.report, now)
    return course.report.to_document()


def count_leftovers(report: Report, now: datetime) -> None:
    """What killed processes left in the making."""
    for name, size in files.leftovers(oldest_in_the_making(now)):
        report.add(Finding(Shelf.MAKING, Trouble.LEFTOVER, name, bytes=size))


def oldest_in_the_making(now: datetime) -> float:
    """Seconds since 1970: nothing that is older is still being made."""
    return (now - KEEP_MAKING).timestamp()
