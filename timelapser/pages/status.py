"""How cameras and the system stand, in a word and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cameras import health
from cameras.models import Camera
from captures import versions
from captures.dispatch import SILENT_AFTER
from captures.exceptions import PlanRefused
from captures.models import Timelapse
from captures.reasons import REASONS
from media_jobs.models import Pulse
from timelapser import entries
from timelapser.health import clocks_apart, queues_without_worker, storage_trouble
from timelapser.queues import CAPTURE, PLANNER, THUMBNAIL, UPKEEP, VIDEO

MEANING_OF_QUEUE = {
    PLANNER: "no picture is planned",
    CAPTURE: "no picture is taken",
    THUMBNAIL: "thumbnails are not made",
    VIDEO: "films are not rendered",
    UPKEEP: "films are not kept up to date and lost work is not found",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """A state for people; `code` is the name of its style."""

    code: str
    label: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that stands still although it should not."""

    title: str
    advice: str


def standing_of(camera: Camera, timelapse: Timelapse | None, now: datetime) -> Standing:
    """How a camera with its present timelapse (None: it never had one) stands."""
    if not camera.is_enabled:
        return Standing("paused", "Switched off", "The camera is switched off here; no picture is taken.")
    if timelapse is not None and timelapse.state == Timelapse.State.RUNNING:
        return _standing_of_running(camera, timelapse, now)
    if camera.health == Camera.Health.OFFLINE:
        return _offline(camera, timelapse, now)
    if timelapse is None or timelapse.state == Timelapse.State.CREATED:
        return Standing("idle", "Not started")
    return standing_of_timelapse(timelapse)


def standing_of_timelapse(timelapse: Timelapse) -> Standing:
    """How a timelapse that is not running stands."""
    return {
        Timelapse.State.CREATED.value: Standing("idle", "Not started"),
        Timelapse.State.RUNNING.value: Standing("recording", "Recording"),
        Timelapse.State.PAUSED.value: Standing("paused", "Paused"),
        Timelapse.State.COMPLETED.value: Standing("completed", "Completed"),
        Timelapse.State.ARCHIVED.value: Standing("archived", "Archived"),
    }[timelapse.state]


def _standing_of_running(camera: Camera, timelapse: Timelapse, now: datetime) -> Standing:
    if timelapse.schedule_error:
        return Standing("problem", "Problem", timelapse.schedule_error)
    if timelapse.start_at and timelapse.start_at > now:
        return Standing("planned", f"Starts {_spoken(timelapse.start_at, timelapse, now)}")
    if camera.health == Camera.Health.OFFLINE:
        return _offline(camera, timelapse, now)
    if camera.health == Camera.Health.DEGRADED:
        return Standing("recording", "Recording", f"Failing now and then: {camera.last_error}")
    if not _is_closed(timelapse, now):
        return Standing("recording", "Recording")
    wakes_at = timelapse.next_slot_at
    until = f" until {_spoken(wakes_at, timelapse, now, before='')}" if wakes_at and wakes_at > now else ""
    return Standing("sleeping", f"Sleeping{until}")


def _offline(camera: Camera, timelapse: Timelapse | None, now: datetime) -> Standing:
    zone = timelapse.zone if timelapse else UTC
    if camera.health_since is None:
        return Standing("offline", "Offline", camera.last_error)
    since = camera.health_since.astimezone(zone)
    is_today = since.date() == now.astimezone(zone).date()
    words = f"{since:%H:%M}" if is_today else f"{since:%d %b, %H:%M}"
    return Standing("offline", "Offline", f"Since {words}: {camera.last_error}")


def _is_closed(timelapse: Timelapse, now: datetime) -> bool:
    try:
        return versions.timetable_of(timelapse, now).closed_because(now) is not None
    except PlanRefused:
        return False


def _spoken(moment: datetime, timelapse: Timelapse, now: datetime, *, before: str = "at ") -> str:
    """The local time, with its day unless that is today."""
    local = moment.astimezone(timelapse.zone)
    days = (local.date() - now.astimezone(timelapse.zone).date()).days
    if days == 0:
        return f"{before}{local:%H:%M}"
    return f"tomorrow, {local:%H:%M}" if days == 1 else f"{local:%d %b, %H:%M}"


def alarms(now: datetime) -> list[Alarm]:
    """What the whole system should say aloud. A handful of queries, however many cameras there are."""
    found = []
    hand = Pulse.objects.filter(name="captures.plan").first()
    off, astray = entries.out_of_order()
    if "captures.plan" in off:
        found.append(
            Alarm(
                "The scheduler is switched off.",
                "No picture is planned until captures.plan is enabled again in the admin, under periodic tasks; what "
                "is missed meanwhile is written down as missed.",
            )
        )
    elif hand is None or now - hand.at > SILENT_AFTER:
        since = f" since {hand.at:%H:%M:%S} UTC" if hand else ""
        found.append(
            Alarm(
                f"The scheduler has been silent{since}.",
                "No picture is planned. See that beat and the planner's worker run; what is missed meanwhile "
                "is written down as missed.",
            )
        )
    if astray:
        found.append(
            Alarm(
                f"Changed, so that they do not do their work: {', '.join(astray)}.",
                "Somebody has given them another task or queue. manage.py sync_schedule puts that right, and so does "
                "every start.",
            )
        )
    if others := [task for task in off if task != "captures.plan"]:
        names = ", ".join(others)
        found.append(
            Alarm(
                f"Switched off: {names}.",
                "What this leaves undone is said in the admin, under periodic tasks; there it is enabled again.",
            )
        )
    silent = queues_without_worker(now)
    if silent:
        names = ", ".join(silent)
        meaning = "; ".join(_meaning_of(queue) for queue in silent)
        found.append(
            Alarm(
                f"No worker serves the queue{'s' if len(silent) > 1 else ''} {names}.",
                f"Until one is started {meaning}.",
            )
        )
    for host, ahead_s in clocks_apart(now).items():
        found.append(
            Alarm(
                f"The clock of {host} is {abs(ahead_s):.1f} s {'ahead' if ahead_s > 0 else 'behind'}.",
                "Pictures keep their slots, but messages may expire too early or too late. Let NTP set that clock.",
            )
        )
    if trouble := storage_trouble(now):
        found.append(
            Alarm(trouble, "No picture can be kept until this is mended; each that is lost is written down.")
        )
    return found


def _meaning_of(queue: str) -> str:
    site = queue.removeprefix(f"{CAPTURE}.")
    return MEANING_OF_QUEUE.get(queue) or f"no picture of the site {site} is taken"


def words_for(reason: str) -> str:
    """A reason of the ledger in plain words; cameras' errors come with their own."""
    return REASONS.get(reason) or health.words_for(reason) or reason.replace("_", " ").capitalize() + "."
