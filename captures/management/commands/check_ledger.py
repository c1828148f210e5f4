"""`manage.py check_ledger`: is every slot that was owed accounted for?"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from captures import coverage
from captures.models import Timelapse
from media_jobs import clock


class Command(BaseCommand):
    help = "Compares the schedules with the captures and the counters; fails where they disagree."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("timelapse", nargs="*", type=int, help="ids; all when left out")

    def handle(self, *args: Any, timelapse: list[int], **options: Any) -> None:
        rows = Timelapse.objects.order_by("pk")
        found = 0
        for row in rows.filter(pk__in=timelapse) if timelapse else rows:
            for fault in coverage.faults(row, clock.now()):
                found += 1
                self.stdout.write(f"timelapse {row.pk} “{row.name}”: {fault}")
        for fault in [] if timelapse else coverage.faults_of_cameras():
            found += 1
            self.stdout.write(fault)
        if found:
            raise CommandError(f"{found} faults in the ledger")
        self.stdout.write("The ledger is whole.")
