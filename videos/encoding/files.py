"""A file appears whole or not at all: written beside, synchronised, renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from videos.encoding.errors import DISK_FULL_ERRNOS, DiskFull

PART_SUFFIX = ".part"


@contextmanager
def published(out: Path) -> Iterator[Path]:
    """Give the path of a part file beside `out` (`.<name>.<random>.part`); it becomes `out` at a good end.

    If anything is raised the part is removed and `out` is untouched. Raises DiskFull where the system says
    so. A killed process leaves its part behind: whoever cleans up may delete any old `*.part`.
    """
    part = out.with_name(f".{out.name}.{uuid4().hex}{PART_SUFFIX}")
    try:
        yield part
        _synchronise(part)
        part.replace(out)
        _synchronise(out.parent)
    except OSError as error:
        if error.errno in DISK_FULL_ERRNOS:
            raise DiskFull(str(out.parent)) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
