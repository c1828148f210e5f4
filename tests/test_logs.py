"""What reaches the log when something raises: the trace, without what is secret."""

import logging
import os
import subprocess
import sys

import pytest

FAILS = """
import logging, django
django.setup()

def connect(password):
    raise ConnectionError("cannot reach rtsp://ada:s3cret-in-address@192.0.2.7/stream")

try:
    connect("s3cret-in-a-variable")
except ConnectionError:
    logging.getLogger("celery.app.trace").error("Task raised", exc_info=True)
"""


@pytest.mark.parametrize("is_json", ["0", "1"])
def test_trace_is_logged_without_secrets(is_json, tmp_path):
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "timelapser.settings",
        "TIMELAPSER_LOG_JSON": is_json,
        "TIMELAPSER_DATA": str(tmp_path),
    }
    said = subprocess.run(
        [sys.executable, "-c", FAILS], env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stderr
    assert "Traceback (most recent call last)" in said
    assert "ConnectionError" in said
    assert "rtsp://[hidden]@192.0.2.7/stream" in said
    assert "s3cret-in-address" not in said
    assert "s3cret-in-a-variable" not in said.replace('connect("s3cret-in-a-variable")', "")


def test_beat_says_in_one_line_that_the_broker_is_away(caplog):
    logger = logging.getLogger("celery.beat")
    try:
        raise OSError("nobody there")
    except OSError as error:
        with caplog.at_level("ERROR", logger="celery.beat"):
            logger.error("Message Error: %s\n%s", error, ["a stack"], exc_info=True)

    assert [record.getMessage() for record in caplog.records] == ["Message Error: nobody there"]
    assert caplog.records[0].exc_info is None


def test_refused_page_is_a_line_without_a_trace(pages, viewer, caplog):
    answer = pages(viewer).get("/cameras/add/")

    told = [record for record in caplog.records if record.name == "django.request"]
    assert answer.status_code == 403
    assert len(told) == 1
    assert told[0].exc_info is None
