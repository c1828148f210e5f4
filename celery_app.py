"""The Celery application: configured by Django's settings, tasks found in each app's tasks.py."""

from __future__ import annotations

import os
import warnings

from celery import Celery
from django_structlog.celery.steps import DjangoStructLogInitStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "timelapser.settings")

# Celery warns of root because pickled messages could run anything: ours are JSON, and others are refused.
warnings.filterwarnings("ignore", message="(?s)You're running the worker with superuser privileges")

app = Celery("timelapser")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.steps["worker"].add(DjangoStructLogInitStep)
app.autodiscover_tasks()
