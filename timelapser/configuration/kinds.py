"""The kinds of things that a file holds: each entry is compared with what there is, checked, and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Model
from rest_framework.serializers import ModelSerializer

from cameras import changes, configured, sealing
from cameras.exceptions import SealBroken
from cameras.geometry import Geometry, GeometryRefused
from cameras.models import Camera, Site
from cameras.serializers import CameraSerializer, SiteSerializer
from cameras.settings import Level, Settings, SettingsRefused, options
from cameras.sources.addresses import MASK, mask_query
from captures import campaign, framing
from captures.models import Timelapse
from captures.serializers import TimelapseSerializer
from media_jobs.events import EventType
from timelapser.configuration.exporting import CAMERA, RECIPE, SITE, TIMELAPSE, in_order
from timelapser.problems import flatten
from videos.models import Recipe
from videos.serializers import RecipeSerializer

OPENLY = "A secret is not written into a file openly."


class EntryRefused(ValueError):
    """`problems` has a sentence for each field."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(str(problems))
        self.problems = dict(problems)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a file: what is written, and the how-manieth of its name it is."""

    written: Any
    name: str
    number: int
    secrets: Mapping[str, Any]
    by: str
    now: datetime

    def fields(self, names: tuple[str, ...], *more: str) -> dict[str, Any]:
        """Those of `names` that are written. Raises EntryRefused where others are."""
        unknown = self.written.keys() - set(names) - set(more)
        if unknown:
            raise EntryRefused({str(name)[:60]: "There is no such field." for name in unknown})
        return {name: value for name, value in self.written.items() if name in names}


@dataclass(slots=True)
class Changed:
    """What was done with an entry."""

    is_new: bool
    names: list[str] = field(default_factory=list)


class RecipeEntrySerializer(RecipeSerializer):
    class Meta(RecipeSerializer.Meta):
        fields = list(RECIPE)


def write_settings(entry: Entry) -> Changed:
    secrets = entry.secrets.get("settings")
    row = configured.global_row()
    return Changed(
        False, _set(entry, Level.GLOBAL, row, entry.written, secrets if isinstance(secrets, dict) else {})
    )


def write_site(entry: Entry) -> Changed:
    row = Site.objects.filter(slug=entry.name).first()
    form, names = _form(SiteSerializer, row, entry.fields(SITE))
    if names or row is None:
        saved = form.save()
        changes.note_site("updated" if row else "created", saved, by=entry.by, changed=names if row else None)
    return Changed(row is None, names)


def write_recipe(entry: Entry) -> Changed:
    row = Recipe.objects.filter(name=entry.name).first()
    form, names = _form(RecipeEntrySerializer, row, entry.fields(RECIPE))
    if names or row is None:
        form.save()
    return Changed(row is None, names)


def write_camera(entry: Entry) -> Changed:
    """Its columns, then its geometry and its settings, each by the door through which people change them."""
    row = Camera.objects.filter(name=entry.name).select_related("site").first()
    values = entry.fields(CAMERA, "site", "geometry", "settings") | _site(entry.written)
    values |= _login(entry, row, values)
    form, names = _form(CameraSerializer, row, values)
    camera = row
    if names or row is None:
        camera = form.save()
        type_ = EventType.CAMERA_UPDATED if row else EventType.CAMERA_CREATED
        changes.tell(type_, camera, by=entry.by, changed=names if row else None)
    assert camera is not None  # noqa: S101 - it was there, or it has just been made
    if "geometry" in entry.written:
        names += ["geometry"] if framing.set_geometry(camera, _geometry(entry.written), by=entry.by) else []
    if "settings" in entry.written:
        names += _set(entry, Level.CAMERA, camera, entry.written["settings"])
    if row is not None and {"latitude", "longitude"} & set(names):
        campaign.reschedule_of_camera(camera, by=entry.by)
    return Changed(row is None, names)


def write_timelapse(entry: Entry) -> Changed:
    """One that is new waits to be started; the plan of one that runs is changed as people change it."""
    camera = entry.written.get("camera")
    owner = (
        Camera.objects.filter(name=camera).first()
        if isinstance(camera, str) and camera.isprintable()
        else None
    )
    if owner is None:
        raise EntryRefused({"camera": "There is no camera of this name."})
    row = in_order().filter(camera=owner, name=entry.name)[entry.number : entry.number + 1].first()
    values = entry.fields(TIMELAPSE, "camera", "settings")
    form, names = _form(TimelapseSerializer, row, values | ({} if row else {"camera": owner.pk}))
    timelapse = row or Timelapse(**form.validated_data)
    if row is None:
        campaign.create(timelapse, by=entry.by)
    elif names:
        campaign.change(timelapse, by=entry.by, **{name: form.validated_data[name] for name in names})
    if "settings" in entry.written:
        names += _set(entry, Level.TIMELAPSE, timelapse, entry.written["settings"])
    return Changed(row is None, names)


def _form(
    serializer: type[ModelSerializer[Any]], row: Model | None, values: dict[str, Any]
) -> tuple[ModelSerializer[Any], list[str]]:
    """The API's own form, filled in with what differs from the row, and the names of that. Raises EntryRefused."""
    if row is not None:
        values = {
            name: value for name, value in values.items() if name == "password" or _now(row, name) != value
        }
    form = serializer(row, data=values, partial=row is not None)
    if not form.is_valid():
        raise EntryRefused({name: " ".join(words) for name, words in flatten(form.errors).items()})
    names = [
        name
        for name, value in form.validated_data.items()
        if name == "password" or row is None or getattr(row, name) != value
    ]
    return form, [] if row is None else names


