import resource
import stat

import pytest
from django.core.files.storage import default_storage

from media_jobs import files
from media_jobs.exceptions import StorageError, StorageFull, StorageUnwritable


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
