from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django_celery_beat.models import PeriodicTask

from captures.models import Timelapse
from media_jobs import clock
from media_jobs.models import Pulse
from tests.campaigns import running
from timelapser.schedule import ENTRIES

pytestmark = pytest.mark.django_db(transaction=True)


def test_check_ledger_fails_where_the_ledger_disagrees(capsys):
    timelapse, other = running(), running()
    call_command("check_ledger")
    assert "whole" in capsys.readouterr().out
    Timelapse.objects.filter(pk=timelapse.pk).update(image_count=3)

    with pytest.raises(CommandError, match="2 faults"):
        call_command("check_ledger")
    call_command("check_ledger", str(other.pk))
    assert timelapse.name in capsys.readouterr().out


def test_sync_schedule_writes_its_entries_and_keeps_the_operators_edits():
    call_command("sync_schedule", verbosity=0)
    task = PeriodicTask.objects.get(task="videos.follow")
    task.enabled = False
    task.save()
    PeriodicTask.objects.create(name="timelapser: old", task="old", interval=task.interval)
    PeriodicTask.objects.create(name="somebody's", task="x", interval=task.interval)

    call_command("sync_schedule", verbosity=0)

    names = set(PeriodicTask.objects.values_list("name", flat=True))
    assert names == {entry.name for entry in ENTRIES} | {"somebody's"}
    task.refresh_from_db()
    assert task.enabled is False
    call_command("sync_schedule", "--reset", verbosity=0)
    task.refresh_from_db()
    assert task.enabled is True


def test_prepare_makes_the_login_once(capsys):
    call_command("prepare")
    call_command("prepare")

    assert User.objects.filter(is_superuser=True).count() == 1
    assert capsys.readouterr().out.count("password") == 1
    assert set(Group.objects.values_list("name", flat=True)) == {"viewer", "operator", "admin"}


def test_prepare_sets_the_demonstration_up_once():
    for _ in range(2):
        call_command(
            "prepare", "--no-login", demo_rtsp="rtsp://127.0.0.1:1/a", demo_http="http://127.0.0.1:2/b"
        )

    assert [timelapse.state for timelapse in Timelapse.objects.all()] == ["running", "running"]
    assert all(timelapse.videos.filter(follows=True).count() == 1 for timelapse in Timelapse.objects.all())
    call_command("check_ledger")


def test_healthcheck_tells_the_living_from_the_silent():
    now = clock.now()
    for role in ("beat", "video"):
        with pytest.raises(CommandError):
            call_command("healthcheck", role)
    Pulse.objects.create(name="captures.plan", kind="clock", at=now)
    Pulse.objects.create(name="video@host", kind="worker", at=now, facts={})
    for role in ("beat", "video"):
        call_command("healthcheck", role)
    Pulse.objects.update(at=now - timedelta(hours=1))
    for role in ("beat", "video"):
        with pytest.raises(CommandError):
            call_command("healthcheck", role)
