"""What work can end with, and the codes that stand for it.

JobError
├── WorkFailed          the work says why; is_passing says whether trying again can help
├── WorkCancelled       somebody asked for it to stop
├── WaitForOthers       to be claimed again once other jobs have ended
├── TurnPassed          long work has noted where it is, and lets others go first
├── UnknownKind         recorded by a release that knows more kinds of work
├── NotRepeatable       an ended job that cannot be asked for once more
├── TooManyWaiting      not let in: enough of its kind wait already
└── StorageError        what a disk answers
    ├── StorageFull
    └── StorageUnwritable
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from media_jobs.models import MediaJob


class JobError(Exception):
    """Something is wrong with a job."""

    code = "job_error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class WorkFailed(JobError):
    """The work cannot be done. `is_passing`: trying again later can help; when, the kind says."""

    def __init__(self, message: str, *, code: str = "failed", is_passing: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.is_passing = is_passing


class WorkCancelled(JobError):
    """The work was cancelled."""

    code = "cancelled"


class WaitForOthers(JobError):
    """The work goes on when other jobs have ended."""

    code = "waiting"

    def __init__(self, jobs: Sequence[MediaJob]) -> None:
        super().__init__()
        self.jobs = jobs


class TurnPassed(JobError):
    """The work goes on from where it is when it is its turn again."""

    code = "turn_passed"


class UnknownKind(JobError):
    """A job of a kind that this release does not know."""

    code = "unknown_kind"


class NotRepeatable(JobError):
    """It went well: there is nothing to try again."""

    code = "not_repeatable"


class TooManyWaiting(JobError):
    """Enough of this kind of work is waiting already; try again later."""

    code = "too_many_waiting"

    def __init__(self, message: str, *, wait: float) -> None:
        super().__init__(message)
        self.wait = wait  # seconds; the API's Retry-After


class StorageError(JobError):
    """The storage refused the file."""

    code = "storage_error"


class StorageFull(StorageError):
    """The disk is full."""

    code = "disk_full"


class StorageUnwritable(StorageError):
    """The media folder cannot be written."""

    code = "storage_unwritable"
