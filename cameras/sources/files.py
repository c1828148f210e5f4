"""A picture from a file, or the newest one of a folder that something else (FTP upload, sync) fills."""

import os
import stat
from pathlib import Path

from cameras.sources.addresses import validate_path
from cameras.sources.contract import Source, Still
from cameras.sources.deadline import Deadline, call_within
from cameras.sources.errors import BrokenPicture, NotAPicture, NotFound, TooLarge, Unreachable
from cameras.sources.pictures import read_picture_facts

ENDINGS = frozenset({".jpg", ".jpeg", ".jpe", ".png"})


class FilesSource(Source):
    def read(self) -> Still:
        deadline = Deadline(self.settings.deadline_s)
        # Network drives can hang in the kernel, where nothing ends them: a thread that can be left behind.
        encoded = call_within(deadline, self._read_file)
        if not encoded:
            raise BrokenPicture("The file is empty; it may just be being written.")
        facts = read_picture_facts(encoded)
        return Still(encoded, None, facts.width, facts.height, facts.codec, deadline.elapsed_s())

    def _read_file(self) -> bytes:
        try:
            path = validate_path(self.settings.address, self.settings.folders)
            if path.is_dir():
                path = validate_path(str(_newest_picture(path)), self.settings.folders)
            return _read_regular(path, self.settings.max_bytes)
        except FileNotFoundError:
            raise NotFound("There is no such file or folder.") from None
        except PermissionError:
            raise Unreachable("The system does not let this program read there.") from None
        except OSError:
            raise Unreachable("The file cannot be read.") from None


def _newest_picture(folder: Path) -> Path:
    """By time of change, then by name; hidden files are those that uploads have not finished."""
    newest: tuple[int, str] | None = None
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or Path(entry.name).suffix.lower() not in ENDINGS:
                continue
            try:
                found = (entry.stat().st_mtime_ns, entry.name)
            except FileNotFoundError:  # taken away while we look
                continue
            newest = max(newest, found) if newest else found
    if newest is None:
        raise NotFound("There is no JPEG or PNG picture in the folder.")
    return folder / newest[1]


def _read_regular(path: Path, max_bytes: int) -> bytes:
    # O_NONBLOCK: a named pipe must not hold the opening up.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123 - of a descriptor
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise NotAPicture("This is not an ordinary file.")
        if facts.st_size > max_bytes:
            raise TooLarge
        return file.read(max_bytes + 1)