def _now(row: Any, name: str) -> Any:
    if name == "site":
        return row.site_id
    value = getattr(row, name)
    return value.isoformat() if isinstance(value, datetime) else value


def _site(written: dict[str, Any]) -> dict[str, Any]:
    if "site" not in written:
        return {}
    slug = written["site"]
    if slug is None:
        return {"site": None}
    site = Site.objects.filter(slug=slug).first() if isinstance(slug, str) and slug.isprintable() else None
    if site is None:
        raise EntryRefused({"site": "There is no such site, here or in the file."})
    return {"site": site.pk}


def _login(entry: Entry, row: Camera | None, values: dict[str, Any]) -> dict[str, Any]:
    """Address and password as they are, from the sealed part of the file, where they differ from what there is.

    A password belongs to its address: with another one it would be sent to somebody else.
    """
    shown = values.pop("address", None)
    of_all = entry.secrets.get("cameras")
    sealed = of_all.get(entry.name) if isinstance(of_all, dict) else None
    if isinstance(sealed, dict):
        address, password = sealed.get("address"), sealed.get("password")
        if not isinstance(address, str) or not isinstance(password, str) or mask_query(address) != shown:
            raise EntryRefused({"address": "It is not the address that the sealed password was for."})
        is_known = row is not None and _password(row) == password
        return {"address": address} | ({} if is_known else {"password": password})
    if shown is None or (row is not None and shown == row.shown_address):
        return {}
    if isinstance(shown, str) and MASK in shown.partition("?")[2]:
        raise EntryRefused({"address": "It holds a secret, which this file does not have."})
    return {"address": shown}


def _password(camera: Camera) -> str | None:
    try:
        return sealing.unseal(camera.sealed_password)
    except SealBroken:
        return None


def _geometry(written: dict[str, Any]) -> Geometry:
    try:
        return Geometry.from_document(written["geometry"])
    except GeometryRefused as error:
        raise EntryRefused({f"geometry.{name}": words for name, words in error.problems.items()}) from None


def _set(
    entry: Entry, level: Level, target: Any, said: Any, secrets: Mapping[str, Any] | None = None
) -> list[str]:
    """A level says what the file says and no more; secrets stay where the file has none."""
    if not isinstance(said, dict):
        raise EntryRefused({"settings": "Names with their values."})
    hidden = {name for name, known in options(Settings).items() if known.is_secret}
    if openly := hidden & said.keys():
        raise EntryRefused({f"settings.{name}": OPENLY for name in openly})
    known = set(options(Settings)) - hidden
    silent = {name: configured.INHERIT for name in target.said if name in known and name not in said}
    try:
        moved = configured.change(
            level, target, {**silent, **said, **(secrets or {})}, by=entry.by, now=entry.now
        )
    except SettingsRefused as error:
        problems = {f"settings.{name}": words for name, words in error.problems.items()}
        raise EntryRefused(problems) from None
    return [f"settings.{name}" for name in moved]
