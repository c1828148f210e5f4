"""Jobs to test with: a kind of work that tests fill in, and a worker's claim of one certain job."""

from datetime import timedelta

from media_jobs import clock, lifecycle, tracked
from media_jobs.kinds import kind
from media_jobs.models import MediaJob

ECHO = "tests.echo"
PART = "tests.part"
QUEUE = "capture"
FAR = timedelta(days=1)


@kind(ECHO, retries_s=(30, 120, 300), limit_s=60)
def echo(running):
    return {"args": running.args}


@kind(PART, limit_s=60, is_part=True)
def part(running):
    return {}


def record(key="k", *, task=ECHO, **kw):
    """(job, is new)"""
    given = {"topic": "camera.1", "title": "Test", "args": {"n": 1}, "queue": QUEUE}
    return lifecycle.record(task, key=key, **given | kw)


def take(job, *, worker="w1"):
    """The worker's claim of this very job; the others of its queue are not due for that moment."""
    others = MediaJob.objects.filter(queue=job.queue, state="queued").exclude(pk=job.pk)
    due_at = dict(others.values_list("pk", "run_after"))
    others.update(run_after=clock.now() + FAR)
    try:
        return lifecycle.claim(job.queue, worker=worker)
    finally:
        for pk, moment in due_at.items():
            MediaJob.objects.filter(pk=pk).update(run_after=moment)


def do(job, work, *, worker="w1"):
    """Takes this very job and does `work` for it, if it is to be had."""
    if (taken := take(job, worker=worker)) is not None:
        tracked.do(taken, work)


def now_of(job):
    return MediaJob.objects.get(pk=job.pk)
