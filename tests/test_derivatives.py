import contextlib
from datetime import timedelta
from io import BytesIO

import pytest
from PIL import Image

from cameras.models import GlobalSettings
from captures import backfill, campaign, derivatives, ledger
from captures.models import Capture, Timelapse
from media_jobs import batches, clock, files, tracked
from media_jobs.exceptions import StorageFull
from media_jobs.heartbeat import Heartbeat
from media_jobs.models import Event, MediaJob
from tests.factories import make_jpeg, make_stored_capture, make_timelapse
from tests.stack import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def size_of(name):
    return Image.open(BytesIO(files.read(name))).size


def derive(broker, capture):
    ledger.record_thumbnails(capture)
    broker.work_off("thumbnail")
    capture.refresh_from_db()
    return MediaJob.objects.latest("requested_at")


def test_both_are_made_and_told(broker):
    capture = make_stored_capture(make_jpeg(1600, 1200))

    job = derive(broker, capture)

    assert (size_of(capture.thumbnail), size_of(capture.small)) == ((200, 150), (800, 600))
    assert (job.state, job.result["small_bytes"]) == ("done", len(files.read(capture.small)))
    assert (capture.thumbnail_bytes, capture.small_bytes) == (
        len(files.read(capture.thumbnail)),
        len(files.read(capture.small)),
    )
    events = Event.objects.values_list("type", flat=True)
    assert list(events) == ["thumbnail_ready"]  # the quiet job's steps are no news
    assert "/thumbnails/" in capture.thumbnail
    assert "/smalls/" in capture.small


def test_made_again_they_are_the_same(broker):
    capture = make_stored_capture(make_jpeg(1600, 1200))
    derive(broker, capture)
    before = (capture.thumbnail, capture.small, files.read(capture.thumbnail))

    derive(broker, capture)

    assert (capture.thumbnail, capture.small, files.read(capture.thumbnail)) == before


def test_picture_that_cannot_be_decoded_fails_with_its_reason(broker):
    capture = make_stored_capture()
    files.write(capture.file, b"\xff\xd8\xff no picture")

    job = derive(broker, capture)

    assert (job.state, job.error_code, capture.thumbnail) == ("failed", "broken_picture", "")


def test_file_that_is_missing_is_tried_again(broker):
    capture = make_stored_capture()
    files.delete(capture.file)

    job = derive(broker, capture)

    assert (job.state, job.error_code) == ("queued", "file_missing")


def test_capture_that_is_gone_ends_the_job(broker):
    capture = make_stored_capture()
    ledger.record_thumbnails(capture)
    capture.delete()

    broker.work_off("thumbnail")

    assert (MediaJob.objects.get().state, MediaJob.objects.get().error_code) == ("failed", "not_found")


# --- what the settings of the timelapse say ---


def say(capture, **said):
    Timelapse.objects.filter(pk=capture.timelapse_id).update(said=said)


def make_newest(capture):
    Timelapse.objects.filter(pk=capture.timelapse_id).update(latest_capture=capture)
    return capture


def test_sizes_and_quality_are_those_of_the_settings(broker):
    capture = make_stored_capture(make_jpeg(1600, 1200))
    say(
        capture,
        thumbnail_width=100,
        thumbnail_height=100,
        thumbnail_quality=30,
        small_width=400,
        small_height=400,
        small_quality=30,
    )
    derive(broker, capture)
    coarse = len(files.read(capture.thumbnail)) + len(files.read(capture.small))
    sizes = (size_of(capture.thumbnail), size_of(capture.small))
    say(capture, thumbnail_width=100, thumbnail_height=100, thumbnail_quality=95, small_width=400)

    derive(broker, capture)

    assert sizes == ((100, 75), (400, 300))
    assert len(files.read(capture.thumbnail)) + len(files.read(capture.small)) > coarse


