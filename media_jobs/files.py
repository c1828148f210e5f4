"""Files appear whole or not at all: written on the same disk, flushed, renamed.

What is in the making lies in one folder, so that what a killed process left there is found without a search.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage, default_storage

from media_jobs.exceptions import StorageError, StorageFull, StorageUnwritable, WorkCancelled

MAKING = ".making"
COPY_BYTES = 1 << 20


class AtomicFileSystemStorage(FileSystemStorage):
    """A folder whose files are never half there. An existing file of the same name is replaced."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name

    def _save(self, name: str, content: File) -> str:
        target = Path(self.path(name))
        part: Path | None = None
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, draft = tempfile.mkstemp(prefix=_mark(), dir=_making(Path(self.location)))
            part = Path(draft)
            with os.fdopen(handle, "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fchmod(file.fileno(), self.file_permissions_mode or 0o644)
                os.fsync(file.fileno())
            publish(part, target)
        except OSError as error:
            raise storage_error(error) from error
        finally:
            if part is not None:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
        return name


def clear_leftovers(before: float) -> int:
    """Removes what processes of this machine that are no more had in the making, and what is older than `before`.

    `before` in seconds since 1970; other machines that share the folder clear up behind themselves. Returns how many.
    """
    cleared = 0
    for path in _left_over(before):
        with suppress(OSError):  # finished meanwhile
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            cleared += 1
    return cleared


def leftovers(before: float) -> list[tuple[str, int]]:
    """What `clear_leftovers` would remove: stored names and bytes, those of a folder together."""
    found = []
    for path in _left_over(before):
        with suppress(OSError):
            members = path.rglob("*") if path.is_dir() else [path]
            size = sum(member.stat().st_size for member in members if member.is_file())
            found.append((f"{MAKING}/{path.name}", size))
    return sorted(found)


def _left_over(before: float) -> Iterator[Path]:
    root = local_folder()
    if root is None or not (root / MAKING).is_dir():
        return
    for path in (root / MAKING).iterdir():
        with suppress(OSError):  # finished meanwhile
            if _is_abandoned(path.name) or path.stat().st_mtime < before:
                yield path


def _making(root: Path) -> Path:
    folder = root / MAKING
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _mark() -> str:
    return f"{os.getpid()}@{_machine()}-"


def _machine() -> str:
    """Where a process id means one process: containers may share a host's name and not its processes."""
    try:
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        namespace = 0
    return f"{socket.gethostname()}.{namespace}"


def _is_abandoned(name: str) -> bool:
    pid, _, rest = name.partition("@")
    if not pid.isdigit() or not rest.startswith(f"{_machine()}-"):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it lives, as somebody else's
    return False


def publish(part: Path, target: Path) -> None:
    """Renames `part` to `target` and makes the rename last."""
    part.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def storage_error(error: OSError) -> StorageError:
    """What `error` means for the person who owns the disk."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return StorageFull()
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT}:
        return StorageUnwritable()
    return StorageError(f"The storage refused the file: {error.strerror}.")


def require_space(storage: Storage = default_storage) -> None:
    """Raises StorageFull where less than the configured room is left; storages without a folder have room."""
    folder = local_folder(storage)
    if folder is None:
        return
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < settings.MIN_FREE_BYTES:
        raise StorageFull(
            f"The disk is full: {free // 2**20} MB are free, {settings.MIN_FREE_BYTES // 2**20} MB are kept free."
        )


def local_folder(storage: Storage = default_storage) -> Path | None:
    try:
        return Path(storage.path(""))
    except NotImplementedError:
        return None


def write(name: str, data: bytes) -> None:
    """Stores `data` under `name`, whole. Raises StorageError."""
    default_storage.save(name, ContentFile(data))


def read(name: str) -> bytes:
    """The whole content. Raises OSError where there is no such file."""
    with default_storage.open(name, "rb") as file:
        data: bytes = file.read()
    return data


def delete(*names: str) -> None:
    """Removes what is there; what is gone already does not matter."""
    for name in names:
        if name:
            default_storage.delete(name)


def exists(name: str) -> bool:
    found: bool = default_storage.exists(name)
    return found


def size(name: str) -> int | None:
    """Bytes of a stored file, None where it is gone."""
    try:
        found: int = default_storage.size(name)
    except OSError:
        return None
    return found


def names_in(folder: str) -> list[str]:
    """The names of the files in a stored folder; none where there is no such folder."""
    return sorted(_listed(folder)[1])


def delete_folder(name: str) -> None:
    """Removes a folder with all that is in it; one that is gone already does not matter."""
    folders, members = _listed(name)
    for member in members:
        default_storage.delete(f"{name}/{member}")
    for folder in folders:
        delete_folder(f"{name}/{folder}")
    default_storage.delete(name)


def _listed(folder: str) -> tuple[list[str], list[str]]:
    """Folders and files. It is not asked first whether it exists: where names only share a beginning, none does."""
    try:
        found: tuple[list[str], list[str]] = default_storage.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    return found


@contextmanager
def workshop() -> Iterator[Path]:
    """A private folder for files in the making, on the storage's own disk where it has one; emptied afterwards.

    Raises StorageError.
    """
    root = local_folder()
    try:
        folder = tempfile.mkdtemp(prefix=_mark(), dir=None if root is None else _making(root))
    except OSError as error:
        raise storage_error(error) from error
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def adopt(file: Path, name: str) -> None:
    """Makes a finished local file the stored file `name`. Raises StorageError."""
    root = local_folder()
    if root is None:
        with file.open("rb") as content:
            default_storage.save(name, File(content))
        return
    target = root / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        publish(file, target)
    except OSError as error:
        raise storage_error(error) from error


@contextmanager
def local_copies(
    names: list[str], folder: Path, *, should_stop: Callable[[], bool] = lambda: False
) -> Iterator[list[Path]]:
    """Local paths of stored files: the files themselves, or copies in `folder` where the storage is far away.

    `should_stop` is asked for each MiB that is copied. Raises OSError where one is missing, WorkCancelled.
    """
    root = local_folder()
    if root is not None:
        yield [root / name for name in names]
        return
    copies = []
    for number, name in enumerate(names):
        copy = folder / f"{number:06d}{Path(name).suffix}"
        with default_storage.open(name, "rb") as there, copy.open("wb") as here:
            while chunk := there.read(COPY_BYTES):
                if should_stop():
                    raise WorkCancelled
                here.write(chunk)
        copies.append(copy)
    yield copies
