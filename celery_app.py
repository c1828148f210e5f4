"""The Celery application: configured by Django's settings, tasks found in each app's tasks.py."""

from __future__ import annotations

import os
import sys
import time
import warnings
from typing import Any

from celery import Celery
from celery.signals import before_task_publish, task_postrun, task_prerun, worker_init
from django.db import close_old_connections
from django_structlog.celery.steps import DjangoStructLogInitStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "timelapser.settings")
# All of Django's checks would load every page and the admin into every worker: 16 MB each. Ours are made below.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

# Celery warns of root because pickled messages could run anything: ours are JSON, and others are refused.
warnings.filterwarnings("ignore", message="(?s)You're running the worker with superuser privileges")

app = Celery("timelapser")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.steps["worker"].add(DjangoStructLogInitStep)
app.autodiscover_tasks()
# Celery would open a connection to the database for each task and close it behind: several milliseconds, of each
# capture too. Django's own rule keeps it for CONN_MAX_AGE, and looks before each task whether it still works.
app.conf["CELERY_DB_REUSE_MAX"] = sys.maxsize
task_prerun.connect(close_old_connections)
task_postrun.connect(close_old_connections)


@worker_init.connect
def check(**_: Any) -> None:
    """A worker on a machine of its own says what is wrong there before it takes work."""
    from django.core.checks import run_checks

    if wrong := [str(message) for message in run_checks(tags=["timelapser"]) if message.is_serious()]:
        raise SystemExit("\n".join(wrong))


@before_task_publish.connect
def stamp(headers: dict[str, Any], **_: Any) -> None:
    """Every message says when it was sent (seconds of the epoch, by the sender's clock; beat's by the database's)."""
    headers.setdefault("sent_at", time.time())
