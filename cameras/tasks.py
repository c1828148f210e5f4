"""WHAT the capture pool does with a camera besides captures."""

from __future__ import annotations

from celery import Task, shared_task

from cameras import connection
from media_jobs import tracked


@shared_task(name="cameras.test_connection", bind=True)
def test_connection(self: Task, job_id: str) -> None:
    tracked.run(job_id, connection.run_test, worker=str(self.request.hostname))
