"""What is owed is asked of the workers: the messages, what became of them, and the picture that a person wants now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from captures.exceptions import CameraOff, NotRunning
from captures.ledger import names_of
from captures.models import Capture, Timelapse
from captures.reasons import BROKER_AWAY
from media_jobs import audit, clock, correlation, outbox
from media_jobs.events import EventType, emit

FIRST_SENT = (  # built by Django it would cost more than the statement itself
    f"UPDATE {Capture._meta.db_table} SET sent_at = COALESCE(sent_at, CASE id {{whens}} END), reason = ''"  # noqa: S608 - the model's name
    " WHERE id IN ({ids}) AND reason IN (%s, %s)"
)
# A message's end is judged by the worker's own clock, `give_up_at` by the database's in `claim`, which decides. Past
# its end a message only takes room; until then it must not be dropped by a machine whose clock is wrong.
CLOCKS_APART = timedelta(seconds=60)


def request_capture(timelapse: Timelapse, *, by: str) -> Capture:
    """One picture now, asked by a person. It is a slot like any other. Raises NotRunning, CameraOff."""
    with transaction.atomic():
        locked = (
            Timelapse.objects.select_related("camera__site")
            .select_for_update(of=("self", "camera"))
            .get(pk=timelapse.pk)
        )
        if locked.state != Timelapse.State.RUNNING:
            raise NotRunning
        if not locked.camera.is_enabled:
            raise CameraOff
        limit = locked.stop_after_captures
        if limit is not None and locked.image_count + locked.captures.owed().count() >= limit:
            raise NotRunning(
                f"It has the {limit} pictures that it was to take, or is taking the last of them."
            )
        now = clock.now()
        capture = Capture.objects.create(
            timelapse=locked,
            slot=now,
            origin=Capture.Origin.PERSON,
            requested_by=by,
            correlation_id=correlation.current() or correlation.new(),
            give_up_at=now + timedelta(seconds=30),
            sent_at=now,
            day_number=locked.day_number(now),
        )
        audit.note(
            EventType.CAPTURE_NOW_REQUESTED, topic=locked.topic, by=by, facts={"capture": capture.pk}, now=now
        )
        payload = {**names_of(capture), "by": by}
        emit(EventType.CAPTURE_NOW_REQUESTED, locked.topic, payload, now=now)
        site = locked.camera.site.slug if locked.camera.site else None
        transaction.on_commit(lambda: send(capture.pk, capture.give_up_at, site=site))
    return capture


def send(capture_id: int, give_up_at: datetime, *, site: str | None) -> bool:
    """Asks the capture pool, or that of the camera's `site` (its slug), to take it. False where the broker is away."""
    queue = settings.CAPTURE_QUEUE_OF(site)
    return outbox.send("captures.take", capture_id, expires=give_up_at + CLOCKS_APART, queue=queue)


def turn_away(capture_id: int) -> None:
    """The camera's host is busy: leaves the capture to the planner's next tick, with a note for the sweep."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=clock.now())
    Capture.objects.owed().filter(free, pk=capture_id).update(sent_at=None, reason="camera_busy")


def note_sent(capture_ids: list[int], now: datetime) -> None:
    """Not for what was turned away, perhaps since it was sent: that is sent each second until somebody claims it."""
    rows = Capture.objects.filter(pk__in=capture_ids, reason__in=["", BROKER_AWAY])
    rows.update(sent_at=now.astimezone(UTC), reason="")


def note_first_sent(sent: dict[int, datetime]) -> None:
    """As `note_sent`, of what was sent at these instants: one statement that leaves alone what a claim wrote."""
    if not sent:
        return
    adapt = connection.ops.adapt_datetimefield_value
    moments = [part for pk, at in sent.items() for part in (pk, adapt(at.astimezone(UTC)))]
    whens, ids = " ".join(["WHEN %s THEN %s"] * len(sent)), ", ".join(["%s"] * len(sent))
    with connection.cursor() as cursor:
        cursor.execute(FIRST_SENT.format(whens=whens, ids=ids), [*moments, *sent, "", BROKER_AWAY])


def note_refused(capture_ids: list[int]) -> None:
    """The broker took no message: a note for the sweep, should their grace pass so."""
    rows = Capture.objects.owed().filter(pk__in=capture_ids, lease_until__isnull=True, reason="")
    rows.update(reason=BROKER_AWAY)
