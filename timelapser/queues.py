"""WHERE: which queue a task waits in, and which pool of workers serves it. Imports nothing, so anybody may read it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace

PLANNER = "planner"
CAPTURE = "capture"
THUMBNAIL = "thumbnail"
VIDEO = "video"
UPKEEP = "upkeep"


@dataclass(frozen=True, slots=True)
class Pool:
    """One kind of worker: the queues it serves and how it runs."""

    name: str
    queues: tuple[str, ...]
    kind: str  # a Celery pool: "threads" for waiting on cameras, "prefork" for computing
    concurrency: int
    options: tuple[str, ...] = field(default=())
    nice: int = 0


def limits(soft_s: int, hard_s: int) -> tuple[str, ...]:
    """After `soft_s` the work is interrupted, after `hard_s` its process is ended. Threads know no such thing."""
    return ("--soft-time-limit", str(soft_s), "--time-limit", str(hard_s))


# Threads wait for cameras: 32 captures in flight take 87 MB where processes take 1,484 MB. The planner has a worker
# of its own that nothing else can fill. Renders are niced, so that they never delay a capture.
POOLS: dict[str, Pool] = {
    pool.name: pool
    for pool in (
        Pool("planner", (PLANNER,), "threads", 1),
        Pool("capture", (CAPTURE,), "threads", 16),
        Pool("thumbnail", (THUMBNAIL,), "prefork", 1, ("--disable-prefetch", *limits(45, 60))),
        Pool(
            "video",
            (VIDEO,),
            "prefork",
            2,
            ("--disable-prefetch", *limits(6 * 3600, 6 * 3600 + 300)),
            nice=10,
        ),
        Pool("upkeep", (UPKEEP,), "threads", 2),
    )
}

# A small board: fewer processes, but what computes never stands in the way of what takes pictures.
SMALL_POOLS: dict[str, Pool] = {
    pool.name: pool
    for pool in (
        Pool("planner", (PLANNER,), "threads", 1),
        Pool("capture", (CAPTURE, UPKEEP), "threads", 6),
        Pool("making", (THUMBNAIL, VIDEO), "threads", 2, nice=10),
    )
}

QUEUES: tuple[str, ...] = tuple(queue for pool in POOLS.values() for queue in pool.queues)

# Every task that has messages of its own has its line here, and every kind of job below;
# tests/test_architecture.py says which one has not.
QUEUE_OF_TASK: dict[str, str] = {
    "captures.plan": PLANNER,
    "media_jobs.dispatch": UPKEEP,
    "media_jobs.reap": UPKEEP,
    "media_jobs.prune": UPKEEP,
    "cameras.probe": UPKEEP,
    "cameras.weather": UPKEEP,
    "captures.take": CAPTURE,
    "captures.sweep": UPKEEP,
    "captures.account": UPKEEP,
    "captures.tidy": UPKEEP,
    "videos.follow": UPKEEP,
    "videos.tidy": UPKEEP,
}

# A message of "media_jobs.work" to a queue wakes a worker for the best job that is due there.
QUEUE_OF_KIND: dict[str, str] = {
    "captures.make_thumbnails": THUMBNAIL,
    "captures.make_many_thumbnails": THUMBNAIL,
    "captures.purge_smalls": THUMBNAIL,
    "captures.verify": THUMBNAIL,
    "captures.repair": THUMBNAIL,
    "captures.clean_up": THUMBNAIL,
    "captures.delete_thumbnails": THUMBNAIL,
    "cameras.test_connection": CAPTURE,
    "cameras.detect": CAPTURE,
    "cameras.test_shot": CAPTURE,
    "cameras.ask": CAPTURE,
    "cameras.fetch_weather": UPKEEP,
    "cameras.check_weather_key": UPKEEP,
    "videos.render": VIDEO,
    "videos.encode_segment": VIDEO,
}


def capture_queue(site: str | None) -> str:
    """Where a camera's work waits: those of a site (its slug) are reached by the site's own workers alone."""
    return f"{CAPTURE}.{site}" if site else CAPTURE


def site_pool(site: str) -> Pool:
    """The capture pool of a site."""
    return replace(POOLS[CAPTURE], name=capture_queue(site), queues=(capture_queue(site),))


def worker_command(pool: Pool) -> list[str]:
    """The command that starts `pool`'s worker; the supervisor, compose and the tests all run this one."""
    return [
        *(["nice", "-n", str(pool.nice)] if pool.nice else []),
        sys.executable if sys.executable else "python",
        "-m",
        "celery",
        "--quiet",
        "-A",
        "celery_app",
        "worker",
        "--hostname",
        f"{pool.name}@%h",
        "--pool",
        pool.kind,
        "--concurrency",
        str(pool.concurrency),
        "--queues",
        ",".join(pool.queues),
        "--without-gossip",
        "--without-mingle",
        "--loglevel",
        "INFO",
        *pool.options,
    ]
