"""`manage.py rotate_sealing_key`: seals every camera's password with the newest key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cameras import sealing
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
        if lost:
            raise CommandError(
                f"None of the keys opens the passwords of: {', '.join(lost)}. Enter them again."
            )
        self.stdout.write("All passwords are sealed with the newest key.")
