"""Django's entry for the project itself: its commands, its pages, its broker."""

from __future__ import annotations

from django.apps import AppConfig


class TimelapserConfig(AppConfig):
    name = "timelapser"
    verbose_name = "Timelapser"

    def ready(self) -> None:
        import celery_app  # noqa: F401 - whoever sends a job must know the broker
        from timelapser import checks, logs  # noqa: F401 - they register themselves
