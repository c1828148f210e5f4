"""The files of a film's revisions: where they lie, and how long a superseded one stays for those who watch it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from media_jobs import files
from videos.models import Video

# A player asks for the next part of what it plays every few seconds, and a following film may have a new revision as
# often: the one before alone would be gone within two pictures.
KEEP = timedelta(seconds=60)
# So that a long film that is renewed every two seconds does not lie on the disk thirty times.
ROOM_BYTES = 256 * 2**20


def revision_file(video: Video, revision: int, suffix: str) -> str:
    """Where a revision's film (mp4) or poster (jpg) lies, relative to the media folder."""
    return f"{folder_of(video)}/{revision:08d}.{suffix}"


def folder_of(video: Video) -> str:
    """The folder of all revisions, relative to the media folder."""
    return f"cameras/{video.timelapse.camera_id}/timelapses/{video.timelapse_id}/videos/{video.pk}"


def take_number(video: Video) -> int:
    """A revision's number that nobody else has: two renders never write the same file. Not every one is published."""
    mine = Video.objects.filter(pk=video.pk)
    while True:
        last = mine.values_list("last_revision", "revision").first()
        if last is None:
            return video.revision + 1  # discarded meanwhile: nothing will be published
        if mine.filter(last_revision=last[0]).update(last_revision=max(last) + 1):
            return max(last) + 1


def with_current(video: Video, now: datetime) -> list[dict[str, Any]]:
    """What is superseded once the next revision is published at `now`, newest first."""
    if not video.revision:
        return []
    current = {"revision": video.revision, "bytes": video.bytes, "at": now.isoformat()}
    return still_kept([current, *video.superseded], now)


def still_kept(superseded: Sequence[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """Of superseded revisions, newest first, those that stay: the one before, and younger ones while there is room."""
    kept, room = list(superseded[:1]), ROOM_BYTES
    for each in superseded[1:]:
        room -= each["bytes"]
        if room < 0 or datetime.fromisoformat(each["at"]) <= now - KEEP:
            break
        kept.append(each)
    return kept


def delete_others(video: Video) -> None:
    """Deletes the files of older revisions that are not kept, also of those that a killed worker left."""
    kept = {each["revision"] for each in video.superseded}
    folder = folder_of(video)
    for name in files.names_in(folder):
        number = name.partition(".")[0]
        if number.isdecimal() and int(number) < video.revision and int(number) not in kept:
            files.delete(f"{folder}/{name}")


def tidy(now: datetime) -> None:
    """Deletes what was kept for viewers of films that are not renewed any more."""
    for video in Video.objects.filter(revision__gt=1).select_related("timelapse"):
        kept = still_kept(video.superseded, now)
        if len(kept) == len(video.superseded):
            continue
        # Only where no newer one was published meanwhile: its publication has done the same.
        if Video.objects.filter(pk=video.pk, revision=video.revision).update(superseded=kept):
            video.superseded = kept
            delete_others(video)
