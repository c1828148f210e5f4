"""/health/: for supervisors, who ask from inside and often."""

import pytest
from django.test import Client

from cameras.models import Site
from media_jobs import clock
from media_jobs.models import Pulse
from tests.factories import make_camera, make_user
from timelapser import health
from timelapser.queues import QUEUES


@pytest.fixture
def behind_https(settings):
    settings.SECURE_SSL_REDIRECT = True


def test_health_is_not_led_to_https_and_everything_else_is(db, behind_https):
    client = Client()
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").status_code == 503
    assert client.get("/login/").status_code == 301


def test_not_ready_is_an_answer_and_no_error_in_the_log(db, caplog):
    answer = Client().get("/health/ready")

    assert (answer.status_code, answer.json()["status"]) == (503, "degraded")
    assert [record.getMessage() for record in caplog.records if record.levelno >= 30] == []


def test_without_a_login_it_names_no_site_no_machine_and_no_room(pages, viewer, settings):
    now = clock.now()
    site = Site.objects.create(name="Secret garden", slug="secret-garden")
    make_camera(site=site)
    facts = {"queues": list(QUEUES), "host": "host7", "clock_offset_s": 9.0, "disk_free_bytes": 7 * 2**20}
    Pulse.objects.create(name="all@host7", kind="worker", at=now, facts=facts)
    Pulse.objects.create(name="captures.plan", kind="clock", at=now)

    everybody, somebody = (client.get("/health/ready").json() for client in (pages(), pages(viewer)))

    codes = ["clock_wrong", "queue_without_worker", "storage_trouble"]
    assert everybody == {"status": "degraded", "codes": codes, "faults": [health.PLAIN[c] for c in codes]}
    assert somebody["codes"] == codes
    told = " ".join(somebody["faults"])
    assert "host7 is 9.0 s ahead" in told
    assert "capture.secret-garden" in told
    assert "7 MB are free" in told
    assert pages(make_user()).get("/health/ready").json() == everybody  # a login without a role


def test_other_errors_are_in_the_log(db, caplog):
    assert Client().get("/nothing").status_code == 404
    assert "/nothing" in caplog.text
