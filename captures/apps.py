"""Django's entry for this app."""

from __future__ import annotations

from django.apps import AppConfig


class CapturesConfig(AppConfig):
    name = "captures"
    verbose_name = "Timelapses and captures"

    def ready(self) -> None:
        from captures import trail
        from media_jobs import audit

        audit.add_source(trail.steps)
