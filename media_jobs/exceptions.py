"""What work can end with, and the codes that stand for it.

JobError
├── WorkFailed          the work says why; retry_in_s says whether trying again can help
├── WorkCancelled       somebody asked for it to stop
├── WaitForOthers       to be claimed again once other jobs have ended
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
    """The work cannot be done."""

    def __init__(self, message: str, *, code: str = "failed", retry_in_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_in_s = retry_in_s


class WorkCancelled(JobError):
    """The work was cancelled."""

    code = "cancelled"


class WaitForOthers(JobError):
    """The work goes on when other jobs have ended."""

    code = "waiting"

    def __init__(self, jobs: Sequence[MediaJob]) -> None:
        super().__init__()
        self.jobs = jobs


class StorageError(JobError):
    """The storage refused the file."""

    code = "storage_error"


class StorageFull(StorageError):
    """The disk is full."""

    code = "disk_full"


class StorageUnwritable(StorageError):
    """The media folder cannot be written."""

    code = "storage_unwritable"
