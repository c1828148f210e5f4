"""Finding what a camera offers, by a job, and choosing one of it by a click: all else of the camera remains."""

from __future__ import annotations

import secrets
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from cameras import changes, connection, sealing
from cameras.exceptions import NothingToChoose, NotOnNetwork, SealBroken
from cameras.hiding import NEW_CAMERA
from cameras.models import Camera, Site
from cameras.sources import SourceError, SourceKind
from cameras.sources.addresses import validate_address
from cameras.sources.offers import SNAPSHOTS, STREAMS
from cameras.stream_search import Search, Target
from media_jobs import lifecycle
from media_jobs.events import EventType
from media_jobs.models import MediaJob
from media_jobs.tracked import Running

TASK = "cameras.detect"


def target_of(kind: str, address: str) -> Target:
    """The device behind a camera's address, without its login. Raises NotOnNetwork, AddressRefused."""
    if kind == Camera.Kind.FILES:
        raise NotOnNetwork
    parts = urlsplit(
        validate_address(SourceKind(kind), address, allow_loopback=settings.ALLOW_LOOPBACK_CAMERAS)
    )
    is_rtsp = kind == Camera.Kind.RTSP
    web_port = None if is_rtsp else parts.port or (443 if parts.scheme == "https" else None)
    return Target(parts.hostname or "", rtsp_port=parts.port if is_rtsp else None, web_port=web_port)


def request_for_camera(camera: Camera, *, by: str) -> MediaJob:
    """Asks what a saved camera offers. Raises NotOnNetwork, AddressRefused."""
    target_of(camera.kind, camera.address)
    return _request(
        key=f"camera.{camera.pk}",
        topic=camera.topic,
        title=f"Streams of {camera.name}",
        args={"camera": camera.pk},
        by=by,
        queue=camera.capture_queue,
    )


def request(
    *,
    kind: str,
    address: str,
    username: str,
    password: str,
    verify_tls: bool,
    by: str,
    camera: Camera | None = None,
    site: Site | None = None,
    rtsp_port: int | None = None,
    web_port: int | None = None,
) -> MediaJob:
    """The same for what a form holds, at ports that can be given; an empty password stands for the one that `camera`
    has. Raises as above."""
    target = target_of(kind, address)
    sealed = sealing.seal(password) if password else (camera.sealed_password if camera else "")
    return _request(
        key=secrets.token_hex(8),
        topic=camera.topic if camera else NEW_CAMERA,
        title=f"Streams of {camera.name if camera else target.host}",
        args={
            "host": target.host,
            "rtsp_port": rtsp_port or target.rtsp_port,
            "web_port": web_port or target.web_port,
            "username": username,
            connection.SEALED: sealed,
            "verify_tls": verify_tls,
        },
        by=by,
        queue=settings.CAPTURE_QUEUE_OF(site.slug if site else None),
    )


def run(running: Running) -> dict[str, Any]:
    """The job: what was found, the recommended one first; or why there is nothing, and what helps."""
    try:
        search = Search(_target(running.args), running)
    except NotOnNetwork as error:
        return {"ok": False, "code": "not_on_network", "message": str(error), "advice": "", "offers": []}
    except (SealBroken, SourceError, Camera.DoesNotExist) as error:
        return connection.refusal(error) | {"offers": []}
    offers = search.run()
    facts = search.facts() | {"offers": [asdict(offer) for offer in offers]}
    if offers:
        words = "One stream answers." if len(offers) == 1 else f"{len(offers)} streams answer."
        return {"ok": True, "code": "", "message": words + search.remark, "advice": ""} | facts
    return connection.refusal(search.failure) | facts


def offer_of(job: MediaJob, number: int) -> dict[str, Any]:
    """The offer of this number in a job that has ended. Raises NothingToChoose."""
    offers = (job.result or {}).get("offers", [])
    if job.task != TASK or not 0 <= number < len(offers):
        raise NothingToChoose
    found: dict[str, Any] = offers[number]
    return found


def choose(camera: Camera, job: MediaJob, number: int, *, by: str) -> Camera:
    """Reads the camera where the offer is from now on; all else of it remains.

    Raises NothingToChoose, AddressRefused.
    """
    offer = offer_of(job, number)
    if job.topic != camera.topic:
        raise NothingToChoose
    address = validate_address(
        SourceKind(offer["kind"]), offer["address"], allow_loopback=settings.ALLOW_LOOPBACK_CAMERAS
    )
    values = {"kind": offer["kind"], "address": address, "transport": offer["transport"]}
    changed = sorted(name for name, value in values.items() if getattr(camera, name) != value)
    for name in changed:
        setattr(camera, name, values[name])
    if changed:
        with transaction.atomic():
            camera.save(update_fields=changed)
            changes.tell(EventType.CAMERA_UPDATED, camera, by=by, changed=changed)
    return camera


def _target(args: dict[str, Any]) -> Target:
    """Raises SealBroken, AddressRefused, Camera.DoesNotExist."""
    if "camera" in args:
        camera = Camera.objects.get(pk=args["camera"])
        found = target_of(camera.kind, camera.address)
        username, password, verify_tls = camera.username, camera.sealed_password, camera.verify_tls
    else:
        found = Target(args["host"], rtsp_port=args["rtsp_port"], web_port=args["web_port"])
        username, verify_tls = args["username"], args["verify_tls"]
        password = connection.sealed_password(args)
    return replace(found, username=username, password=sealing.unseal(password), verify_tls=verify_tls)


def _request(*, key: str, topic: str, title: str, args: dict[str, Any], by: str, queue: str) -> MediaJob:
    job, _ = lifecycle.record(
        TASK,
        key=key,
        topic=topic,
        title=title,
        args=args,
        requested_by=by,
        priority=MediaJob.Priority.HIGH,
        total=len(STREAMS) + len(SNAPSHOTS),
        unit="paths",
        queue=queue,
    )
    return job
