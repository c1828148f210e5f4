"""What most tests share: a media folder of their own, one user of each role, a client for each."""

import pytest
from django.core.cache import cache
from django.test import Client
from rest_framework.test import APIClient

from captures import settlement
from media_jobs import clock, events
from media_jobs.models import Event
from media_jobs.tail import Tail
from tests import broker as real_broker
from tests.factories import make_user

pytest_plugins = ["tests.stack"]


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    """No test sees the files or the throttles of another; passwords are hashed quickly, static files as they are."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    cache.clear()
    # Tries to log in are counted in Redis, which all tests share: each counts under a name of its own.
    settings.CACHES = settings.CACHES | {"logins": settings.CACHES["logins"] | {"KEY_PREFIX": str(tmp_path)}}
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _own_place_among_the_events(monkeypatch):
    """What other tests have rolled back is no gap in this one's events."""
    monkeypatch.setattr(events, "_tail", Tail(Event.objects.only("id")))


@pytest.fixture(autouse=True)
def _own_time(monkeypatch):
    """A clock that another test has moved is carried on by nobody."""
    monkeypatch.setattr(clock, "_measured", None)


@pytest.fixture(autouse=True)
def _all_the_time_that_it_needs(monkeypatch):
    """How many rows one account writes depends on its limit, not on the machine."""
    monkeypatch.setattr(settlement, "WORK_FOR_S", 60)


@pytest.fixture
def viewer(db):
    return make_user("vera", role="viewer")


@pytest.fixture
def operator(db):
    return make_user("otto", role="operator")


@pytest.fixture
def admin(db):
    return make_user("ada", role="admin")


@pytest.fixture
def superuser(db):
    return make_user("root", is_staff=True, is_superuser=True)


@pytest.fixture
def api():
    """A function: the API's client, logged in as `user` or as nobody."""

    def log_in(user=None):
        client = APIClient()
        if user is not None:
            client.force_login(user)
        return client

    return log_in


@pytest.fixture
def pages():
    """A function: a browser without a screen, logged in as `user` or as nobody."""

    def log_in(user=None):
        client = Client()
        if user is not None:
            client.force_login(user)
        return client

    return log_in


@pytest.fixture
def broker():
    """The real broker, empty at the start: what was sent can be read."""
    found = real_broker.connect()
    found.empty()
    yield found
    found.close()