def test_other_settings_give_files_of_other_names_and_leave_none_behind(broker):
    capture = make_stored_capture(make_jpeg(1600, 1200))
    derive(broker, capture)
    before = (capture.thumbnail, capture.small)
    say(capture, thumbnail_width=120, small_width=320)

    derive(broker, capture)

    assert not {capture.thumbnail, capture.small} & set(before)
    assert [files.exists(name) for name in before] == [False, False]


def test_where_only_the_latest_small_is_wanted_the_one_before_goes(broker):
    timelapse = make_timelapse(said={"small_mode": "latest"})
    first, second = (make_stored_capture(timelapse=timelapse) for _ in range(2))
    derive(broker, make_newest(first))
    small = first.small

    derive(broker, make_newest(second))
    derive(broker, first)  # made anew, it is not the newest: it gets no small

    smalls = list(Capture.objects.exclude(small="").values_list("pk", flat=True))
    assert (smalls, files.exists(small), files.exists(second.small)) == ([second.pk], False, True)
    assert (first.small, first.small_bytes, bool(first.thumbnail)) == ("", 0, True)


def test_of_many_that_waited_only_the_newest_has_a_small_and_none_stays_behind(broker, monkeypatch):
    monkeypatch.setattr(derivatives, "LOOK_BACK", 2)
    timelapse = make_timelapse(said={"small_mode": "latest"})
    captures = [make_stored_capture(timelapse=timelapse) for _ in range(5)]
    derive(broker, make_newest(captures[0]))
    small = captures[0].small
    make_newest(captures[-1])

    for capture in captures[1:]:
        derive(broker, capture)

    smalls = list(Capture.objects.exclude(small="").values_list("pk", flat=True))
    assert (smalls, files.exists(small)) == ([captures[-1].pk], False)


def test_small_further_back_than_pictures_without_one_goes(broker):
    timelapse = make_timelapse(said={"small_mode": "latest"})
    first, *_, newest = (make_stored_capture(timelapse=timelapse) for _ in range(24))
    derive(broker, make_newest(first))

    derive(broker, make_newest(newest))

    assert list(Capture.objects.exclude(small="").values_list("pk", flat=True)) == [newest.pk]


def test_where_no_small_is_wanted_none_is_made(broker):
    capture = make_stored_capture()
    say(capture, small_mode="disabled")

    job = derive(broker, capture)

    assert (capture.small, bool(capture.thumbnail), job.result["small_bytes"]) == ("", True, 0)


def test_smalls_go_when_their_timelapse_is_complete_and_it_says_so(broker):
    purged, kept = (make_timelapse(state="running", said={"small_purge": says}) for says in (True, False))
    captures = {timelapse: make_stored_capture(timelapse=timelapse) for timelapse in (purged, kept)}
    for capture in captures.values():
        derive(broker, make_newest(capture))
    small = captures[purged].small

    for timelapse in captures:
        campaign.complete(timelapse, by="otto")
    broker.work_off("thumbnail")
    derive(broker, captures[purged])  # one that comes late brings none back
    captures[kept].refresh_from_db()

    assert (captures[purged].small, files.exists(small)) == ("", False)
    assert files.exists(captures[purged].thumbnail)
    assert files.exists(captures[kept].small)


# --- many at once ---


def ask_for(count):
    captures = [make_stored_capture() for _ in range(count)]
    for capture in captures:
        ledger.record_thumbnails(capture)
    return captures


def test_a_worker_takes_as_many_along_as_the_settings_say(broker, monkeypatch):
    monkeypatch.setattr(derivatives, "load", derivatives.Load())
    GlobalSettings.objects.create(pk=GlobalSettings.ONLY, said={"thumbnail_batch": 3})
    captures = ask_for(5)
    files.delete(captures[1].file)

    tracked.work("thumbnail", worker="w")

    states = [MediaJob.objects.get(args__capture=capture.pk).state for capture in captures]
    assert states == ["done", "queued", "done", "queued", "queued"]  # the second failed, and is tried again
    assert MediaJob.objects.get(args__capture=captures[1].pk).error_code == "file_missing"
    assert Capture.objects.exclude(thumbnail="").count() == 2


