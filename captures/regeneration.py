"""Derived pictures of many captures: made, made again, or removed, by one job that goes on where it was."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from captures.derivatives import derive, drop_smalls, newest_of, wanted_of
from captures.imaging.errors import BrokenPicture
from captures.models import Capture
from captures.stretches import STORED, Place, pages
from media_jobs.tracked import Running

SHOWN_FAILURES = 10


@dataclass(slots=True)
class Tally:
    """What has become of the pictures so far; `examples` are the last failures with their reasons."""

    made: int = 0
    kept: int = 0
    failed: int = 0
    bytes: int = 0
    elapsed_ms: float = 0
    examples: list[dict[str, Any]] = field(default_factory=list)

    def fail(self, capture: Capture, reason: str) -> None:
        self.failed += 1
        example = {"capture": capture.pk, "timelapse": capture.timelapse_id, "reason": reason}
        self.examples = [*self.examples, example][-SHOWN_FAILURES:]

    def to_document(self) -> dict[str, Any]:
        average = self.elapsed_ms / self.made if self.made else None
        return asdict(self) | {"average_ms": None if average is None else round(average, 1)}

    @classmethod
    def of(cls, document: dict[str, Any] | None) -> Tally:
        values = dict(document or {})
        values.pop("average_ms", None)
        return cls(**values)


def make_many(running: Running) -> dict[str, Any]:
    """Makes what is missing, or all `again`; goes on where it was, whoever did it before."""
    again = bool(running.args["again"])
    memory = running.job.result
    place, tally = Place.of(memory.get("place")), Tally.of(memory.get("tally"))
    done, total = running.job.progress_done, running.job.progress_total
    for timelapse, captures in pages(running.args["timelapse"], place, STORED):
        wanted, newest_id = wanted_of(timelapse), newest_of(timelapse.pk)
        for capture in captures:
            if again or not wanted.has_all(capture, newest_id):
                began = time.monotonic()
                try:
                    made = derive(capture, wanted, newest_id=newest_id)
                except (BrokenPicture, OSError) as error:
                    tally.fail(capture, str(error) if isinstance(error, BrokenPicture) else "file_missing")
                else:
                    tally.made += made is not None
                    tally.bytes += made.thumbnail_bytes + made.small_bytes if made else 0
                    tally.elapsed_ms += (time.monotonic() - began) * 1000
            else:
                tally.kept += 1
            done += 1
            place.reach(capture)
            running.go_on(
                done,
                max(done, total),
                lambda: {"place": place.to_document(), "tally": tally.to_document()},
            )
    return tally.to_document()


def purge(running: Running) -> dict[str, Any]:
    """Deletes the small pictures of a completed timelapse; of one that must keep them, nothing."""
    place, removed = Place.of(running.job.result.get("place")), int(running.job.result.get("removed", 0))
    done, total = running.job.progress_done, running.job.progress_total
    for timelapse, captures in pages(running.args["timelapse"], place, STORED):
        if wanted_of(timelapse).small is not None:
            break
        removed += drop_smalls(captures).files
        done += len(captures)
        place.reach(captures[-1])
        memory = {"place": place.to_document(), "removed": removed}
        running.go_on(done, max(done, total), partial(dict, memory))
    return {"removed": removed}
