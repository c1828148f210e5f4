"""A camera's password goes in and is never seen again: in no answer, page, log line, event or job."""

import json
import logging

from django.contrib import admin as django_admin
from django.urls import reverse

from cameras import sealing
from cameras.models import Camera
from captures import campaign
from media_jobs.models import Event, MediaJob
from tests.factories import make_timelapse

SECRET = "S3cr3t!pw"
CAMERA = {"name": "Garden", "kind": "rtsp", "address": "rtsp://192.0.2.9/live", "username": "eva"}


def look(client, method, path, *args, **kwargs):
    answer = getattr(client, method)(path, *args, **kwargs)
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return f"{path} {answer.status_code} {dict(answer.headers)} {content.decode('utf-8', 'replace')}"


def test_a_password_leaks_nowhere(superuser, api, pages, caplog):
    caplog.set_level(logging.DEBUG)
    client, browser, seen = api(superuser), pages(superuser), []

    seen.append(look(client, "post", "/api/v1/cameras/", CAMERA | {"password": SECRET}))
    camera = Camera.objects.get()
    assert sealing.unseal(camera.sealed_password) == SECRET
    timelapse = make_timelapse(camera=camera)
    campaign.start(timelapse, by="ada")

    wrong = [
        {"password": SECRET},
        CAMERA | {"password": SECRET},  # the name is taken
        CAMERA | {"name": "2", "password": SECRET, "kind": "nonsense"},
        CAMERA | {"name": "2", "password": SECRET, "address": f"rtsp://eva:{SECRET}@192.0.2.9/live"},
        CAMERA | {"name": "2", "password": [SECRET]},
        CAMERA | {"name": "2", "password": {"a": SECRET}},
    ]
    for body in wrong:
        seen += [look(client, "post", f"/api/v1/{door}/", body) for door in ("cameras", "cameras/test")]
        seen.append(look(client, "patch", f"/api/v1/cameras/{camera.pk}/", body))
    seen.append(
        look(client, "post", "/api/v1/cameras/", f'{{"password": "{SECRET}"', content_type="application/json")
    )
    seen.append(look(client, "put", f"/api/v1/cameras/{camera.pk}/", CAMERA | {"password": SECRET}))
    seen.append(look(client, "post", f"/api/v1/cameras/{camera.pk}/test/"))
    test = {"kind": "rtsp", "address": CAMERA["address"], "password": SECRET, "camera": camera.pk}
    seen.append(look(client, "post", "/api/v1/cameras/test/", test))
    seen.append(look(client, "post", f"/api/v1/cameras/{camera.pk}/capture-now/"))
    seen.append(look(client, "delete", f"/api/v1/cameras/{camera.pk}/"))
    jobs = list(MediaJob.objects.all())
    assert len(jobs) >= 2
    for name in (
        "cameras",
        "timelapses",
        "captures",
        "recipes",
        "videos",
        "jobs",
        "events",
        "system",
        "schema",
    ):
        seen.append(look(client, "get", f"/api/v1/{name}/?since=0"))
    for path in (f"cameras/{camera.pk}", f"timelapses/{timelapse.pk}", *(f"jobs/{job.pk}" for job in jobs)):
        seen.append(look(client, "get", f"/api/v1/{path}/"))
    for model in django_admin.site._registry:
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        seen.append(look(browser, "get", reverse(f"{base}_changelist")))
    for row in (camera, timelapse, *jobs):
        base = f"admin:{row._meta.app_label}_{row._meta.model_name}"
        seen += [
            look(browser, "get", reverse(f"{base}_{page}", args=[row.pk])) for page in ("change", "history")
        ]
    seen.append(look(browser, "post", reverse("admin:cameras_camera_add"), CAMERA | {"password": SECRET}))
    seen += [repr(values) for model in (Event, MediaJob, Camera) for values in model.objects.values()]
    seen += [f"{record.getMessage()} {record.__dict__} {record.exc_text}" for record in caplog.records]

    assert len(seen) > 80
    hidden = [camera.sealed_password, *(job.args.get("sealed_password") or "-----" for job in jobs)]
    everything = "\n".join(seen)
    assert SECRET not in everything
    assert json.dumps(SECRET) not in everything
    rows = {repr(values) for model in (MediaJob, Camera) for values in model.objects.values()}
    outside = "\n".join(text for text in seen if text not in rows)
    assert not [sealed for sealed in hidden if sealed in outside]


def test_the_advice_for_a_pasted_login_does_not_repeat_it(admin, api):
    pasted = CAMERA | {"address": f"rtsp://eva:{SECRET}@192.0.2.9/live"}

    answer = api(admin).post("/api/v1/cameras/", pasted)

    assert answer.status_code == 400
    assert answer.json()["errors"] == {
        "address": ["Write user name and password into their own fields, not into the address."]
    }
