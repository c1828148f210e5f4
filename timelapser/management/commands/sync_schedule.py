"""`manage.py sync_schedule`: hands the fixed entries of timelapser/schedule.py to beat's tables."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from timelapser.entries import fixed_fields, period_of
from timelapser.schedule import ENTRIES, OURS, Entry, whole_life_s


class Command(BaseCommand):
    help = "Creates, updates and removes beat's entries; what an operator set (enabled, period) stays."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--reset", action="store_true", help="put the operator's edits back, too")

    def handle(self, *args: Any, reset: bool, **options: Any) -> None:
        with transaction.atomic():
            changed = sum(_write(entry, is_reset=reset) for entry in ENTRIES)
            gone, _ = (
                PeriodicTask.objects.filter(name__startswith=OURS)
                .exclude(name__in=[entry.name for entry in ENTRIES])
                .delete()
            )
            if changed or gone:
                PeriodicTasks.update_changed()
        if options["verbosity"]:
            self.stdout.write(f"{len(ENTRIES)} entries, {changed} written, {gone} removed")


def _write(entry: Entry, *, is_reset: bool) -> bool:
    interval, _ = IntervalSchedule.objects.get_or_create(every=entry.every_s, period=IntervalSchedule.SECONDS)
    task = PeriodicTask.objects.filter(name=entry.name).first() or PeriodicTask(
        name=entry.name, interval=interval, enabled=True
    )
    is_new = task.pk is None
    fixed = fixed_fields(entry) | {"description": entry.why}
    names = (*fixed, "expire_seconds", "interval_id", "enabled")
    before = [getattr(task, name) for name in names]
    for name, value in fixed.items():
        setattr(task, name, value)
    if is_new or is_reset:
        task.interval, task.enabled, task.one_off = interval, True, False
        task.crontab = task.solar = task.clocked = None
    if period := period_of(task):  # an operator may have put it on a calendar
        task.expire_seconds = whole_life_s(period)
    if is_new or before != [getattr(task, name) for name in names]:
        task.save()
        return True
    return False
