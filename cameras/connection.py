"""Reading a camera: one still for a capture, or a test that says in plain words what was found."""

from __future__ import annotations

import math
import secrets
from dataclasses import replace
from functools import partial
from typing import Any, Literal, cast

from django.conf import settings

from cameras import hiding, sealing
from cameras.exceptions import MasksChanged, SealBroken
from cameras.geometry import Geometry, GeometryRefused
from cameras.models import Camera, Site
from cameras.sources import SourceError, SourceKind, SourceSettings, Still, open_source
from media_jobs import files, lifecycle
from media_jobs.models import MediaJob
from media_jobs.tracked import Running

SEALED = "sealed_password"
MASKS_OF = "masks_of"  # the camera that a form changes; where there is none, all of the address's host


def settings_of(camera: Camera) -> SourceSettings:
    """What the camera's source needs to know. Raises SealBroken."""
    return _settings(
        kind=camera.kind,
        address=camera.address,
        transport=camera.transport,
        username=camera.username,
        password=sealing.unseal(camera.sealed_password),
        verify_tls=camera.verify_tls,
        connect_timeout_s=camera.connect_timeout_s,
        deadline_s=camera.deadline_s,
    )


def read_still(camera: Camera, *, connect_within_s: float = math.inf) -> Still:
    """Raises SourceError, SealBroken. `connect_within_s`: where the camera's own time for that is longer."""
    source = settings_of(camera)
    source = replace(source, connect_timeout_s=min(source.connect_timeout_s, connect_within_s))
    return open_source(source).read()


def request_camera_test(camera: Camera, *, by: str) -> MediaJob:
    """Asks for a test of a saved camera; the job's result says what was found."""
    return _request(
        key=f"camera.{camera.pk}",
        topic=camera.topic,
        title=f"Test of {camera.name}",
        args={"camera": camera.pk},
        by=by,
        queue=camera.capture_queue,
    )


def request_test(
    *,
    kind: str,
    address: str,
    transport: str,
    username: str,
    password: str,
    verify_tls: bool,
    connect_timeout_s: float,
    deadline_s: float,
    by: str,
    camera: Camera | None = None,
    site: Site | None = None,
) -> MediaJob:
    """Asks for a test of what a form holds, from the network of `site` (None: any worker's).

    An empty password stands for the one that `camera` has.
    """
    sealed = sealing.seal(password) if password else (camera.sealed_password if camera else "")
    return _request(
        key=secrets.token_hex(8),
        topic=camera.topic if camera else hiding.NEW_CAMERA,
        title=f"Test of {camera.name if camera else 'a new camera'}",
        args={
            "kind": kind,
            "address": address,
            "transport": transport,
            "username": username,
            "sealed_password": sealed,
            "verify_tls": verify_tls,
            "connect_timeout_s": connect_timeout_s,
            "deadline_s": deadline_s,
            MASKS_OF: camera.pk if camera else None,
        },
        by=by,
        queue=settings.CAPTURE_QUEUE_OF(site.slug if site else None),
    )


def run_test(running: Running) -> dict[str, Any]:
    """Reads one still and says what it was, or what went wrong and what helps."""
    from cameras.previews import decode  # slow import: the web asks for tests, but never shows one

    args = running.args
    try:
        if "camera" in args:
            source = settings_of(Camera.objects.get(pk=args["camera"]))
        else:
            values = {name: value for name, value in args.items() if name not in (SEALED, MASKS_OF)}
            source = _settings(**values, password=sealing.unseal(sealed_password(args)))
        still = open_source(source).read()
        kept = hiding.keep_previews(
            running.job, decode(still), {hiding.PREVIEW: Geometry()}, partial(_masks_for, args)
        )
    except (SourceError, SealBroken, MasksChanged, GeometryRefused, Camera.DoesNotExist) as error:
        return refusal(error) | {"preview": ""}
    return {
        "ok": True,
        "code": "",
        "message": "The camera answered with a picture.",
        "advice": "",
        "width": still.width,
        "height": still.height,
        "codec": still.codec,
        "elapsed_ms": math.ceil(still.elapsed_s * 1000),
        "bytes": len(still.encoded) if still.encoded is not None else files.size(kept[hiding.PREVIEW]) or 0,
        **kept,
    }


def refusal(error: Exception) -> dict[str, Any]:
    """What a test says of a camera that could not be read: a code, a sentence, and what helps."""
    said = {
        SealBroken: ("password_unreadable", str(error), "Enter the password again."),
        MasksChanged: ("masks_changed", str(error), "Try it again."),
        GeometryRefused: (
            "geometry_unreadable",
            "The camera's masks cannot be read.",
            "Draw its geometry anew.",
        ),
        Camera.DoesNotExist: ("gone", "The camera is gone.", ""),
    }
    if isinstance(error, SourceError):
        code, message, advice = error.code, str(error), error.advice
    else:
        code, message, advice = said[type(error)]
    return {"ok": False, "code": code, "message": message, "advice": advice}


def _masks_for(args: dict[str, Any]) -> Geometry:
    camera = args.get("camera") or args.get(MASKS_OF)
    return hiding.masks_of(camera) if camera else hiding.masks_at(args["address"])


def sealed_password(args: dict[str, Any]) -> str:
    """Raises SealBroken where it is gone: a job that has ended keeps nothing sealed, so its retry lacks it."""
    if SEALED not in args:
        raise SealBroken("The password of this test is not kept.")
    return str(args[SEALED])


def _settings(**values: Any) -> SourceSettings:
    made = SourceSettings(
        kind=SourceKind(values["kind"]),
        address=values["address"],
        username=values["username"],
        password=values["password"],
        transport=cast("Literal['tcp', 'udp']", values["transport"]),
        verify_tls=values["verify_tls"],
        connect_timeout_s=values["connect_timeout_s"],
        deadline_s=values["deadline_s"],
    )
    return replace(
        made, allow_loopback=settings.ALLOW_LOOPBACK_CAMERAS, folders=tuple(settings.CAMERA_FOLDERS)
    )


def _request(*, key: str, topic: str, title: str, args: dict[str, Any], by: str, queue: str) -> MediaJob:
    job, _ = lifecycle.record(
        "cameras.test_connection",
        key=key,
        topic=topic,
        title=title,
        args=args,
        requested_by=by,
        priority=MediaJob.Priority.HIGH,
        unit="pictures",
        queue=queue,
    )
    return job
