"""Django's entry for this app."""

from __future__ import annotations

from django.apps import AppConfig


class MediaJobsConfig(AppConfig):
    name = "media_jobs"
    verbose_name = "Jobs"
