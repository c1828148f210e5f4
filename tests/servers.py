"""A pytest plugin: PostgreSQL, Valkey and keys for the tests, started before Django reads its settings.

Loaded by `-p tests.servers` in pyproject.toml, because pytest-django reads the settings before any conftest.
What the environment names is used: TIMELAPSER_TEST_DATABASE_URL, TIMELAPSER_TEST_REDIS_URL, TIMELAPSER_CHROMIUM,
TIMELAPSER_REAL_MEDIA. TIMELAPSER_TEST_DATABASE=sqlite runs on SQLite. What cannot be had is said at the end of
the run; CI=true makes a failure of that.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from timelapser.embedded import valkey
from timelapser.embedded.guard import end_with_parent
from timelapser.embedded.postgres import NoPostgres, Postgres

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DATABASE_FIXTURES = {"db", "transactional_db", "django_db_reset_sequences", "live_server"}
# The system's Python: the bindings of GStreamer come from Debian and are not in any virtual environment.
SYSTEM_PYTHON = "/usr/bin/python3"

_missing: dict[str, bool] = {}  # what could not be had, and whether CI must have it
_folder = Path(tempfile.mkdtemp(prefix="tltest-"))


def _start_valkey() -> str:
    socket, parent = _folder / "redis.sock", os.getpid()
    process = subprocess.Popen(
        valkey.server_command(valkey.find_binary(), _folder, socket, durable=False),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: end_with_parent(parent),
    )
    atexit.register(_end, process)
    url, deadline = f"unix://{socket}", time.monotonic() + 10
    while not asyncio.run(valkey.answers(url)):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.exit("Valkey did not start for the tests.", returncode=3)
        time.sleep(0.02)
    return url


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _start_database() -> str:
    if os.environ.get("TIMELAPSER_TEST_DATABASE") == "sqlite":
        return _sqlite_url(_folder / "timelapser.sqlite3")
    server = Postgres()
    atexit.register(server.stop)
    try:
        server.start()
    except NoPostgres as reason:
        _missing[f"PostgreSQL could not be started, everything ran on SQLite instead: {reason}"] = True
        return _sqlite_url(_folder / "timelapser.sqlite3")
    return server.url


def _sqlite_url(file: Path) -> str:
    return f"sqlite:///{quote(str(file))}"


def _prepare_environment() -> None:
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
    given = os.environ.get
    wants_sqlite = given("TIMELAPSER_TEST_DATABASE") == "sqlite"
    database_url = (not wants_sqlite and given("TIMELAPSER_TEST_DATABASE_URL")) or _start_database()
    redis_url = given("TIMELAPSER_TEST_REDIS_URL") or _start_valkey()
    for name in [name for name in os.environ if name.startswith("TIMELAPSER_") and "_FILE" in name]:
        del os.environ[name]
    os.environ |= {
        "TIMELAPSER_DATA": str(_folder / "data"),
        "TIMELAPSER_DATABASE_URL": database_url,
        "TIMELAPSER_REDIS_URL": redis_url,
        "TIMELAPSER_SECRET_KEY": "a key for the tests only",
        "TIMELAPSER_SEALING_KEYS": "dGhpcyBrZXkgaXMgZm9yIHRoZSB0ZXN0cyBvbmx5ISE=",
    }
    (_folder / "data").mkdir()


_prepare_environment()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--only-database",
        action="store_true",
        help="only tests that touch the database, without those marked slow or any_database (for the run on SQLite)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: needs Chromium")
    config.addinivalue_line(
        "markers",
        "any_database: asks who may do what, or what is refused; one database is as good as another",
    )
    config.addinivalue_line("markers", "slow: end to end with processes of its own, tens of seconds")


def pytest_sessionstart() -> None:
    from django.conf import settings

    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        # A file as in production, not Django's shared memory: other processes and real locks take part.
        database.setdefault("TEST", {})["NAME"] = str(_folder / "test.sqlite3")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--only-database"):
        return
    wanted = [
        item
        for item in items
        if _touches_database(item)
        and not item.get_closest_marker("slow")
        and not item.get_closest_marker("any_database")
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    items[:] = wanted


def _touches_database(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    return bool(item.get_closest_marker("django_db") or DATABASE_FIXTURES & fixtures)


def pytest_unconfigure() -> None:
    # Valkey ends before the sender's thread, whose warning would then meet pytest's closed streams.
    logging.raiseExceptions = False


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for what, needed_in_ci in _missing.items():
        is_failure = needed_in_ci and _is_ci()
        word = "FAILED, because CI must have it" if is_failure else "NOT TESTED"
        terminalreporter.write_line(f"!!! {word}: {what}", red=is_failure, yellow=not is_failure, bold=True)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if any(_missing.values()) and _is_ci() and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _is_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("true", "1")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium or Chrome."""
    chosen = os.environ.get("TIMELAPSER_CHROMIUM")
    found = chosen or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        _missing["the pages in a browser: no Chromium was found (apt install chromium)"] = True
        pytest.skip("no Chromium")
    return found


@pytest.fixture(scope="session")
def gstreamer_python() -> str:
    """A Python that can import GStreamer's RTSP server."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    for python in (SYSTEM_PYTHON, sys.executable):
        if (
            Path(python).exists()
            and not subprocess.run([python, "-c", probe], capture_output=True).returncode
        ):
            return python
    _missing["GStreamer's RTSP server: apt install gir1.2-gst-rtsp-server-1.0 python3-gi"] = True
    pytest.skip("no GStreamer RTSP server")


@pytest.fixture(scope="session")
def real_media() -> Path:
    """The folder of real photographs, recordings and camera answers."""
    folder = Path(os.environ.get("TIMELAPSER_REAL_MEDIA") or "/nowhere")
    if not folder.is_dir():
        _missing["real photographs and recordings: TIMELAPSER_REAL_MEDIA names no folder"] = False
        pytest.skip("no real media")
    return folder


@contextmanager
def fresh_database(folder: Path) -> Iterator[str]:
    """The URL of an empty database of its own on the server of the tests; with SQLite a file in `folder`."""
    url = os.environ["TIMELAPSER_DATABASE_URL"]
    if url.startswith("sqlite"):
        yield _sqlite_url(folder / "fresh.sqlite3")
        return
    from django.db import connections

    server = connections["default"].get_connection_params() | {"dbname": "postgres"}
    server = {
        name: server[name] for name in ("host", "port", "user", "password", "dbname") if server.get(name)
    }
    name = f"timelapser_{secrets.token_hex(6)}"
    with psycopg.connect(**server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{url.partition('?')[0].rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def fresh_database_url(tmp_path: Path) -> Iterator[str]:
    """An empty database of its own on the server of the tests, for processes that the test starts."""
    with fresh_database(tmp_path) as url:
        yield url
