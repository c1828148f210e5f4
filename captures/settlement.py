"""What nobody did: late captures are given up, lost ones sent again, and silent times written into the ledger."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from itertools import groupby

import structlog
from django.db import connection, transaction
from django.db.models import Q

from captures.ledger import names_of
from captures.models import NOT_CALCULATED, RULE_LENGTH, Capture, CaptureQuerySet, Gap
from captures.orders import note_refused, note_sent, send
from captures.reasons import BROKER_AWAY, words_of
from media_jobs import clock
from media_jobs.events import EventType, emit

State = Capture.State
BATCH = 1000
MOST_AT_ONCE, MOST_OF_ONE_WRITER = 50_000, 400
WORK_FOR_S = 4.0  # of the ten seconds of its entry
RESEND_AFTER = timedelta(seconds=3)
log = structlog.get_logger(__name__)
OF_A_SITE = Q(timelapse__camera__site__isnull=False)


def sweep(now: datetime) -> tuple[int, int]:
    """Gives up what is too late, sends again what was lost within its grace. Returns both counts."""
    late = Capture.objects.owed().filter(give_up_at__lt=now)
    untried = late.filter(lease_until__isnull=True)
    given_up = (
        _give_up(untried.filter(reason="camera_busy"), State.MISSED, "camera_busy", now)
        + _give_up(untried.filter(reason=BROKER_AWAY), State.MISSED, BROKER_AWAY, now)
        + _give_up(untried.filter(sent_at__isnull=True), State.MISSED, "not_sent_in_time", now)
        + _give_up(untried.filter(OF_A_SITE), State.MISSED, "no_worker_of_the_site", now)
        + _give_up(untried, State.MISSED, "no_worker", now)
        + _give_up(late.filter(lease_until__lt=now), State.FAILED, "worker_lost", now)
    )
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    lost = Q(sent_at__isnull=True) | Q(sent_at__lt=now - RESEND_AFTER)
    rows = Capture.objects.owed().filter(free, lost, slot__lte=now, give_up_at__gte=now)
    found = rows.order_by("slot").values_list("pk", "give_up_at", "timelapse__camera__site__slug")[:1000]
    is_sent = {pk: send(pk, give_up_at, site=site) for pk, give_up_at, site in found}
    resent = [pk for pk in is_sent if is_sent[pk]]
    note_sent(resent, now)
    note_refused([pk for pk in is_sent if not is_sent[pk]])
    return given_up, len(resent)


def _give_up(late: CaptureQuerySet, state: str, reason: str, now: datetime) -> int:
    """Moves all of `late`, BATCH rows a transaction. Returns how many.

    Rows that somebody else holds just now are left to him, or to the next sweep.
    """
    given_up = 0
    while True:
        with transaction.atomic():
            rows = list(
                late.select_related("timelapse")
                .select_for_update(skip_locked=True, of=("self",))
                .order_by("timelapse_id", "slot")[:BATCH]
            )
            held = late.filter(pk__in=[row.pk for row in rows])
            held.update(state=state, reason=reason, detail=words_of(reason), lease_until=None)
            for _, several in groupby(rows, key=lambda row: row.timelapse_id):
                _tell_given_up(list(several), state, reason, now)
        given_up += len(rows)
        if len(rows) < BATCH:
            return given_up


def account(*, batch: int = BATCH, limit: int | None = None) -> int:
    """Turns gaps into rows, newest slots first, `batch` rows a transaction. Returns how many were written.

    At most `limit`, and for WORK_FOR_S, so that the sweep, which may wait for it, has its turn; fewer by default where
    the planner waits as well, because the database has one lock for all. A gap whose timetable cannot be calculated
    stays, with that as its reason.
    """
    limit = limit or (MOST_AT_ONCE if connection.features.has_select_for_update else MOST_OF_ONE_WRITER)
    until = time.monotonic() + WORK_FOR_S
    written = 0
    unknown: set[int] = set()
    gaps = Gap.objects.order_by("-until_at")
    while written < limit and time.monotonic() < until and (gap := gaps.exclude(pk__in=unknown).first()):
        try:
            written += _account_some(gap.pk, min(batch, limit - written))
        except NOT_CALCULATED as error:
            log.warning("gap_not_calculated", gap=gap.pk, timelapse=gap.timelapse_id, error=repr(error))
            Gap.objects.filter(pk=gap.pk).update(reason="schedule_error")
            unknown.add(gap.pk)
    return written


@transaction.atomic
def _account_some(gap_id: int, batch: int) -> int:
    gaps = Gap.objects.select_related("timelapse", "schedule").select_for_update(of=("self",))
    gap = gaps.filter(pk=gap_id).first()
    if gap is None:  # somebody else was quicker
        return 0
    timelapse, timetable, grace = gap.timelapse, gap.schedule.timetable, gap.timelapse.grace
    found = timetable.newest(gap.from_at, gap.until_at, batch + 1)
    slots = found[:batch]
    rows = [
        Capture(
            timelapse=timelapse,
            slot=slot,
            state=State.MISSED,
            reason=gap.reason,
            detail=words_of(gap.reason),
            rule=timetable.rule_of(slot)[:RULE_LENGTH],
            give_up_at=slot + grace,
            day_number=timelapse.day_number(slot),
        )
        for slot in slots
    ]
    Capture.objects.bulk_create(rows, ignore_conflicts=True)
    if len(found) > batch:
        gap.until_at = slots[-1]
        gap.save(update_fields=["until_at"])
    else:
        gap.delete()
    return len(rows)


def release(worker: str) -> int:
    """Ends the leases of a former process of this name; the sweep then decides. Called when the worker starts."""
    return (
        Capture.objects.owed()
        .filter(worker=worker, lease_until__isnull=False)
        .update(lease_until=clock.now())
    )


def _tell_given_up(captures: list[Capture], state: str, reason: str, now: datetime) -> None:
    """One event for what one timelapse lost at once for one reason, named by the newest of `captures`."""
    newest, timelapse = captures[-1], captures[-1].timelapse
    several = {"count": len(captures), "from": captures[0].slot.isoformat()} if len(captures) > 1 else {}
    payload = {**names_of(newest), "reason": reason, "message": words_of(reason), **several}
    type_ = EventType.CAPTURE_FAILED if state == State.FAILED else EventType.CAPTURE_MISSED
    emit(type_, timelapse.topic, payload, now=now, correlation_id=newest.correlation_id)
