"""`manage.py prepare`: makes a database and a media folder ready for everything else. Doing it again does no harm."""

from __future__ import annotations

import secrets
import sys
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import transaction

from cameras.models import Camera
from captures import campaign
from captures.intervalometer import every
from captures.models import Timelapse
from media_jobs import clock
from media_jobs.roles import ROLES
from videos import rendering
from videos.models import Recipe

START_UP = timedelta(seconds=12)
DEMO = (
    ("Harbour (demo)", Camera.Kind.RTSP, "demo_rtsp", 3),
    ("Lakeside (demo)", Camera.Kind.HTTP, "demo_http", 2),
)


class Command(BaseCommand):
    help = "Migrates, hands the clock its entries, collects static files, and makes the first login."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--no-login", action="store_true", help="make no first login")
        parser.add_argument("--demo-rtsp", default="", help="address of the demonstration's RTSP camera")
        parser.add_argument("--demo-http", default="", help="address of the demonstration's snapshot camera")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("sync_schedule", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0, clear=False)
        for role in ROLES:
            Group.objects.get_or_create(name=role)
        recipe = _default_recipe()
        if not options["no_login"]:
            self._make_login()
        for name, kind, option, interval_s in DEMO:
            if options[option]:
                _set_up_demo(name, kind, options[option], interval_s, recipe)

    def _make_login(self) -> None:
        if User.objects.filter(is_superuser=True).exists():
            return
        password = secrets.token_urlsafe(12)
        User.objects.create_superuser("admin", password=password)
        # Printed once, here: it is kept nowhere else.
        self.stdout.write(f"login: user admin, password {password}")
        sys.stdout.flush()


def _default_recipe() -> Recipe:
    recipe = Recipe.objects.order_by("pk").first()
    return recipe or Recipe.objects.create(name="Standard", fps=24)


@transaction.atomic
def _set_up_demo(name: str, kind: str, address: str, interval_s: int, recipe: Recipe) -> None:
    """The camera, its running timelapse and the film that follows it; what an operator changed since stays."""
    camera = Camera.objects.filter(name=name).first()
    if camera is not None:
        Camera.objects.filter(pk=camera.pk).exclude(address=address).update(address=address)
        return
    camera = Camera.objects.create(
        name=name, kind=kind, address=address, notes="Served by the demonstration on this machine."
    )
    timelapse = Timelapse.objects.create(
        camera=camera,
        name=f"A day at the {name.split()[0].lower()}",
        plan=every(interval_s),
        # By then everything is up: a demonstration does not begin with missed slots.
        start_at=clock.now() + START_UP,
    )
    rendering.create_follower(timelapse, recipe)
    campaign.start(timelapse, by="demonstration")
