"""All scheduled work in one list: coming slots, owed captures, jobs, and the clock's own entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from django.db import models
from django.db.models import Q, QuerySet

from captures.models import Capture, Timelapse
from media_jobs.models import MediaJob
from timelapser import entries

Key = tuple[datetime, str, Any]  # when, of which kind, which of them


class Kind(models.TextChoices):
    """What is to be done."""

    SLOT = "slot", "the next slot of a running timelapse"
    CAPTURE = "capture", "a capture that is owed now"
    JOB = "job", "a job that waits or runs"
    ENTRY = "entry", "an entry of the clock"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is to be done at, or as soon as possible after, `at`."""

    at: datetime
    kind: Kind
    id: str
    state: str
    title: str
    topic: str  # camera.<id> or timelapse.<id>; empty for the clock's own
    requested_by: str


@dataclass(frozen=True, slots=True)
class Scheduled(Sequence[Item]):
    """The work that there is at `now`, the next first. A slice costs one query for each kind.

    `topic` narrows it to a timelapse, or to a camera with its timelapses; `until` is exclusive.
    """

    now: datetime
    kinds: frozenset[Kind] = frozenset(Kind)
    topic: str = ""
    until: datetime | None = None
    _entries: list[Item] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        wanted = Kind.ENTRY in self.kinds and not self.topic
        object.__setattr__(self, "_entries", list(_entry_items(self.now, self.until)) if wanted else [])

    def __len__(self) -> int:
        return sum(rows.count() for _, rows, _ in self._sources()) + len(self._entries)

    def __getitem__(self, wanted: Any) -> Any:
        if not isinstance(wanted, slice):
            return self[wanted : wanted + 1][0]
        start, stop, _ = wanted.indices(len(self))
        return self._items(list(islice(self._keys(stop), start, stop)))

    def _keys(self, most: int) -> Iterable[Key]:
        """When each is due, in order: only what a page shows is loaded."""
        sources = [
            [(at, kind.value, pk) for at, pk in rows.order_by(by, "pk").values_list(by, "pk")[:most]]
            for kind, rows, by in self._sources()
        ]
        sources.append([(item.at, item.kind.value, item.id) for item in self._entries])
        return merge(*sources, key=itemgetter(0, 1))

    def _items(self, keys: list[Key]) -> list[Item]:
        loaded: dict[tuple[str, Any], Item] = {("entry", item.id): item for item in self._entries}
        for kind, of_kind in groupby(sorted(keys, key=itemgetter(1)), key=itemgetter(1)):
            load = _LOADERS.get(kind)
            if load is not None:
                pks = [pk for _, _, pk in of_kind]
                loaded |= {(kind, pk): item for pk, item in load(pks).items()}
        # What was done between the two questions is not scheduled any more.
        return [loaded[kind, pk] for _, kind, pk in keys if (kind, pk) in loaded]

    def _sources(self) -> Iterable[tuple[Kind, QuerySet[Any], str]]:
        camera, timelapse = _ids(self.topic)
        slots = Timelapse.objects.running().filter(next_slot_at__isnull=False)
        captures: QuerySet[Capture] = Capture.objects.owed()
        jobs: QuerySet[MediaJob] = MediaJob.objects.active()
        if timelapse is not None:
            slots, captures = slots.filter(pk=timelapse), captures.filter(timelapse=timelapse)
            jobs = jobs.filter(topic=self.topic)
        elif camera is not None:
            slots, captures = slots.filter(camera=camera), captures.filter(timelapse__camera=camera)
            pks = Timelapse.objects.filter(camera=camera).values_list("pk", flat=True)
            jobs = jobs.filter(topic__in=[self.topic, *(f"timelapse.{pk}" for pk in pks)])
        for kind, rows, by in (
            (Kind.SLOT, slots, "next_slot_at"),
            (Kind.CAPTURE, captures, "slot"),
            (Kind.JOB, jobs, "run_after"),
        ):
            if kind in self.kinds:
                within = Q(**{f"{by}__lt": self.until}) if self.until else Q()
                yield kind, rows.filter(within), by


def is_scheduled(topic: str, now: datetime, *, kinds: Iterable[Kind] = Kind) -> bool:
    """Whether anything is to be done for a camera or a timelapse."""
    return len(Scheduled(now, frozenset(kinds), topic)) > 0


def _ids(topic: str) -> tuple[int | None, int | None]:
    """The camera, or the timelapse, that a topic names."""
    name, _, pk = topic.partition(".")
    if not pk.isdigit():
        return None, None
    return (int(pk), None) if name == "camera" else (None, int(pk))


def _entry_items(now: datetime, until: datetime | None) -> Iterable[Item]:
    states = [state for state in entries.standing(now) if state.next_run_at is not None]
    for state in sorted(states, key=lambda state: (state.next_run_at, state.task)):
        at = state.next_run_at
        if at is not None and (until is None or at < until):
            words = "running" if state.is_running else "waiting"
            yield Item(at, Kind.ENTRY, state.task, words, state.why, "", "clock")


def _load_slots(pks: list[Any]) -> dict[Any, Item]:
    return {
        row.pk: Item(row.next_slot_at, Kind.SLOT, str(row.pk), "coming", row.name, row.topic, "clock")
        for row in Timelapse.objects.filter(pk__in=pks, next_slot_at__isnull=False)
        if row.next_slot_at is not None
    }


def _load_captures(pks: list[Any]) -> dict[Any, Item]:
    return {
        row.pk: Item(
            row.slot,
            Kind.CAPTURE,
            str(row.pk),
            "running" if row.lease_until else row.state,
            row.timelapse.name,
            row.timelapse.topic,
            row.requested_by,
        )
        for row in Capture.objects.filter(pk__in=pks).select_related("timelapse")
    }


def _load_jobs(pks: list[Any]) -> dict[Any, Item]:
    return {
        row.pk: Item(row.run_after, Kind.JOB, str(row.pk), row.state, row.title, row.topic, row.requested_by)
        for row in MediaJob.objects.filter(pk__in=pks)
    }


_LOADERS: dict[str, Callable[[list[Any]], dict[Any, Item]]] = {
    Kind.SLOT.value: _load_slots,
    Kind.CAPTURE.value: _load_captures,
    Kind.JOB.value: _load_jobs,
}
