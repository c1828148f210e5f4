"""WHAT the clock and the pools do with captures. Each task is a door to one domain function."""

from __future__ import annotations

from typing import Any

from celery import Task, shared_task
from celery.signals import worker_ready

from captures import campaign, dispatch, quarantine, settlement, versions
from media_jobs import clock, runs
from media_jobs.kinds import kind
from media_jobs.tracked import Running


@shared_task(name="captures.plan")
@runs.entry
def plan() -> runs.Result:
    return {"sent": dispatch.plan()}


@shared_task(name="captures.take", bind=True)
def take(self: Task, capture_id: int) -> None:
    from captures import ingest  # slow import: pixels, for the capture pool only

    ingest.take(capture_id, worker=str(self.request.hostname))


@shared_task(name="captures.sweep")
@runs.entry
def sweep() -> runs.Result:
    now = clock.now()
    given_up, sent_again = settlement.sweep(now)
    found = versions.find_far_slots()
    completed, moved = campaign.complete_ended(now), campaign.follow_cameras()
    return {
        "given_up": given_up,
        "sent_again": sent_again,
        "found": found,
        "completed": completed,
        "moved": moved,
    }


@shared_task(name="captures.account")
@runs.entry
def account() -> runs.Result:
    return {"missed": settlement.account()}


@shared_task(name="captures.tidy")
@runs.entry
def tidy() -> runs.Result:
    emptied, forgotten = quarantine.tidy(clock.now())
    return {"deleted": emptied, "forgotten": forgotten}


@kind("captures.make_thumbnails", retries_s=(30, 120, 300), limit_s=60)
def make_thumbnails(running: Running) -> dict[str, Any]:
    from captures import derivatives  # slow import: pixels, for the thumbnail pool only

    return derivatives.make(running)


@kind("captures.make_many_thumbnails", retries_s=(30, 120, 300), limit_s=60)
def make_many_thumbnails(running: Running) -> dict[str, Any]:
    from captures import regeneration  # slow import: pixels, for the thumbnail pool only

    return regeneration.make_many(running)


@kind("captures.purge_smalls", retries_s=(30, 120, 300), limit_s=60)
def purge_smalls(running: Running) -> dict[str, Any]:
    from captures import regeneration  # slow import: pixels, for the thumbnail pool only

    return regeneration.purge(running)


@kind("captures.verify", retries_s=(30, 120, 300), limit_s=60)
def verify(running: Running) -> dict[str, Any]:
    from captures.inventory import verify  # slow import: pixels, for the thumbnail pool only

    return verify.verify(running)


@kind("captures.repair", retries_s=(30, 120, 300), limit_s=60)
def repair(running: Running) -> dict[str, Any]:
    from captures.inventory import repair  # slow import: pixels, for the thumbnail pool only

    return repair.repair(running)


@kind("captures.clean_up", retries_s=(30, 120, 300), limit_s=60)
def clean_up(running: Running) -> dict[str, Any]:
    from captures.inventory import clearing  # slow import: pixels, for the thumbnail pool only

    return clearing.clean_up(running)


@kind("captures.delete_thumbnails", retries_s=(30, 120, 300), limit_s=60)
def delete_thumbnails(running: Running) -> dict[str, Any]:
    from captures.inventory import clearing  # slow import: pixels, for the thumbnail pool only

    return clearing.delete_all(running)


@worker_ready.connect
def release_captures(sender: Any, **_: Any) -> None:
    settlement.release(sender.hostname)
