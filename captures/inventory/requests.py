"""Verify, repair, clean-up and delete-all, asked for by a person: one job each, of a timelapse or of all."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from django.db import transaction

from captures.backfill import topic_of
from captures.models import Timelapse
from captures.stretches import PICTURES, WITH_DERIVED, count
from media_jobs import audit, lifecycle
from media_jobs.models import MediaJob


class Deed(StrEnum):
    """What can be asked for; the value is the kind of its jobs."""

    VERIFY = "captures.verify"
    REPAIR = "captures.repair"
    CLEAN_UP = "captures.clean_up"
    DELETE_ALL = "captures.delete_thumbnails"


TITLES: dict[Deed, str] = {
    Deed.VERIFY: "Verify the files",
    Deed.REPAIR: "Repair the files",
    Deed.CLEAN_UP: "Clean up",
    Deed.DELETE_ALL: "Delete all thumbnails",
}


def request(
    deed: Deed, timelapse: Timelapse | None, *, by: str, deep: bool = False, dry_run: bool = True
) -> tuple[MediaJob, bool]:
    """Records the job. `deep` is for verify and repair, `dry_run` for clean-up; other deeds do not know them.

    Returns it, and whether it is new: the same wish that is active is the same job. Raises TooManyWaiting.
    """
    scope = timelapse.pk if timelapse else None
    wishes = {"deep": deep, "dry_run": dry_run}
    said = {name: wishes[name] for name in _KNOWS.get(deed, ())}
    topic = topic_of(timelapse)
    words = "".join(f" {_WORDS[name]}" for name, is_wanted in said.items() if is_wanted)
    steps = count(scope, WITH_DERIVED) if deed == Deed.DELETE_ALL else 2 * count(scope, PICTURES)
    args: dict[str, Any] = {"timelapse": scope, **said}
    with transaction.atomic():
        job, is_new = lifecycle.record(
            deed,
            key=".".join([topic, *(name for name, is_wanted in said.items() if is_wanted)]),
            topic=topic,
            title=f"{TITLES[deed]}{words}: {timelapse.name if timelapse else 'all timelapses'}"[:200],
            args=args,
            requested_by=by,
            priority=MediaJob.Priority.LOW,
            total=steps,
            unit="steps",
        )
        if is_new:
            audit.note(f"{deed.name.lower()}_requested", topic=topic, by=by, facts=args)
    return job, is_new


_KNOWS: dict[Deed, tuple[str, ...]] = {
    Deed.VERIFY: ("deep",),
    Deed.REPAIR: ("deep",),
    Deed.CLEAN_UP: ("dry_run",),
}
_WORDS = {"deep": "to the last byte", "dry_run": "(rehearsal)"}
