"""Settings are changed here: all values of one wish or none, with their history, the audit, and word to who looks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Model

from cameras import sealing
from cameras.exceptions import SealBroken
from cameras.models import GlobalSettings, SettingChange
from cameras.settings import Level, Settings, SettingsRefused, merged, options
from media_jobs import audit
from media_jobs.events import EventType, emit

INHERIT = None
# What the history says of a secret, at the place of the new value.
SET, REMOVED = "set", "removed"
CHANGED_MEANWHILE = "Somebody else has changed it meanwhile; this is what it is now."


def global_row() -> GlobalSettings:
    """The one row; not saved where nobody has set anything yet."""
    return GlobalSettings.objects.filter(pk=GlobalSettings.ONLY).first() or GlobalSettings()


def change(
    level: Level,
    target: Model,
    wanted: Mapping[str, Any],
    *,
    by: str,
    now: datetime,
    seen: Mapping[str, Any] | None = None,
) -> list[str]:
    """Sets what `wanted` names for `target` (global_row(), a camera, a timelapse), INHERIT takes back. Who reads
    settings does so for each picture, so it is in force from the next one on. Returns the names that have changed.

    `seen` has what the level said of some of the names when the person looked (None: nothing). Raises SettingsRefused,
    with every problem by its name: values, levels, and what somebody else has changed since.
    """
    wanted = {name: _nothing_is_inherited(name, value) for name, value in wanted.items()}
    with transaction.atomic():
        row = _locked(target)
        before: dict[str, Any] = row.said
        after = merged(level, _opened(before), wanted)
        moved = sorted(name for name in wanted if _opened(before).get(name) != after.get(name))
        _refuse_overtaken(before, {name: value for name, value in (seen or {}).items() if name in moved})
        if moved:
            # What is not wanted stays as it is sealed, or as an older version has written it.
            kept = {name: value for name, value in before.items() if name not in moved}
            row.said = kept | {name: _sealed(name, after[name]) for name in moved if name in after}
            row.save(update_fields=["said"])
            _tell(level, row, before, moved, by=by, now=now)
    target.said = row.said  # type: ignore[attr-defined] # all three have it
    return moved


def reseal() -> list[str]:
    """Seals the secrets with the newest key. Returns the labels of those that none of the keys opens."""
    lost = []
    with transaction.atomic():
        row = _locked(GlobalSettings())
        for name in filter(_is_secret, row.said):
            try:
                row.said[name] = sealing.reseal(row.said[name])
            except SealBroken:
                lost.append(options(Settings)[name].label)
        row.save(update_fields=["said"])
    return lost


def _locked(target: Model) -> Any:
    rows = type(target)._default_manager
    if isinstance(target, GlobalSettings):
        rows.bulk_create([GlobalSettings()], ignore_conflicts=True)
    return rows.select_for_update(no_key=True).get(pk=target.pk)


def _is_secret(name: str) -> bool:
    known = options(Settings).get(name)
    return known is not None and known.is_secret


def _nothing_is_inherited(name: str, value: Any) -> Any:
    return INHERIT if _is_secret(name) and value == "" else value


def _opened(said: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its secrets as they were typed; one that no key opens differs from every new one."""
    opened = dict(said)
    for name in filter(_is_secret, said):
        try:
            opened[name] = sealing.unseal(said[name])
        except SealBroken:
            opened[name] = said[name]
    return opened


def _sealed(name: str, value: Any) -> Any:
    return sealing.seal(value) if _is_secret(name) else value


def _refuse_overtaken(before: Mapping[str, Any], seen: Mapping[str, Any]) -> None:
    overtaken = [name for name, value in seen.items() if not _is_secret(name) and before.get(name) != value]
    if overtaken:
        raise SettingsRefused(dict.fromkeys(overtaken, CHANGED_MEANWHILE))


def _tell(
    level: Level, row: Any, before: Mapping[str, Any], names: list[str], *, by: str, now: datetime
) -> None:
    changes = []
    for name in names:
        old, new = before.get(name), row.said.get(name)
        if _is_secret(name):
            old, new = None, SET if new else REMOVED
        changes.append(
            SettingChange(at=now, by=by, level=level.value, topic=row.topic, name=name, old=old, new=new)
        )
    SettingChange.objects.bulk_create(changes)
    facts = {"level": level.value, "names": names}
    audit.note(EventType.SETTINGS_CHANGED, topic=row.topic, by=by, facts=facts, now=now)
    emit(EventType.SETTINGS_CHANGED, row.topic, facts | {"by": by}, now=now)
