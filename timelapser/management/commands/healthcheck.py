"""`manage.py healthcheck`: 0 where this role works, 1 and a sentence where it does not. For container health checks."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from captures.dispatch import SILENT_AFTER
from media_jobs import clock
from media_jobs.models import Pulse
from media_jobs.workers import ALIVE_FOR
from timelapser.health import scheduler_silence


class Command(BaseCommand):
    help = "Checks one role: `beat`, or the name of a pool."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("role", help="beat, or a pool of timelapser/queues.py")

    def handle(self, *args: Any, role: str, **options: Any) -> None:
        now = clock.now()
        if role == "beat":
            silence = scheduler_silence(now)
            if silence is None or silence > SILENT_AFTER:
                raise CommandError("The planner has not ticked lately.")
            return
        if not Pulse.objects.filter(
            kind="worker", name__startswith=f"{role}@", at__gte=now - ALIVE_FOR
        ).exists():
            raise CommandError(f"No worker of the pool {role} has given a sign of life lately.")
