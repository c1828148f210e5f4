"""What an import has done, or would do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of the file. `changed` names its fields, `problems` says by field why it is refused."""

    kind: str
    name: str
    verdict: Verdict
    changed: tuple[str, ...] = ()
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Report:
    """All things of the file, in its order; `is_applied` says whether any of it was done."""

    items: list[Item] = field(default_factory=list)
    is_trial: bool = False
    is_applied: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        found = Counter(item.verdict.value for item in self.items)
        return {verdict.value: found[verdict.value] for verdict in Verdict}

    @property
    def is_refused(self) -> bool:
        return any(item.verdict == Verdict.REFUSED for item in self.items)
