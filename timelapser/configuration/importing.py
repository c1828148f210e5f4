"""A configuration is read in: what it would do is found by doing it, in a transaction that a trial takes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from captures.exceptions import CampaignError
from media_jobs import audit
from timelapser.configuration import kinds
from timelapser.configuration.errors import FileRefused
from timelapser.configuration.kinds import Changed, Entry, EntryRefused
from timelapser.configuration.report import Item, Report, Verdict
from timelapser.configuration.sealed import unseal
from timelapser.configuration.text import checked

MOST_ENTRIES = 20_000
LONGEST_NAME = 150
Write = Callable[[Entry], Changed]
# In this order: what stands later needs what stands before. Each with what its entries are known by.
SECTIONS: tuple[tuple[str, str, str, Write], ...] = (
    ("sites", "site", "slug", kinds.write_site),
    ("recipes", "recipe", "name", kinds.write_recipe),
    ("cameras", "camera", "name", kinds.write_camera),
    ("timelapses", "timelapse", "name", kinds.write_timelapse),
)
KNOWN = {"format", "version", "settings", "secrets", *(section for section, *_ in SECTIONS)}


@dataclass(slots=True)
class _Import:
    """One reading of one file."""

    document: dict[str, Any]
    secrets: dict[str, Any]
    by: str
    now: datetime
    report: Report
    namesakes: Counter[Any] = field(default_factory=Counter)

    def run(self) -> None:
        if "settings" in self.document:
            self._put("settings", "for all cameras", kinds.write_settings, self.document["settings"], "")
        for section, kind, known_by, write in SECTIONS:
            for written in self._entries(section):
                name = _name_of(written, known_by)
                if name is None:
                    problems = {known_by: "Every entry has one: a line of text."}
                    self.report.items.append(Item(kind, "?", Verdict.REFUSED, problems=problems))
                else:
                    self._put(kind, name, write, written, self._owner(kind, written))

    def _entries(self, section: str) -> Iterator[Any]:
        entries = self.document.get(section, [])
        if not isinstance(entries, list) or len(entries) > MOST_ENTRIES:
            raise FileRefused(f"“{section}” is no list, or one of more than {MOST_ENTRIES} entries.")
        yield from entries

    def _owner(self, kind: str, written: dict[str, Any]) -> str:
        return _name_of(written, "camera") or "" if kind == "timelapse" else ""

    def _put(self, kind: str, name: str, write: Write, written: Any, owner: str) -> None:
        number = self.namesakes[kind, owner, name]
        self.namesakes[kind, owner, name] += 1
        entry = Entry(written, name, number, self.secrets, self.by, self.now)
        shown = f"{owner}: {name}" if owner else name
        try:
            with transaction.atomic():
                done = write(entry)
        except EntryRefused as error:
            self.report.items.append(Item(kind, shown, Verdict.REFUSED, problems=error.problems))
        except CampaignError as error:
            problems = getattr(error, "problems", None) or {"": str(error)}
            self.report.items.append(Item(kind, shown, Verdict.REFUSED, problems=problems))
        else:
            changed = Verdict.CHANGED if done.names else Verdict.UNCHANGED
            verdict = Verdict.CREATED if done.is_new else changed
            self.report.items.append(Item(kind, shown, verdict, changed=tuple(done.names)))


def import_document(
    document: Any,
    *,
    by: str,
    now: datetime,
    passphrase: str = "",
    is_trial: bool = False,
    skips_refused: bool = False,
) -> Report:
    """Makes what the file names as it says. What exists is found by its name; nothing is deleted or restarted, and
    timelapses that are new wait to be started.

    A trial, and a file of which something is refused (unless `skips_refused`), change nothing. Raises FileRefused.
    """
    document = checked(document)
    if unknown := sorted(document.keys() - KNOWN):
        raise FileRefused(f"Not known in a file: {', '.join(map(repr, unknown))[:200]}.")
    report = Report(is_trial=is_trial)
    secrets: dict[str, Any] = {}
    if "secrets" in document and passphrase:
        secrets = unseal(document["secrets"], passphrase)
    elif "secrets" in document:
        report.notes.append("The file's secrets are left out: no passphrase was given.")
    elif passphrase:
        report.notes.append("The file has no secrets, so the passphrase was not needed.")
    with transaction.atomic():
        _Import(document, secrets, by, now, report).run()
        if is_trial or (report.is_refused and not skips_refused):
            transaction.set_rollback(True)
        else:
            report.is_applied = True
            facts = report.counts | ({"with_secrets": True} if secrets else {})
            audit.note("configuration_imported", topic="settings", by=by, facts=facts, now=now)
    return report


def _name_of(written: Any, known_by: str) -> str | None:
    name = written.get(known_by) if isinstance(written, dict) else None
    is_name = isinstance(name, str) and name.isprintable() and 0 < len(name) <= LONGEST_NAME
    return name if is_name else None
