"""Django's entry for the project itself: its commands and its pages."""

from __future__ import annotations

from django.apps import AppConfig


class TimelapserConfig(AppConfig):
    name = "timelapser"
    verbose_name = "Timelapser"