class TooLong(Exception):
    pass


@pytest.mark.parametrize(
    ("trouble", "ends"),
    [
        (StorageFull(), ("queued", "disk_full")),
        (TooLong(), ("queued", "took_too_long")),
        (ZeroDivisionError(), ("failed", "unexpected")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_one_picture_runs_into_is_no_failure_of_another(broker, monkeypatch, trouble, ends):
    monkeypatch.setattr(derivatives, "load", derivatives.Load())
    captures = ask_for(3)
    made = derivatives.derive

    def stumble(capture, *args, **kw):
        if capture == captures[1]:
            raise trouble
        return made(capture, *args, **kw)

    monkeypatch.setattr(derivatives, "derive", stumble)

    with contextlib.nullcontext() if ends[0] == "queued" else pytest.raises(ZeroDivisionError):
        tracked.work("thumbnail", worker="w", interruption=TooLong)
    jobs = [MediaJob.objects.get(args__capture=capture.pk) for capture in captures]
    last = "done" if ends[1] == "disk_full" else "queued"
    assert [job.state for job in jobs] == ["done", ends[0], last]
    assert [(job.error_code, job.failed_count) for job in jobs] == [("", 0), (ends[1], 1), ("", 0)]


def test_all_that_a_worker_has_taken_along_gives_signs_of_life_and_goes_back_in_time(broker, monkeypatch):
    monkeypatch.setattr(derivatives, "load", derivatives.Load())
    monkeypatch.setattr(batches, "heartbeat", beat := Heartbeat(every_s=0.05))
    captures = ask_for(4)
    made, seen = derivatives.derive, []

    def look_meanwhile(capture, *args, **kw):
        if capture == captures[1]:
            others = MediaJob.objects.filter(args__capture__in=[each.pk for each in captures[1:]])
            others.update(lease_until=clock.now())
            later = clock.now() + timedelta(seconds=30)
            wait_for(lambda: others.filter(lease_until__gt=later).count() == 3, within_s=20, what="a beat")
            seen.append(set(beat._held) == set(others.values_list("pk", flat=True)))
            monkeypatch.setattr(batches, "LONGEST_S", 0)
        return made(capture, *args, **kw)

    monkeypatch.setattr(derivatives, "derive", look_meanwhile)

    tracked.work("thumbnail", worker="w")

    states = [MediaJob.objects.get(args__capture=capture.pk).state for capture in captures]
    assert (seen, states, beat._held) == ([True], ["done", "done", "queued", "queued"], {})


def test_a_person_waits_for_the_picture_in_hand_and_not_for_the_others(broker, monkeypatch):
    monkeypatch.setattr(derivatives, "load", derivatives.Load())
    captures = ask_for(6)
    mine = make_stored_capture()
    made = derivatives.derive

    def ask_meanwhile(capture, *args, **kw):
        if capture == captures[2]:
            backfill.request_thumbnail(mine, by="otto")
        return made(capture, *args, **kw)

    monkeypatch.setattr(derivatives, "derive", ask_meanwhile)

    tracked.work("thumbnail", worker="w")
    tracked.work("thumbnail", worker="w")

    states = [MediaJob.objects.get(args__capture=each.pk).state for each in [*captures, mine]]
    assert states == ["done"] * 3 + ["queued"] * 3 + ["done"]


def test_under_high_load_it_takes_more_until_few_wait(broker, monkeypatch):
    monkeypatch.setattr(derivatives, "load", load := derivatives.Load())
    said = {"thumbnail_batch": 2, "thumbnail_high_load": 10}
    GlobalSettings.objects.create(pk=GlobalSettings.ONLY, said=said)
    job = MediaJob(queue="thumbnail", task="captures.make_thumbnails")
    sizes = []

    for waiting in (9, 10, 2, 1, 9):
        MediaJob.objects.all().delete()
        ask_for(waiting)
        sizes.append(load.batch(job))

    assert sizes == [2, 25, 25, 2, 2]
