"""What a killed process had in the making is found and removed; what is being made is not."""

import os
import subprocess
import sys
import time

import pytest

from media_jobs import files
from media_jobs.exceptions import StorageError
from tests.stack import wait_for

DIES_IN_THE_MAKING = """
import os, signal, sys, django
django.setup()
from media_jobs import files
with files.workshop() as folder:
    (folder / "film.mp4").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_leftovers_of_a_killed_process_are_removed_and_others_stay(settings):
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "timelapser.settings",
        "TIMELAPSER_MEDIA": str(settings.MEDIA_ROOT),
    }
    subprocess.run([sys.executable, "-c", DIES_IN_THE_MAKING], env=environment, check=False, timeout=60)
    making = settings.MEDIA_ROOT / files.MAKING
    elsewhere = making / "1@another-machine.4026531836-abc"
    elsewhere.mkdir()
    assert len(list(making.iterdir())) == 2
    with files.workshop() as mine:
        cleared = files.clear_leftovers(before=time.time() - 3600)
        assert cleared == 1
        assert set(making.iterdir()) == {elsewhere, mine}


def test_leftovers_of_other_machines_go_when_they_are_old(settings):
    elsewhere = settings.MEDIA_ROOT / files.MAKING / "1@another-machine.4026531836-abc"
    elsewhere.mkdir(parents=True)
    (elsewhere / "film.mp4").write_bytes(b"half")
    assert files.clear_leftovers(before=elsewhere.stat().st_mtime - 1) == 0
    wait_for(lambda: time.time() > elsewhere.stat().st_mtime, within_s=5, what="the clock to tick")
    assert files.clear_leftovers(before=time.time()) == 1
    assert not elsewhere.exists()


def test_written_file_is_whole_readable_and_leaves_nothing_in_the_making(settings):
    files.write("cameras/1/picture.jpg", b"x" * 100_000)
    target = settings.MEDIA_ROOT / "cameras/1/picture.jpg"
    assert target.read_bytes() == b"x" * 100_000
    assert target.stat().st_mode & 0o777 == 0o644
    assert list((settings.MEDIA_ROOT / files.MAKING).iterdir()) == []


def test_write_that_fails_leaves_nothing_in_the_making(settings):
    (settings.MEDIA_ROOT / "cameras").mkdir(parents=True)
    (settings.MEDIA_ROOT / "cameras/1").write_bytes(b"a file where a folder should be")
    with pytest.raises(StorageError):
        files.write("cameras/1/picture.jpg", b"x")
    assert [path.name for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()] == ["1"]
