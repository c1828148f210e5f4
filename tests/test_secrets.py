import os
import stat
import subprocess
import sys
import threading

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from timelapser.secrets import HIDDEN, SecretFilter, key_from, passwords_in

drop_secrets = SecretFilter()


def test_key_is_made_once_for_the_owner_only(tmp_path):
    file = tmp_path / "deep" / "key"

    key = key_from(file)

    Fernet(key)
    assert key_from(file) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["key"]


def test_key_that_many_make_at_once_is_one_key(tmp_path):
    program = "import sys, pathlib; from timelapser.secrets import key_from; print(key_from(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", program, str(tmp_path / "key")]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]

    found = {child.communicate(timeout=60)[0] for child in children}

    assert len(found) == 1
    assert found.pop().strip() == (tmp_path / "key").read_text()


def test_threads_that_make_a_key_at_once_have_one_key(tmp_path):
    gate, found = threading.Barrier(8), []

    def make():
        gate.wait()
        found.append(key_from(tmp_path / "key"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1


def test_key_that_cannot_be_read_or_written_says_where(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()

    for place in (tmp_path / "file" / "key", tmp_path / "folder"):
        with pytest.raises(ImproperlyConfigured, match=str(place)):
            key_from(place)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("rtsp://user:secret@cam/1", f"rtsp://{HIDDEN}@cam/1"),
        ("rtsp://user:se@cr@et@cam/1", f"rtsp://{HIDDEN}@cam/1"),
        ("rtsp://user:se/cret@cam/1", f"rtsp://{HIDDEN}@cam/1"),
        ("http://token-secret@cam", f"http://{HIDDEN}@cam"),
        ("failed for RTSPS://u:secret@h and x", f"failed for RTSPS://{HIDDEN}@h and x"),
        ("http://cam/path without login", "http://cam/path without login"),
        ("mail to a@b.org", "mail to a@b.org"),
        ("http://cam/a.cgi?user=eve&pwd=hunter2&ch=1", f"http://cam/a.cgi?user=eve&pwd={HIDDEN}&ch=1"),
        ("http://cam/?loginuse=eve&loginpas=hunter2", f"http://cam/?loginuse=eve&loginpas={HIDDEN}"),
        ("?AUTH=abc&sessiontoken=x.y", f"?AUTH={HIDDEN}&sessiontoken={HIDDEN}"),
        ("wrong password=hunter2, again", f"wrong password={HIDDEN}, again"),
        ("{'password': 'hunter two', 'n': 1}", f"{{'password': {HIDDEN}, 'n': 1}}"),
        ('{"api_key": "hunter two"}', f'{{"api_key": {HIDDEN}}}'),
        ("Authorization: Digest username=eve, response=ab", f"Authorization: {HIDDEN}"),
        ("compass: north, bypassed=1", "compass: north, bypassed=1"),
        ("The password is wrong.", "The password is wrong."),
    ],
)
def test_logins_in_addresses_are_hidden(line, kept):
    assert drop_secrets(None, "info", {"event": line})["event"] == kept


@pytest.mark.parametrize(
    "name", ["password", "PASSWD", "sealed_password", "api_key", "Authorization", "cookie"]
)
def test_values_are_hidden_by_their_name(name):
    assert drop_secrets(None, "info", {name: "secret", "n": 1}) == {name: HIDDEN, "n": 1}


def test_secrets_are_hidden_at_any_depth():
    deep = {"x": "rtsp://u:geheim@h"}
    for _ in range(50):
        deep = {"in": [deep]}
    line = {
        "args": {"camera": 1, "sealed_password": "geheim", "tried": [("http://u:geheim@h/", b"pwd=geheim")]},
        "error": ValueError("no answer from http://cam/?pwd=geheim"),
        "deep": deep,
    }

    found = drop_secrets(None, "info", line)

    assert "geheim" not in repr(found)
    assert found["args"]["camera"] == 1
    assert repr(found).count(HIDDEN) >= 4


def test_known_secrets_are_hidden_wherever_they_stand():
    known = passwords_in("postgresql://u:pass%40word1@h/d", "redis://:short@h", "unix:///a.sock")
    assert sorted(known) == ["pass%40word1", "pass@word1", "short"]

    found = SecretFilter(tuple(known))(None, "info", {"event": "key pass@word1 of pass%40word1, short"})

    assert found["event"] == f"key {HIDDEN} of {HIDDEN}, short"


def test_log_lines_of_the_running_system_hide_secrets(tmp_path):
    program = (
        "import django, logging, structlog; django.setup();"
        "structlog.get_logger('a').warning('x', password='geheim1', address='rtsp://u:geheim2@h/1');"
        "logging.getLogger('b').warning('cannot open rtsp://u:geheim3@h/1');"
        "logging.getLogger('b').warning('%s', {'args': ['?pwd=geheim4', 'geheim5-long-enough']})"
    )
    given = os.environ | {
        "TIMELAPSER_SECRET_KEY": "geheim5-long-enough",
        "DJANGO_SETTINGS_MODULE": "timelapser.settings",
        "TIMELAPSER_DATA": str(tmp_path),
    }

    child = subprocess.run(
        [sys.executable, "-c", program], env=given, capture_output=True, text=True, timeout=60
    )

    assert child.returncode == 0, child.stderr
    output = child.stdout + child.stderr
    assert output.count(HIDDEN) == 5
    assert "geheim" not in output
