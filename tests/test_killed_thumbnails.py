"""All thumbnails made again, and the worker killed in the middle of it: it goes on where it was."""

import pytest

from tests.servers import fresh_database
from tests.stack import running_stack, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]

PICTURES = 90
OTHERS = ("web", "beat", "planner", "capture", "video")
SET_UP = """
from captures import backfill
from captures.imaging.pictures import encode_jpeg
from tests.factories import make_stored_capture, make_timelapse
import numpy as np

jpeg = encode_jpeg(np.random.default_rng(1).integers(0, 255, (1080, 1920, 3), np.uint8))
timelapse = make_timelapse()
for _ in range(given[0]):
    make_stored_capture(jpeg, timelapse=timelapse)
job, _ = backfill.request_thumbnails(None, by="ada", again=True)
answer = str(job.pk)
"""
JOB = (
    "SELECT state, attempt, lost_count, progress_done AS done, (result->>'made')::int AS made"
    " FROM media_jobs_mediajob WHERE id = %s"
)
MADE = "SELECT count(*) AS n FROM captures_capture WHERE thumbnail <> '' AND small <> ''"


def test_it_goes_on_where_its_killed_worker_was(tmp_path):
    with (
        fresh_database(tmp_path / "database") as database_url,
        running_stack(database_url, has_demo=False, without=OTHERS) as stack,
    ):
        if database_url.startswith("sqlite"):
            pytest.skip("end to end needs PostgreSQL")
        job = stack.python(SET_UP, PICTURES)

        def look():
            return stack.rows(JOB, job)[0]

        wait_for(lambda: look()["done"] > 20, within_s=60, what="the work to be under way", every_s=0.02)
        before = look()["done"]
        stack.kill("thumbnail")
        at_death = stack.rows(MADE)[0]["n"]
        wait_for(lambda: look()["state"] == "done", within_s=120, what="the work to be done")

        found = look()
        assert (before < PICTURES, found["attempt"] >= 2, found["lost_count"]) == (True, True, 1)
        assert stack.rows(MADE)[0]["n"] == PICTURES
        # Counted once each: what lay before the place that was noted last was not made again.
        assert (found["made"], found["done"]) == (PICTURES, PICTURES)
        assert before <= at_death
