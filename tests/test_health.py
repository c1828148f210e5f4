"""/health/: for supervisors, who ask from inside and often."""

import pytest
from django.test import Client


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


def test_other_errors_are_in_the_log(db, caplog):
    assert Client().get("/nothing").status_code == 404
    assert "/nothing" in caplog.text
