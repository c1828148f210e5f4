"""A timelapse without pictures goes with all its work."""

import pytest

from captures import campaign
from captures.exceptions import HasPictures, MoveRefused
from captures.models import Capture, Gap, Schedule, Timelapse
from media_jobs import clock
from media_jobs.models import Decision, Event, MediaJob
from tests.campaigns import claim, plan_until, running
from tests.factories import make_capture, make_job, make_recipe, make_stored_capture
from videos import rendering
from videos.models import Video

pytestmark = pytest.mark.django_db


def test_delete_takes_what_was_owed_and_asked_for_with_it():
    timelapse, other = running(interval_s=1), running()
    topic = timelapse.topic
    rendering.create_follower(timelapse, make_recipe())
    plan_until(timelapse.next_slot_at + 2 * timelapse.interval)
    make_capture(timelapse=timelapse, slot=clock.now(), state="missed", reason="no_worker")
    job, foreign = make_job(topic=topic), make_job(topic=other.topic)

    campaign.delete(timelapse, by="ada")

    assert list(Timelapse.objects.all()) == [other]
    assert not Capture.objects.exclude(timelapse=other).exists()
    assert not Video.objects.exists()
    assert not Gap.objects.exists()
    assert Schedule.objects.count() == 1
    assert dict(MediaJob.objects.values_list("pk", "state")) == {job.pk: "cancelled", foreign.pk: "queued"}
    assert Event.objects.filter(topic=topic).last().type == "timelapse_deleted"
    assert Decision.objects.get(action="timelapse_deleted").by == "ada"


def test_delete_of_what_has_pictures_is_refused():
    timelapse = running()
    make_stored_capture(timelapse=timelapse)
    job = make_job(topic=timelapse.topic)

    with pytest.raises(HasPictures):
        campaign.delete(timelapse, by="ada")

    job.refresh_from_db()
    assert job.state == "queued"
    assert Timelapse.objects.filter(pk=timelapse.pk, state="running").exists()


def test_delete_while_a_picture_is_being_taken_is_refused_and_changes_nothing():
    timelapse = running()
    taken = make_capture(timelapse=timelapse, slot=clock.now())
    waiting = make_capture(timelapse=timelapse, slot=clock.now())
    assert claim(taken.pk, worker="w")

    with pytest.raises(MoveRefused, match="being taken"):
        campaign.delete(timelapse, by="ada")

    waiting.refresh_from_db()
    assert waiting.state == "owed"


def test_cancel_work_ends_what_is_owed_and_queued_and_lets_the_clock_go_on():
    timelapse, other = running(interval_s=1), running(interval_s=1)
    plan_until(timelapse.next_slot_at + 2 * timelapse.interval)
    owed = timelapse.captures.owed().count()
    job, foreign = make_job(topic=timelapse.topic), make_job(topic=other.topic)

    cancelled = campaign.cancel_work(timelapse, by="otto")

    assert cancelled == owed + 1
    assert set(timelapse.captures.values_list("state", "reason")) == {("skipped", "cancelled")}
    assert other.captures.owed().exists()
    assert dict(MediaJob.objects.values_list("pk", "state")) == {job.pk: "cancelled", foreign.pk: "queued"}
    timelapse.refresh_from_db()
    assert timelapse.next_slot_at is not None
    assert Decision.objects.get(action="work_cancelled").facts == {"captures": owed, "jobs": 1}
