"""The database's clock was set back: what the ledger holds of the future was never owed, and is taken back.

A clock that was wrong for a while, an hour ahead, makes a ledger that ends an hour ahead. Without this the timelapses
would be silent until the clock has caught up, with nobody down who could be blamed.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from captures.models import Capture, Gap, Schedule, Timelapse
from captures.versions import LOOK, next_slot
from media_jobs import audit
from media_jobs.events import EventType, emit

BATCH = 100
# What somebody tried stays: if it is the new time that is wrong, this was the past.
UNTRIED = Q(state=Capture.State.OWED, lease_until__isnull=True) | Q(
    state=Capture.State.MISSED, reason__in=["scheduler_was_down", "not_planned_in_time"]
)


def take_back_future(now: datetime) -> int:
    """Every running timelapse owes its slots from `now` on anew. Returns how many timelapses were ahead.

    What was tried under slots that are still to come, above all pictures, stays what it is; those slots are taken, and
    the event says until when.
    """
    ahead = Timelapse.objects.running().filter(next_slot_at__gt=now).order_by("pk")
    taken, last = 0, 0
    while batch := list(ahead.filter(pk__gt=last).values_list("pk", flat=True)[:BATCH]):
        last = batch[-1]
        taken += sum(_take_back(pk, now) for pk in batch)
    return taken


@transaction.atomic
def _take_back(timelapse_id: int, now: datetime) -> bool:
    rows = Timelapse.objects.running().select_for_update().filter(pk=timelapse_id, next_slot_at__gt=now)
    timelapse = rows.first()
    schedule = Schedule.objects.filter(timelapse_id=timelapse_id, until_at__isnull=True).first()
    if timelapse is None or schedule is None:
        return False
    slot = next_slot(timelapse, schedule.timetable, at_or_after=max(now, schedule.from_at), within=LOOK)
    if slot == timelapse.next_slot_at:
        return False
    future = timelapse.captures.filter(origin=Capture.Origin.GRID, slot__gte=slot or now)
    count, _ = future.filter(UNTRIED).delete()
    Gap.objects.filter(timelapse=timelapse, from_at__gte=slot or now).delete()
    Gap.objects.filter(timelapse=timelapse, until_at__gt=slot or now).update(until_at=slot or now)
    kept = future.order_by("slot").values_list("slot", flat=True)
    facts = {
        "timelapse": timelapse.pk,
        "from": now.isoformat(),
        "until": timelapse.next_slot_at.isoformat() if timelapse.next_slot_at else None,
        "slots": count,
        # These were tried, most of them are pictures, and no slot is taken twice: no new ones come until then.
        "kept": len(kept),
        "taken_until": kept[len(kept) - 1].isoformat() if kept else None,
    }
    audit.note("clock_set_back", topic=timelapse.topic, by=audit.CLOCK, facts=facts, now=now)
    emit(EventType.CLOCK_SET_BACK, timelapse.topic, facts, now=now)
    timelapse.next_slot_at = slot
    timelapse.save(update_fields=["next_slot_at"])
    return True
