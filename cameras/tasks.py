"""WHAT the capture pool does with a camera besides captures, and what the clock asks of cameras and sites."""

from __future__ import annotations

from celery import Task, shared_task

from cameras import connection, probing, sites
from media_jobs import alarms, clock, runs, tracked


@shared_task(name="cameras.test_connection", bind=True)
def test_connection(self: Task, job_id: str) -> None:
    tracked.run(job_id, connection.run_test, worker=str(self.request.hostname))


@shared_task(name="cameras.ask", bind=True)
def ask(self: Task, job_id: str) -> None:
    tracked.run(job_id, probing.ask, worker=str(self.request.hostname))


@shared_task(name="cameras.probe")
@runs.entry
def probe() -> runs.Result:
    return {"asked": probing.request(clock.now())}


@shared_task(name="cameras.watch")
@runs.entry
def watch() -> runs.Result:
    return alarms.watch(clock.now(), sites.queues())
