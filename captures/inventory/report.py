"""What was found and what was done about it: counts, bytes and examples, of each timelapse and in total."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

EXAMPLES = 5  # of each fault
MOST_TIMELAPSES = 200  # that are told one by one


class Shelf(StrEnum):
    """Which of a capture's files."""

    FRAME = "frame"
    THUMBNAIL = "thumbnail"
    SMALL = "small"
    ORIGINAL = "original"
    DISCARDED = "discarded"  # in the quarantine
    MAKING = "making"
    SET_ASIDE = "set_aside"  # by a repair


class Trouble(StrEnum):
    """What is wrong with one file, or with its row; of several the first in this order."""

    ABSENT = "absent"  # the row names none, and one is wanted
    MISSING = "missing"  # the row names one that is not there
    UNREADABLE = "unreadable"  # it may be there: the disk says neither yes nor no
    EMPTY = "empty"
    UNDECODABLE = "undecodable"
    WRONG_SIZE = "wrong_size"  # in pixels, against the row or the settings
    WRONG_BYTES = "wrong_bytes"
    WRONG_CHECKSUM = "wrong_checksum"
    UNWANTED = "unwanted"  # the settings do not want it any more
    ORPHAN = "orphan"  # no row names it
    LEFTOVER = "leftover"  # begun and never finished


WORDS: dict[Trouble, str] = {
    Trouble.ABSENT: "not made yet",
    Trouble.MISSING: "file missing",
    Trouble.UNREADABLE: "cannot be read",
    Trouble.EMPTY: "file empty",
    Trouble.UNDECODABLE: "cannot be decoded",
    Trouble.WRONG_SIZE: "wrong size in pixels",
    Trouble.WRONG_BYTES: "wrong length",
    Trouble.WRONG_CHECKSUM: "other content than was stored",
    Trouble.UNWANTED: "not wanted any more",
    Trouble.ORPHAN: "file without a row",
    Trouble.LEFTOVER: "never finished",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `bytes` are those on the disk; `timelapse` is None where nobody knows whose it is."""

    shelf: Shelf
    trouble: Trouble
    file: str
    timelapse: int | None = None
    capture: int | None = None
    bytes: int = 0

    @property
    def key(self) -> str:
        return f"{self.shelf}.{self.trouble}"


@dataclass(slots=True)
class Report:
    """Grows while the walk goes on. Bounded: examples and timelapses are cut off, and it says so."""

    rows: int = 0
    files: int = 0
    young: int = 0  # files without a row that are too new to be judged
    faults: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    timelapses: dict[str, dict[str, int]] = field(default_factory=dict)
    untold: Counter[str] = field(default_factory=Counter)  # faults of the timelapses beyond MOST_TIMELAPSES
    actions: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return sum(self.faults.values())

    def add(self, finding: Finding) -> None:
        key = finding.key
        self.faults[key] += 1
        self.bytes[key] += finding.bytes
        shown = self.examples.setdefault(key, [])
        if len(shown) < EXAMPLES:
            shown.append({"file": finding.file, "capture": finding.capture, "timelapse": finding.timelapse})
        whose = str(finding.timelapse or "")
        if whose in self.timelapses or len(self.timelapses) < MOST_TIMELAPSES:
            own = self.timelapses.setdefault(whose, {})
            own[key] = own.get(key, 0) + 1
        else:
            self.untold[key] += 1

    def did(self, action: str, times: int = 1) -> None:
        self.actions[action] += times

    def to_document(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "files": self.files,
            "young": self.young,
            "total": self.total,
            "faults": dict(sorted(self.faults.items())),
            "bytes": {key: size for key, size in sorted(self.bytes.items()) if size},
            "examples": self.examples,
            "timelapses": self.timelapses,
            "untold": dict(self.untold),
            "actions": dict(sorted(self.actions.items())),
        }

    @classmethod
    def of(cls, document: dict[str, Any] | None) -> Report:
        if not document:
            return cls()
        return cls(
            rows=document["rows"],
            files=document["files"],
            young=document["young"],
            faults=Counter(document["faults"]),
            bytes=Counter(document["bytes"]),
            examples=document["examples"],
            timelapses=document["timelapses"],
            untold=Counter(document["untold"]),
            actions=Counter(document["actions"]),
        )
