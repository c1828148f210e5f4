"""Rows to test with: each function makes one, valid, and takes any field by name."""

import hashlib
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import count
from typing import Any

from django.contrib.auth.models import Group, User
from PIL import Image

from cameras.models import Camera
from captures.intervalometer import every
from captures.models import Capture, Timelapse
from media_jobs import files
from media_jobs.models import MediaJob
from timelapser.queues import QUEUE_OF_KIND
from videos.models import Recipe, Video

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
_number = count(1)


def make_user(name: str = "", *, role: str = "", **kw: Any) -> User:
    """A user of the role viewer, operator or admin; none without one."""
    user = User.objects.create_user(name or f"user{next(_number)}", **kw)
    if role:
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    return user


def make_camera(*, password: str = "", **kw: Any) -> Camera:
    number = next(_number)
    camera = Camera(**{"name": f"Camera {number}", "address": f"rtsp://192.0.2.7/{number}"} | kw)
    camera.set_password(password)
    camera.save()
    return camera


def make_timelapse(**kw: Any) -> Timelapse:
    """In the state "created" unless said otherwise; no schedule is written: that is captures.campaign's.

    `interval_s` and `is_on_the_clock` make the plain plan.
    """
    kw.setdefault("camera", None)
    kw["camera"] = kw["camera"] or make_camera()
    if kw.get("state", "created") != "created":
        kw.setdefault("started_at", NOON)
    if "interval_s" in kw or "is_on_the_clock" in kw:
        kw["plan"] = every(kw.pop("interval_s", 300), on_the_clock=kw.pop("is_on_the_clock", False))
    return Timelapse.objects.create(**{"name": f"Timelapse {next(_number)}"} | kw)


def make_capture(**kw: Any) -> Capture:
    """An owed capture, each at a slot of its own."""
    kw.setdefault("timelapse", None)
    kw["timelapse"] = kw["timelapse"] or make_timelapse()
    kw.setdefault("slot", NOON + timedelta(seconds=next(_number)))
    kw.setdefault("give_up_at", kw["slot"] + timedelta(seconds=30))
    return Capture.objects.create(**kw)


def make_jpeg(width: int = 64, height: int = 48, color: tuple[int, int, int] = (40, 90, 160)) -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, height), color).save(file, "JPEG", quality=90)
    return file.getvalue()


def make_stored_capture(jpeg: bytes | None = None, **kw: Any) -> Capture:
    """A stored capture whose file is in the media folder; the counters of its timelapse are left alone."""
    jpeg = make_jpeg() if jpeg is None else jpeg
    capture = make_capture(**kw)
    timelapse = capture.timelapse
    folder = f"cameras/{timelapse.camera_id}/timelapses/{timelapse.pk}/frames/{capture.slot:%Y-%m-%d}"
    capture.file = f"{folder}/{capture.slot:%Y%m%dT%H%M%S}_{capture.pk}.jpg"
    files.write(capture.file, jpeg)
    capture.width, capture.height = Image.open(BytesIO(jpeg)).size
    capture.state = Capture.State.STORED
    capture.bytes = len(jpeg)
    capture.checksum = hashlib.sha256(jpeg).hexdigest()
    capture.codec = "mjpeg"
    capture.taken_at = capture.slot
    capture.lateness_ms, capture.duration_ms = 3, 120
    capture.save()
    return capture


def make_recipe(**kw: Any) -> Recipe:
    return Recipe.objects.create(**{"name": f"Recipe {next(_number)}"} | kw)


def make_video(**kw: Any) -> Video:
    """A film that was never rendered; no files."""
    for name, make in (("timelapse", make_timelapse), ("recipe", make_recipe)):
        kw[name] = kw.get(name) or make()
    return Video.objects.create(**{"name": f"Film {next(_number)}"} | kw)


def make_job(**kw: Any) -> MediaJob:
    """A queued job; it is sent to no queue."""
    number = next(_number)
    given = {
        "task": "cameras.test_connection",
        "queue": QUEUE_OF_KIND.get(kw.get("task", "cameras.test_connection"), "upkeep"),
        "key": f"test {number}",
        "topic": "camera.1",
        "title": f"Test connection {number}",
        "requested_at": NOON,
        "run_after": NOON,
    }
    return MediaJob.objects.create(**given | kw)
