"""WHEN: the fixed entries of the clock, the only periods in the system. Beat's tables get them by `sync_schedule`."""

from __future__ import annotations

from dataclasses import dataclass

OURS = "timelapser: "


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that beat sets going, again and again."""

    task: str
    every_s: int
    why: str

    @property
    def name(self) -> str:
        return OURS + self.task

    @property
    def expires_s(self) -> float:
        return life_s(self.every_s)


def life_s(every_s: float) -> float:
    """How long a message of an entry that recurs after `every_s` is good for: it is dropped before the next one comes.

    A second's entry has two: its tick lasts nearly as long as its period, and the next message waits meanwhile.
    """
    return 2 if every_s <= 1 else every_s * 0.9


def whole_life_s(every_s: float) -> int:
    """The same as beat's tables have it, in whole seconds."""
    return max(1, int(life_s(every_s)))


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "captures.plan",
        1,
        "The hand of the clock: claims the coming second's slots, sends each at its instant.",
    ),
    Entry(
        "captures.sweep",
        5,
        "Gives up owed captures whose grace has passed, and sends again what was lost within it.",
    ),
    Entry("captures.account", 10, "Writes the slots of a silent scheduler into the ledger as missed."),
    Entry("videos.follow", 2, "Asks for the tail of each following film whose timelapse has new pictures."),
    Entry(
        "media_jobs.dispatch",
        10,
        "Sends jobs that were recorded but never reached their queue, or are due again.",
    ),
    Entry("media_jobs.reap", 30, "Takes back jobs whose worker has gone."),
    Entry(
        "cameras.probe",
        60,
        "Asks cameras that no capture has heard of lately, so that their health is known before a timelapse starts.",
    ),
    Entry(
        "cameras.weather",
        300,
        "Asks for the weather at the places whose last reading is an hour old; failures are tried again later.",
    ),
    Entry(
        "videos.tidy",
        300,
        "Deletes segments that no film uses, and superseded films that nobody watches any more.",
    ),
    Entry(
        "captures.tidy",
        600,
        "Deletes discarded pictures whose time in the quarantine is over, and evaluations that are old.",
    ),
    Entry("media_jobs.prune", 600, "Forgets old events, ended jobs and previews."),
)
