"""What was promised against what is there: counted from the rows, the files and the clocks in the pictures.

The slots owed are calculated here from a timelapse's start and end alone: one each second, whatever the phase.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import av

from tests.evidence import (
    STATES,
    assert_film_is_the_captures,
    assert_pictures_are_whole,
    captures,
    files_in_media,
    files_of_rows,
    unfinished_files,
)
from tests.stack import Stack

SECOND = timedelta(seconds=1)
SHOWN = 5
FRAME = re.compile(r".*/frames/.*_(\d+)(?:-\d+)?\.\w+")


@dataclass(slots=True)
class Verdict:
    """What was found. All of the first five must be empty; each entry says where to look."""

    unexplained: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    lost_jobs: list[str] = field(default_factory=list)
    part_files: list[str] = field(default_factory=list)
    wrong_films: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    ownerless_frames: list[str] = field(default_factory=list)
    owed: int = 0
    states: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def counts(self) -> dict[str, int]:
        """The five that the issue names, in its words."""
        return {
            "slots without a reason": len(self.unexplained),
            "duplicate captures": len(self.doubled),
            "jobs lost": len(self.lost_jobs),
            "part files": len(self.part_files),
            "films whose frames are not the stored captures": len(self.wrong_films),
        }

    @property
    def is_clean(self) -> bool:
        return not any(self.counts.values())

    def table(self) -> str:
        lines = [f"{count:7d}  {name}" for name, count in self.counts.items()]
        lines += [f"{len(self.given_up):7d}  jobs given up with a mark, and done anew"]
        lines += [f"{len(self.ownerless_frames):7d}  frames without a row (a killed worker's last ones)", ""]
        lines += [f"{self.owed:7d}  slots owed"]
        lines += [f"{count:7d}  {state}" for state, count in self.states.most_common()]
        lines += [f"{count:7d}    {reason}" for reason, count in self.reasons.most_common()]
        found = (self.unexplained, self.doubled, self.lost_jobs, self.part_files, self.wrong_films)
        examples = [example for several in found for example in several[:SHOWN]]
        return "\n".join([*lines, *(["", "for example:", *examples] if examples else [])])


def judge(stack: Stack, timelapses: list[int]) -> Verdict:
    """Looks at everything; to be called when the system has come to rest, or should have."""
    verdict = Verdict()
    for timelapse in timelapses:
        _judge_slots(stack, timelapse, verdict)
        _judge_pictures(stack, timelapse, verdict)
    _judge_jobs(stack, verdict)
    films = stack.rows("SELECT * FROM videos_video WHERE follows ORDER BY id")
    verdict.wrong_films += [fault for film in films if (fault := film_fault(stack, film))]
    verdict.part_files += unfinished_files(stack)
    files = files_in_media(stack)
    rows = stack.rows("SELECT id, attempt, file FROM captures_capture")
    verdict.doubled += taken_twice(rows, files)
    ownerless = files - files_of_rows(stack)
    verdict.ownerless_frames += sorted(name for name in ownerless if "/frames/" in name)
    return verdict


def promised(start_at: datetime, end_at: datetime, slots: list[datetime]) -> list[datetime]:
    """Every slot of a one-second grid in [start_at, end_at). Its phase is that of most of `slots`."""
    phases = Counter((slot - start_at) % SECOND for slot in slots)
    phase = phases.most_common(1)[0][0] if phases else timedelta()
    count = -((start_at + phase - end_at) // SECOND)
    return [start_at + phase + number * SECOND for number in range(count)]


def taken_twice(rows: Iterable[dict[str, Any]], files: Iterable[str]) -> list[str]:
    """The captures with more frames in the folder than tries: the row is one by its constraint, pictures are not.

    A try leaves one frame at most. Where a worker was killed between the file and the row the next try leaves another.
    """
    frames = Counter(int(found[1]) for name in files if (found := FRAME.fullmatch(name)))
    return [
        f"capture {row['id']}: {frames[row['id']]} pictures were taken in {row['attempt']} tries"
        for row in rows
        if frames[row["id"]] > row["attempt"]
    ]


def _judge_slots(stack: Stack, timelapse: int, verdict: Verdict) -> None:
    (row,) = stack.rows(
        "SELECT start_at, least(end_at, completed_at) AS end_at, image_count FROM captures_timelapse WHERE id = %s",
        timelapse,
    )
    # What was planned ahead of an end by hand says so, and was not owed.
    found = [
        capture
        for capture in captures(stack, timelapse)
        if capture["slot"] < row["end_at"] or capture["reason"] != "timelapse_ended"
    ]
    owed = promised(row["start_at"], row["end_at"], [capture["slot"] for capture in found])
    by_slot: dict[datetime, list[dict[str, Any]]] = {}
    for capture in found:
        by_slot.setdefault(capture["slot"], []).append(capture)
    name = f"timelapse {timelapse}"
    verdict.owed += len(owed)
    verdict.unexplained += [f"{name}: nothing at {slot}" for slot in owed if slot not in by_slot]
    verdict.doubled += [f"{name}: nothing was owed at {slot}" for slot in sorted(set(by_slot) - set(owed))]
    verdict.doubled += [
        f"{name}: {len(several)} at {slot}" for slot, several in by_slot.items() if len(several) > 1
    ]
    for capture in found:
        verdict.states[capture["state"]] += 1
        is_explained = capture["state"] == "stored" or (capture["reason"] and capture["detail"])
        if capture["state"] not in STATES or not is_explained:
            verdict.unexplained.append(f"{name}: {capture['slot']} is {capture['state']} without a reason")
        if capture["state"] != "stored" and capture["reason"]:
            verdict.reasons[f"{capture['state']}: {capture['reason']}"] += 1
    stored = sum(capture["state"] == "stored" for capture in found)
    if stored != row["image_count"]:
        verdict.doubled.append(f"{name}: {stored} are stored, its counter says {row['image_count']}")


def _judge_jobs(stack: Stack, verdict: Verdict) -> None:
    """Lost is what is still to be done though all is quiet, or was given up and never done by a later job.

    Segments are wanted by films alone, and films are looked at themselves.
    """
    rows = stack.rows(
        "SELECT j.*, task = 'videos.encode_segment' OR EXISTS (SELECT FROM media_jobs_mediajob o WHERE o.state = 'done'"
        " AND o.task = j.task AND o.key = j.key AND o.requested_at > j.requested_at) AS is_done_anew"
        " FROM media_jobs_mediajob j WHERE state <> 'done'"
    )
    for row in rows:
        words = f"job {row['task']} {row['key']} is {row['state']} (attempt {row['attempt']}): {row['error']}"
        has_ended = row["state"] in ("failed", "parked", "cancelled") and row["error"]
        (verdict.given_up if has_ended and row["is_done_anew"] else verdict.lost_jobs).append(words)


def _judge_pictures(stack: Stack, timelapse: int, verdict: Verdict) -> None:
    try:
        assert_pictures_are_whole(stack, timelapse)
    except (AssertionError, OSError) as fault:
        verdict.lost_jobs.append(f"timelapse {timelapse}: a picture is not whole: {fault!r}")


def film_fault(stack: Stack, film: dict[str, Any]) -> str:
    """Why the film does not show the stored captures; empty where it does, or where there is none to show."""
    if film["revision"] == 0:
        (row,) = stack.rows(
            "SELECT count(*) FROM captures_capture WHERE state = 'stored' AND timelapse_id = %s",
            film["timelapse_id"],
        )
        return f"film {film['id']} was never made: {film['state']} {film['error']}" if row["count"] else ""
    try:
        assert_film_is_the_captures(stack, film)
    except (AssertionError, OSError, av.error.FFmpegError) as fault:
        return f"film {film['id']} ({film['state']}, {film['frame_count']} frames): {fault!r}"[:300]
    return ""
