"""WHAT a job's work is: one entry for each kind, made by the decorator in the apps' tasks.py."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.module_loading import autodiscover_modules

from media_jobs.exceptions import UnknownKind

if TYPE_CHECKING:
    from media_jobs.models import MediaJob
    from media_jobs.tracked import Running

Work = Callable[["Running"], dict[str, Any]]
Again = Callable[["MediaJob", str], "MediaJob"]
JITTER = 0.25  # those that failed together do not come back together

_kinds: dict[str, Kind] = {}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of work, and what is promised about it.

    `retries_s`: seconds until each further try after a failure that may pass. `limit_s`: longer than that nobody
    believes a worker that it still works at one. `is_part`: it belongs to a job that was let in already. `again` asks
    for an ended job once more, for the person named, where more than the job belongs to the wish; raises NotRepeatable.
    """

    name: str
    work: Work
    retries_s: tuple[int, ...]
    limit_s: float
    is_part: bool
    again: Again | None = None

    @property
    def max_attempts(self) -> int:
        return 1 + len(self.retries_s)

    def retry_in_s(self, failures: int, *, chance: float) -> float:
        """Seconds until the next try after so many `failures` (1 or more); `chance` lies in [0, 1)."""
        wait_s = self.retries_s[min(failures, len(self.retries_s)) - 1] if self.retries_s else 0
        return wait_s * (1 + JITTER * chance)


def kind(
    name: str,
    *,
    retries_s: tuple[int, ...] = (),
    limit_s: float,
    is_part: bool = False,
    again: Again | None = None,
) -> Callable[[Work], Work]:
    """Makes the decorated function the work of the jobs of this name."""

    def register(work: Work) -> Work:
        _kinds[name] = Kind(name, work, retries_s, limit_s, is_part, again)
        return work

    return register


def of(name: str) -> Kind:
    """Raises UnknownKind: the job was recorded by another release."""
    every()
    try:
        return _kinds[name]
    except KeyError:
        raise UnknownKind(name) from None


def every() -> dict[str, Kind]:
    """All kinds by their names."""
    _load()
    return _kinds


@functools.cache
def _load() -> None:
    # At the first question, not at the start: beat never asks, and needs nobody's domain in its memory.
    autodiscover_modules("tasks")
