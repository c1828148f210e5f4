"""`manage.py rotate_sealing_key`: seals every camera's password and every secret setting with the newest key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cameras import configured, sealing
from cameras.exceptions import SealBroken
from cameras.models import Camera


class Command(BaseCommand):
    help = "Run it after a new key was put in front of TIMELAPSER_SEALING_KEYS; then the old one may go."

    def handle(self, *args: Any, **options: Any) -> None:
        lost = []
        for camera in Camera.objects.exclude(sealed_password="").order_by("pk"):
            try:
                sealed = sealing.reseal(camera.sealed_password)
            except SealBroken:
                lost.append(camera.name)
                continue
            Camera.objects.filter(pk=camera.pk, sealed_password=camera.sealed_password).update(
                sealed_password=sealed
            )
        lost += configured.reseal()
        if lost:
            raise CommandError(
                f"None of the keys opens what is sealed of: {', '.join(lost)}. Enter it again."
            )
        self.stdout.write("Everything is sealed with the newest key.")
