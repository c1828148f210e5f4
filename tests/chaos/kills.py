"""Kills one process after the other with SIGKILL while pictures are owed every second, and waits for quiet."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.verdict import Verdict, judge
from tests.evidence import is_settled, unfinished_files, unsettled
from tests.stack import Stack, running_stack, wait_for
from timelapser.queues import POOLS

VICTIMS = ("web", "beat", "broker", "database", *POOLS)
LEAD_S = 6.0  # pictures before the first kill
UP_WITHIN_S = 60.0
SETTINGS = {"TIMELAPSER_SEGMENT_FRAMES": "60", "TIMELAPSER_CAPTURES_PER_HOST": "16"}


@dataclass(frozen=True, slots=True)
class Course:
    """What will be done: who is killed, and how long after the one before. The same seed, the same course."""

    seed: int
    timelapses: int
    steps: tuple[tuple[float, str], ...]

    @classmethod
    def drawn(cls, *, seed: int, kills: int, every_s: float, timelapses: int) -> Course:
        """Pauses of half to one and a half times `every_s`; a fair share for each victim."""
        dice = random.Random(seed)
        names: list[str] = []
        while len(names) < kills:
            names += dice.sample(VICTIMS, len(VICTIMS))
        return cls(
            seed, timelapses, tuple((dice.uniform(0.5, 1.5) * every_s, name) for name in names[:kills])
        )

    @property
    def seconds(self) -> int:
        """How long the timelapses last: as long as anybody is killed."""
        return round(LEAD_S + sum(pause for pause, _ in self.steps)) + 2


@dataclass(slots=True)
class Outcome:
    """What a course led to."""

    verdict: Verdict
    killed: Counter[str] = field(default_factory=Counter)
    ended_by_themselves: Counter[str] = field(default_factory=Counter)
    quiet_after_s: float | None = None
    unsettled: str = ""

    @property
    def is_clean(self) -> bool:
        return self.verdict.is_clean and self.quiet_after_s is not None


def run(course: Course, *, quiet_within_s: float, say: Callable[[str], None] = lambda line: None) -> Outcome:
    """The whole course on a stack of its own, from an empty database to the verdict."""
    with running_stack(None, **SETTINGS) as stack:
        return harm(stack, course, quiet_within_s=quiet_within_s, say=say)


def harm(
    stack: Stack, course: Course, *, quiet_within_s: float, say: Callable[[str], None] = lambda line: None
) -> Outcome:
    """The course on a stack that runs."""
    kinds = (("http", stack.http_address), ("rtsp", stack.rtsp_address))
    cameras = [(*kinds[number % 2], f"Camera {number + 1}") for number in range(course.timelapses)]
    timelapses = stack.add_timelapses(cameras, seconds=course.seconds, starts_in_s=4)
    (started,) = stack.rows("SELECT max(start_at) AS at FROM captures_timelapse")
    wait_for(
        lambda: stack.rows("SELECT clock_timestamp() > %s AS is_past", started["at"])[0]["is_past"],
        within_s=60,
        what="the first slot",
    )
    say(f"{len(timelapses)} timelapses for {course.seconds} s, {len(course.steps)} kills, seed {course.seed}")
    time.sleep(LEAD_S)
    outcome = Outcome(Verdict())
    for number, (pause_s, name) in enumerate(course.steps, start=1):
        time.sleep(pause_s)
        wait_for(lambda name=name: stack.is_up(name), within_s=UP_WITHIN_S, what=f"{name} to be killed again")
        stack.kill(name)
        outcome.killed[name] += 1
        if number % 10 == 0:
            say(f"{number} killed, {_progress(stack)}")
    begun = time.monotonic()
    try:
        wait_for(lambda: is_settled(stack), within_s=quiet_within_s, what="quiet", every_s=1.0)
        wait_for(lambda: not unfinished_files(stack), within_s=15, what="leftovers to be cleared")
        outcome.quiet_after_s = time.monotonic() - begun
    except AssertionError:
        outcome.unsettled = unsettled(stack)
    say(f"quiet after {outcome.quiet_after_s and round(outcome.quiet_after_s)} s; looking at everything")
    outcome.ended_by_themselves.update(name for name, code in stack.endings if code != -signal.SIGKILL)
    outcome.verdict = judge(stack, timelapses)
    return outcome


def _progress(stack: Stack) -> str:
    rows = stack.rows("SELECT state, count(*) FROM captures_capture GROUP BY state ORDER BY state")
    jobs = stack.rows(
        "SELECT count(*) FROM media_jobs_mediajob WHERE state IN ('queued', 'running', 'waiting')"
    )
    states = ", ".join(f"{row['count']} {row['state']}" for row in rows)
    return f"{states}; {jobs[0]['count']} jobs wait"
