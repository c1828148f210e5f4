import pytest

from cameras import connection as cameras_connection
from captures import ledger
from media_jobs import lifecycle, limits
from media_jobs.exceptions import TooManyWaiting
from media_jobs.lifecycle import Wish
from media_jobs.models import Event, MediaJob
from tests.factories import make_camera, make_stored_capture
from tests.jobs import ECHO, PART, QUEUE, record, take

pytestmark = pytest.mark.django_db(transaction=True)
HIGH, MEDIUM, LOW = MediaJob.Priority.values


@pytest.fixture(autouse=True)
def _small_limits(settings):
    settings.WARN_WAITING, settings.MAX_WAITING, settings.MAX_BACKFILL = 3, 5, 20


def wishes(count, *, first=0):
    return [Wish(f"wish {n}", "timelapse.1", "Many", {}) for n in range(first, first + count)]


def level_of(task, priority):
    return next(row for row in limits.pressure() if (row.kind, row.priority) == (task, priority))


def test_people_are_told_to_come_back_when_enough_waits():
    for number in range(5):
        record(str(number), priority=HIGH)

    with pytest.raises(TooManyWaiting) as refused:
        record("one more", priority=HIGH)

    assert refused.value.wait > 0
    assert MediaJob.objects.count() == 5
    assert not record("0", priority=HIGH)[1]  # what waits already is no more work
    take(record("0")[0])
    assert record("one more", priority=HIGH)[1]


def test_api_answers_429_with_the_time_to_wait(api, operator, admin):
    cameras = [make_camera() for _ in range(6)]
    client = api(admin)

    answers = [client.post(f"/api/v1/cameras/{camera.pk}/test/") for camera in cameras]

    assert [answer.status_code for answer in answers] == [202] * 5 + [429]
    assert answers[-1].json()["code"] == "too_many_waiting"
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_one_kind_does_not_shut_out_another():
    for number in range(5):
        record(str(number), priority=HIGH)

    camera = make_camera()
    assert cameras_connection.request_camera_test(camera, by="otto").state == "queued"


def test_parts_of_what_was_let_in_are_let_in():
    for number in range(12):
        record(str(number), task=PART, priority=HIGH)

    assert MediaJob.objects.count() == 12


def test_what_follows_a_capture_is_never_refused():
    for _ in range(25):
        ledger.record_thumbnails(make_stored_capture())

    assert MediaJob.objects.count() == 25


def test_backfill_beyond_the_limit_is_shed_and_said_once():
    first = lifecycle.record_many(ECHO, wishes(15), priority=LOW, queue=QUEUE)
    second = lifecycle.record_many(ECHO, wishes(15, first=10), priority=LOW, queue=QUEUE)
    third = lifecycle.record_many(ECHO, wishes(5, first=50), priority=LOW, queue=QUEUE)

    assert (first.new, first.shed) == (15, 0)
    assert (second.new, second.shed, len(second.jobs)) == (5, 5, 10)
    assert (third.new, third.shed) == (0, 5)
    events = Event.objects.filter(type="backfill_shed")
    assert [event.payload for event in events] == [{"kind": ECHO, "count": 5, "limit": 20}]


def test_pressure_warns_before_it_refuses():
    levels = []
    for number in range(5):
        record(str(number), priority=HIGH)
        levels.append(level_of(ECHO, HIGH).level)

    assert levels == ["well", "well", "warning", "warning", "error"]
    assert level_of(ECHO, LOW).level == "well"
    lifecycle.record_many(ECHO, wishes(30), priority=LOW, queue=QUEUE)
    assert (level_of(ECHO, LOW).waiting, level_of(ECHO, LOW).level) == (20, "error")


def test_pressure_of_what_is_never_refused_is_a_warning():
    for number in range(21):
        record(str(number), priority=MEDIUM)

    assert level_of(ECHO, MEDIUM).level == "warning"


def test_every_kind_has_its_queue():
    from django.conf import settings

    from media_jobs import kinds

    assert {name for name in kinds.every() if not name.startswith("tests.")} == set(settings.QUEUE_OF_KIND)
