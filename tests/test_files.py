import resource
import stat
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from django.core.files import File
from django.core.files.storage import Storage, default_storage

from media_jobs import files, housekeeping
from media_jobs.exceptions import StorageError, StorageFull, StorageUnwritable, WorkCancelled


def everything_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_written_file_is_whole_and_replaced_whole(settings):
    for data in (b"first", b"second" * 100_000, b""):
        files.write("a/b/c.bin", data)
        assert files.read("a/b/c.bin") == data
        assert files.size("a/b/c.bin") == len(data)
    assert everything_in(settings.MEDIA_ROOT) == ["c.bin"]
    assert stat.S_IMODE((settings.MEDIA_ROOT / "a/b/c.bin").stat().st_mode) == 0o644


def test_disk_that_fills_up_in_the_middle_leaves_the_old_file_and_no_part(settings):
    files.write("a/c.bin", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # writing more fails as on a full disk
    try:
        with pytest.raises(StorageFull):
            files.write("a/c.bin", bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert files.read("a/c.bin") == b"old"
    assert everything_in(settings.MEDIA_ROOT) == ["c.bin"]


def test_file_where_a_folder_should_be(settings):
    files.write("a", b"x")
    with pytest.raises(StorageUnwritable):
        files.write("a/b/c", b"y")
    with pytest.raises(StorageError):
        files.write("a/c", b"y")
    assert everything_in(settings.MEDIA_ROOT) == ["a"]


def test_require_space(settings):
    settings.MIN_FREE_BYTES = 0
    files.require_space()
    settings.MIN_FREE_BYTES = 2**60
    with pytest.raises(StorageFull, match="are kept free"):
        files.require_space()


def test_workshop_is_emptied_whatever_happens(settings):
    with files.workshop() as folder:
        (folder / "film.mp4").write_bytes(b"film")
        files.adopt(folder / "film.mp4", "v/film.mp4")
        (folder / "left").write_bytes(b"x")
    with pytest.raises(ZeroDivisionError), files.workshop() as folder:
        (folder / "part").write_bytes(bytes(1 // 0))

    assert files.read("v/film.mp4") == b"film"
    assert everything_in(settings.MEDIA_ROOT) == ["film.mp4"]


def test_delete_of_what_is_gone_does_not_matter():
    files.write("a/b/c", b"x")
    files.delete("a/b/c", "a/b/c", "", "nothing")
    files.write("a/b/d", b"x")
    files.delete_folder("a")
    files.delete_folder("a")

    assert not default_storage.exists("a")
    assert not files.exists("a/b/d")
    assert files.size("a/b/d") is None


def test_names_outside_of_the_folder_are_refused():
    from django.core.exceptions import SuspiciousOperation

    for name in ("../x", "a/../../x", "/etc/x"):
        with pytest.raises(SuspiciousOperation):
            files.write(name, b"x")


class PrefixStorage(Storage):
    """As S3: names that may share a beginning, and no folders."""

    def __init__(self):
        self.content = {}

    def _open(self, name, mode="rb"):
        if name not in self.content:
            raise FileNotFoundError(name)
        return File(BytesIO(self.content[name]), name)

    def _save(self, name, content):
        self.content[name] = content.read()
        return name

    def delete(self, name):
        self.content.pop(name, None)

    def exists(self, name):
        return name in self.content

    def listdir(self, path):
        rests = [name[len(path) + 1 :] for name in self.content if name.startswith(f"{path}/")]
        folders = {rest.split("/")[0] for rest in rests if "/" in rest}
        return sorted(folders), [rest for rest in rests if "/" not in rest]

    def size(self, name):
        return len(self.content[name])

    def get_modified_time(self, name):
        return datetime.now(UTC)


@pytest.fixture
def far_storage(settings):
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": "tests.test_files.PrefixStorage"}}
    assert default_storage.exists("a") is False  # it is made now
    return default_storage


def test_folders_of_a_storage_that_knows_none_are_listed_and_deleted(far_storage):
    for name in ("a/2", "a/1", "a/b/c", "ab"):
        files.write(name, b"x")

    assert (files.names_in("a"), files.names_in("a/b"), files.names_in("nothing")) == (["1", "2"], ["c"], [])
    files.delete_folder("a")
    files.delete_folder("nothing")
    assert list(far_storage.content) == ["ab"]


def test_names_in_what_is_no_folder_are_none():
    files.write("a", b"x")
    assert (files.names_in("a"), files.names_in("nothing")) == ([], [])


@pytest.mark.django_db
def test_old_previews_of_a_storage_that_knows_no_folders_go(far_storage):
    files.write(f"{housekeeping.PREVIEWS}/1.jpg", b"x")

    housekeeping.prune(datetime.now(UTC))
    assert files.exists(f"{housekeeping.PREVIEWS}/1.jpg")
    housekeeping.prune(datetime.now(UTC) + housekeeping.KEEP_PREVIEWS + timedelta(minutes=1))
    assert not files.exists(f"{housekeeping.PREVIEWS}/1.jpg")


def test_copies_of_far_files_are_whole_and_can_be_stopped(far_storage, tmp_path):
    data = bytes(range(256)) * 20_000
    files.write("a/1.mp4", data)
    files.write("a/2.mp4", b"two")
    with files.local_copies(["a/1.mp4", "a/2.mp4"], tmp_path) as copies:
        assert [copy.read_bytes() for copy in copies] == [data, b"two"]
        assert [copy.suffix for copy in copies] == [".mp4", ".mp4"]

    asked = []

    def should_stop():
        asked.append(True)
        return len(asked) > 2

    with (
        pytest.raises(WorkCancelled),
        files.local_copies(["a/1.mp4", "a/2.mp4"], tmp_path, should_stop=should_stop),
    ):
        pass
    with pytest.raises(FileNotFoundError), files.local_copies(["a/3.mp4"], tmp_path):
        pass
