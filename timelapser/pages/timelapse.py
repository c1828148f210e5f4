"""One timelapse: its film, its pictures, how it was kept, what is being done, what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from captures.figures import Figures, figures
from captures.models import Capture, Schedule, Timelapse
from media_jobs import clock
from media_jobs.models import Decision, MediaJob
from media_jobs.roles import SEE
from timelapser.pages.access import page, show, show_parts
from timelapser.pages.audit import decisions_of
from timelapser.pages.cards import Card, day_number_of
from timelapser.pages.forms import RenderForm
from timelapser.pages.kept import Kept, Wish
from timelapser.pages.pictures import is_flagged_only, newest
from timelapser.pages.quality import Recent, recent
from timelapser.pages.status import standing_of, standing_of_timelapse
from videos.models import Video
from videos.rendering import RENDER

PARTS = {
    "state": "timelapse/_state.html",
    "quality": "quality/_panel.html",
    "calendar": "timelapse/_calendar.html",
    "day": "timelapse/_day.html",
    "film": "timelapse/_film.html",
    "films": "timelapse/_films.html",
    "jobs": "timelapse/_jobs.html",
    "decisions": "timelapse/_decisions.html",
    "versions": "timelapse/_versions.html",
    "storage": "timelapse/_storage.html",
}
SHOWN_VERSIONS = 20
SHOWN_DECISIONS = 8
ENDED_JOBS = 5
QUIET_FOR = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class JobRow:
    """A render with the progress of all its segments. `eta_s` is None while nobody can know."""

    job: MediaJob
    done: int
    total: int
    eta_s: float | None


class TimelapsePage:
    """What the page shows, each thing read when a template asks for it."""

    def __init__(self, timelapse: Timelapse, now: datetime, query: Mapping[str, str] | None = None) -> None:
        """`query` says which film, month, day and instant somebody wants to see."""
        self.timelapse = timelapse
        self.now = now
        self._film_id = (query or {}).get("film", "")
        self.is_flagged_only = is_flagged_only(query or {})
        self._wish = Wish.of(query or {}, timelapse.zone, now)

    @cached_property
    def card(self) -> Card:
        timelapse, camera = self.timelapse, self.timelapse.camera
        is_present = timelapse.state in {Timelapse.State.RUNNING, Timelapse.State.PAUSED}
        return Card(
            camera=camera,
            timelapse=timelapse,
            newest=timelapse.latest_capture,
            film=self.film,
            standing=(
                standing_of(camera, timelapse, self.now) if is_present else standing_of_timelapse(timelapse)
            ),
            day_number=day_number_of(timelapse, self.now),
        )

    @cached_property
    def films(self) -> list[Video]:
        films = list(self.timelapse.videos.select_related("recipe"))
        return sorted(films, key=lambda film: not film.follows)

    @cached_property
    def film(self) -> Video | None:
        """The film in the player: the one asked for, the one that follows, or the newest that is ready."""
        ready = [film for film in self.films if film.revision]
        asked = [film for film in self.films if str(film.pk) == self._film_id]
        following = [film for film in self.films if film.follows]
        return next(iter([*asked, *following, *ready]), None)

    @cached_property
    def kept(self) -> Kept:
        return Kept(self.timelapse, self.now, self._wish)

    @cached_property
    def quality(self) -> Recent:
        return recent(self.timelapse)

    @cached_property
    def storage(self) -> Figures:
        """Counted only for who scrolls so far: of a million pictures it takes some tenths of a second."""
        return figures(self.timelapse)

    @cached_property
    def versions(self) -> list[Schedule]:
        """The schedules it had, newest first."""
        return list(self.timelapse.schedules.order_by("-from_at", "-pk")[:SHOWN_VERSIONS])

    @cached_property
    def decisions(self) -> list[Decision]:
        return decisions_of(self.timelapse, SHOWN_DECISIONS)

    @cached_property
    def jobs(self) -> list[JobRow]:
        """Renders that are active, then those that ended and that a person asked for or that failed."""
        renders = MediaJob.objects.filter(topic=self.timelapse.topic, task=RENDER)
        # The renewal of a following film is no news unless it takes its time.
        is_news = Q(is_quiet=False) | Q(requested_at__lt=self.now - QUIET_FOR)
        active = list(renders.active().filter(is_news).order_by("requested_at").prefetch_related("needs"))
        worth_telling = Q(state=MediaJob.State.FAILED) | Q(priority=MediaJob.Priority.HIGH)
        ended = list(renders.ended().filter(worth_telling).order_by("-finished_at")[:ENDED_JOBS])
        return [_job_row(job, self.now) for job in active] + [
            JobRow(job, job.progress_done, job.progress_total, None) for job in ended
        ]

    @cached_property
    def has_active_jobs(self) -> bool:
        return any(row.job.is_active for row in self.jobs)

    @cached_property
    def _strip(self) -> tuple[list[Capture], bool]:
        return newest(self.timelapse, flagged=self.is_flagged_only)

    @property
    def captures(self) -> list[Capture]:
        return self._strip[0]

    @property
    def has_more(self) -> bool:
        return self._strip[1]


def _job_row(job: MediaJob, now: datetime) -> JobRow:
    """A render that waits has done what its segments have done."""
    needs = list(job.needs.all())
    if not needs or job.state == MediaJob.State.RUNNING:
        return JobRow(job, job.progress_done, job.progress_total, job.eta_s(now))
    to_do = sum(need.progress_total for need in needs)
    made = sum(
        need.progress_total if need.state == MediaJob.State.DONE else need.progress_done for need in needs
    )
    total = max(job.progress_total, to_do)
    started = min((need.started_at for need in needs if need.started_at), default=None)
    eta_s = (now - started).total_seconds() * (to_do - made) / made if started and made else None
    return JobRow(job, total - to_do + made, total, eta_s)


@page(SEE)
def timelapse(request: HttpRequest, pk: int) -> HttpResponse:
    row = _row(pk)
    seen = TimelapsePage(row, clock.now(), request.GET)
    return show(request, "timelapse.html", context_of(seen) | {"form": RenderForm(timelapse=row)})


@page(SEE)
def parts(request: HttpRequest, pk: int) -> HttpResponse:
    seen = TimelapsePage(_row(pk), clock.now(), request.GET)
    return show_parts(request, PARTS, context_of(seen))


def context_of(seen: TimelapsePage) -> dict[str, Any]:
    return {
        "page": seen,
        "timelapse": seen.timelapse,
        "judged_camera": seen.timelapse.camera,
        "quality": lambda: seen.quality,
    }


def _row(pk: int) -> Timelapse:
    return get_object_or_404(Timelapse.objects.select_related("camera", "latest_capture"), pk=pk)
