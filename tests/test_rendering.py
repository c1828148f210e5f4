import os
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from django.db import connection, connections

from captures import campaign
from captures.models import Capture
from media_jobs import clock, files, lifecycle, recovery
from media_jobs.exceptions import NotRepeatable
from media_jobs.models import Decision, Event, MediaJob
from media_jobs.tracked import Running
from tests.factories import make_recipe, make_stored_capture, make_video
from tests.films import captures_of, film_of, numbers_in, photographed, render
from tests.jobs import do, take
from tests.painted import painted_jpeg
from tests.stack import wait_for
from videos import assembly, rendering, retention, revisions
from videos.exceptions import FilmInUse, TooFewPictures
from videos.models import Segment, Video

pytestmark = pytest.mark.django_db(transaction=True)
State = Video.State


@pytest.fixture(autouse=True)
def _short_segments(settings):
    settings.SEGMENT_FRAMES = 5
    settings.MIN_FREE_BYTES = 0


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def leftovers(settings):
    return [name for name in everything_in(settings.MEDIA_ROOT) if name.startswith(".making/")]


def segment_jobs():
    return MediaJob.objects.filter(task="videos.encode_segment")


def test_film_is_the_stored_captures_in_order(broker, settings):
    timelapse = photographed(13)
    video = film_of(timelapse, fps=10)

    job = render(video, broker)

    assert (job.state, video.state) == ("done", State.READY)
    assert numbers_in(video) == list(range(13))
    assert (video.frame_count, video.duration_s, video.revision, video.omitted_count) == (13, 1.3, 1, 0)
    assert (video.width, video.height) == (192, 108)
    assert video.bytes == (settings.MEDIA_ROOT / video.file).stat().st_size
    assert files.read(video.poster).startswith(b"\xff\xd8\xff")
    event = Event.objects.get(type="video_ready")
    assert (event.payload["frame_count"], event.payload["revision"]) == (13, 1)
    assert leftovers(settings) == []
    assert 3 <= Segment.objects.count() <= 4


def test_one_more_picture_costs_one_segment(broker, settings):
    timelapse = photographed(12)
    video = film_of(timelapse)
    render(video, broker)
    before = {segment.key: (settings.MEDIA_ROOT / segment.file).stat() for segment in Segment.objects.all()}
    jobs = segment_jobs().count()

    photographed(1, first=12, timelapse=timelapse)
    render(video, broker)

    assert numbers_in(video) == list(range(13))
    assert segment_jobs().count() == jobs + 1
    fresh = Segment.objects.exclude(key__in=before)
    assert fresh.count() == 1
    for segment in Segment.objects.filter(key__in=before):
        now = (settings.MEDIA_ROOT / segment.file).stat()
        assert (now.st_mtime_ns, now.st_ino) == (before[segment.key].st_mtime_ns, before[segment.key].st_ino)


def test_holes_broken_files_and_other_sizes_do_not_break_a_film(broker):
    timelapse = photographed(4)
    photographed(3, first=10, timelapse=timelapse)
    photographed(3, first=13, timelapse=timelapse, size=(320, 180))
    broken, missing = captures_of(timelapse)[1], captures_of(timelapse)[5]
    files.write(broken.file, b"\xff\xd8\xff no picture")
    files.delete(missing.file)
    video = film_of(timelapse)

    job = render(video, broker)

    assert job.state == "done"
    assert numbers_in(video) == [0, 2, 3, 10, 12, 13, 14, 15]
    assert (video.frame_count, video.omitted_count) == (8, 2)
    assert (video.width, video.height) == (192, 108)


def test_film_of_which_nothing_can_be_read_fails_with_words(broker):
    timelapse = photographed(3)
    for capture in captures_of(timelapse):
        files.delete(capture.file)
    video = film_of(timelapse)

    job = render(video, broker)

    assert (job.state, job.error_code, video.state) == ("failed", "no_frames", State.FAILED)
    assert video.error == job.error != ""
    assert Event.objects.filter(type="video_failed").exists()


def test_film_without_pictures_is_refused():
    timelapse = photographed(0)
    with pytest.raises(TooFewPictures):
        rendering.request(film_of(timelapse), by="otto")
    assert not MediaJob.objects.exists()


def test_film_asked_for_by_many_at_once_is_one_job(broker):
    video = film_of(photographed(3))
    found, gate = [], threading.Barrier(4)

    def ask():
        gate.wait()
        try:
            found.append(rendering.request(Video.objects.get(pk=video.pk), by="otto"))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len({job.pk for job, _ in found}) == 1
    assert sorted(is_new for _, is_new in found) == [False, False, False, True]


def test_segment_of_a_worker_that_died_is_done_by_another(broker):
    video = film_of(photographed(8))
    job, _ = rendering.request(video, by="otto")
    render_job = take(job, worker="video@dead")
    assert render_job
    recovery.release("video@dead")  # it died while it planned
    _work_until_segments_wait(broker)
    lost = segment_jobs().first()
    assert take(lost, worker="video@dead")  # and this one never ends
    broker.work_off("video")
    assert numbers_missing(video)

    MediaJob.objects.filter(pk=lost.pk).update(lease_until=clock.now() - timedelta(seconds=1))
    recovery.reap(clock.now())
    broker.work_off("video")

    video.refresh_from_db()
    assert numbers_in(video) == list(range(8))
    lost.refresh_from_db()
    assert (lost.state, lost.attempt) == ("done", 2)


def _work_until_segments_wait(broker):
    """Does the message of the render job, which then waits for its segments."""
    job = MediaJob.objects.get(task="videos.render")
    broker.empty()
    tracked_once(job)
    job.refresh_from_db()
    assert job.state == "waiting"


def numbers_missing(video):
    video.refresh_from_db()
    return video.revision == 0


def test_cancel_while_it_waits_ends_everything_and_keeps_the_earlier_film(broker, settings):
    timelapse = photographed(6)
    video = film_of(timelapse)
    render(video, broker)
    before = everything_in(settings.MEDIA_ROOT)
    photographed(6, first=6, timelapse=timelapse)
    job, _ = rendering.request(video, by="otto")
    tracked_once(job)

    rendering.cancel(video, by="otto")
    broker.work_off("video")

    job.refresh_from_db()
    video.refresh_from_db()
    assert (job.state, video.state, video.revision) == ("cancelled", State.READY, 1)
    assert not MediaJob.objects.active().exists()
    assert numbers_in(video) == list(range(6))
    assert set(everything_in(settings.MEDIA_ROOT)) - set(before) == {
        capture.file for capture in captures_of(timelapse)[6:]
    }


def tracked_once(job):
    do(job, assembly.render, worker="w")


def test_cancel_of_a_first_film_says_cancelled(broker, settings):
    video = film_of(photographed(6))
    rendering.request(video, by="otto")

    rendering.cancel(video, by="otto")
    broker.work_off("video")

    video.refresh_from_db()
    assert (video.state, video.file) == (State.CANCELLED, "")
    assert leftovers(settings) == []
    assert render(video, broker).state == "done"
    assert video.state == State.READY


def test_cancel_in_the_middle_of_a_segment_stops_ffmpeg_and_leaves_no_part(broker, settings):
    video = film_of(photographed(5))
    job, _ = rendering.request(video, by="otto")
    tracked_once(job)
    segment = segment_jobs().first()
    reads = []

    class Cancelling(Running):
        def should_stop(self):
            reads.append(1)
            if len(reads) == 1:
                rendering.cancel(video, by="otto")
                lifecycle.cancel(MediaJob.objects.get(pk=self.job.pk))
                self._looked_at = 0.0
            return super().should_stop()

    held = take(segment, worker="w")
    with pytest.raises(assembly.WorkCancelled):
        assembly.encode(Cancelling(held))

    assert not Segment.objects.filter(key=held.key).exists()
    assert leftovers(settings) == []
    assert not any(name.endswith(".mp4") for name in everything_in(settings.MEDIA_ROOT))


PROMISED_S = 2
# For the machine: asked for in one thread, heard in another (which looks twice a second), on cores that others share.
ALLOWANCE_S = 1


def test_cancel_ends_ffmpeg_within_two_seconds(broker, settings):
    settings.SEGMENT_FRAMES = 240
    timelapse = photographed(0)
    noise = np.random.default_rng(1).integers(0, 256, (720, 1280, 3), dtype=np.uint8)  # takes long to encode
    jpeg = cv2.imencode(".jpg", noise)[1].tobytes()
    first = timelapse.schedules.get().timetable.first_from(timelapse.schedules.get().from_at)
    for number in range(40):
        make_stored_capture(jpeg, timelapse=timelapse, slot=first + number * timelapse.interval)
    video = make_video(timelapse=timelapse, recipe=make_recipe(codec="h265", quality="high"))
    job, _ = rendering.request(video, by="otto")
    tracked_once(job)
    parts = list(segment_jobs().order_by("-progress_total"))
    worker = threading.Thread(target=_encode_and_close, args=(parts[0],))
    worker.start()
    try:
        wait_for(ffmpegs_of_mine, within_s=60, what="ffmpeg to begin", every_s=0.01)
    finally:
        rendering.cancel(video, by="otto")
    cancelled_at = time.monotonic()
    wait_for(lambda: not ffmpegs_of_mine(), within_s=60, what="ffmpeg to end", every_s=0.01)
    took_s = time.monotonic() - cancelled_at
    worker.join(60)

    assert took_s < PROMISED_S + ALLOWANCE_S
    assert set(MediaJob.objects.values_list("state", "error")) == {
        ("cancelled", "Cancelled by otto."),
        ("cancelled", ""),  # the segment, which nobody waits for any more
    }
    assert not Segment.objects.exists()
    assert leftovers(settings) == []


def _encode_and_close(part):
    try:
        do(part, assembly.encode, worker="w")
    finally:
        connections.close_all()


def ffmpegs_of_mine():
    """The living ffmpeg children of this process."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            name, _, rest = (
                (folder / "stat").read_text().rpartition(") ") if folder.name.isdigit() else [""] * 3
            )
            if "(ffmpeg" in name and rest.split()[1] == str(os.getpid()):
                found.append(folder.name)
    return found


def test_segment_file_that_is_gone_or_damaged_is_encoded_again(broker, settings):
    timelapse = photographed(12)
    video = film_of(timelapse)
    render(video, broker)
    first, second = Segment.objects.order_by("pk")[:2]
    (settings.MEDIA_ROOT / first.file).unlink()
    damaged = settings.MEDIA_ROOT / second.file
    damaged.write_bytes(damaged.read_bytes()[:700])

    job = render(video, broker)
    assert (job.state, video.revision) == ("queued", 1)  # a retry, in a while
    MediaJob.objects.filter(pk=job.pk).update(run_after=clock.now())
    tracked_once(job)
    broker.work_off("video")

    video.refresh_from_db()
    assert video.revision == 2
    assert numbers_in(video) == list(range(12))


def test_pictures_that_come_while_it_is_made_belong_to_the_next_film(broker):
    timelapse = photographed(4)
    video = film_of(timelapse)
    job, _ = rendering.request(video, by="otto")
    tracked_once(job)
    photographed(3, first=4, timelapse=timelapse)

    broker.work_off("video")

    video.refresh_from_db()
    assert numbers_in(video) == [0, 1, 2, 3]
    render(video, broker)
    assert numbers_in(video) == list(range(7))


def test_picture_that_was_changed_while_the_segment_waited(broker):
    timelapse = photographed(4)
    video = film_of(timelapse)
    job, _ = rendering.request(video, by="otto")
    tracked_once(job)
    captures_of(timelapse)[2].delete()

    broker.work_off("video")

    video.refresh_from_db()
    assert numbers_in(video) == [0, 1, 3]


def test_part_that_was_cancelled_with_another_film_is_asked_for_again(broker):
    timelapse = photographed(4)
    video = film_of(timelapse)
    job, _ = rendering.request(video, by="otto")
    tracked_once(job)
    for part in segment_jobs():
        lifecycle.cancel(part)

    broker.work_off("video")

    video.refresh_from_db()
    assert numbers_in(video) == [0, 1, 2, 3]


def test_two_films_share_their_segments(broker):
    timelapse = photographed(7)
    first = film_of(timelapse)
    second = film_of(timelapse)
    second.recipe = first.recipe
    second.save()
    for video in (first, second):
        rendering.request(video, by="otto")

    broker.work_off("video")

    first.refresh_from_db()
    second.refresh_from_db()
    assert numbers_in(first) == numbers_in(second) == list(range(7))
    assert segment_jobs().count() == Segment.objects.count()


def test_excluded_picture_changes_one_segment(broker):
    timelapse = photographed(14)
    video = film_of(timelapse)
    render(video, broker)
    jobs = segment_jobs().count()
    captures_of(timelapse)[6].delete()

    render(video, broker)

    assert numbers_in(video) == [n for n in range(14) if n != 6]
    assert segment_jobs().count() == jobs + 1


def revisions_in(settings):
    found = [name for name in everything_in(settings.MEDIA_ROOT) if "/videos/" in name]
    return [os.path.basename(name) for name in found]  # noqa: PTH119 - names, no paths


def grow_and_render(timelapse, video, broker):
    photographed(1, first=timelapse.captures.count(), timelapse=timelapse)
    render(video, broker)


def test_revisions_stay_for_a_minute_after_the_next_one_and_the_one_before_for_ever(broker, settings):
    timelapse = photographed(2)
    video = film_of(timelapse)
    for _ in range(3):
        grow_and_render(timelapse, video, broker)
    assert revisions_in(settings) == [f"0000000{n}.{kind}" for n in (1, 2, 3) for kind in ("jpg", "mp4")]

    later = clock.now() + revisions.KEEP + timedelta(seconds=1)
    retention.tidy(later)

    assert revisions_in(settings) == [f"0000000{n}.{kind}" for n in (2, 3) for kind in ("jpg", "mp4")]
    grow_and_render(timelapse, video, broker)
    retention.tidy(later + timedelta(days=1))
    assert revisions_in(settings) == [f"0000000{n}.{kind}" for n in (3, 4) for kind in ("jpg", "mp4")]


def test_publication_drops_what_was_superseded_a_minute_ago(broker, settings):
    timelapse = photographed(2)
    video = film_of(timelapse)
    for _ in range(3):
        grow_and_render(timelapse, video, broker)
    long_ago = (clock.now() - revisions.KEEP).isoformat()
    Video.objects.update(superseded=[each | {"at": long_ago} for each in video.superseded])

    grow_and_render(timelapse, video, broker)

    assert revisions_in(settings) == [f"0000000{n}.{kind}" for n in (3, 4) for kind in ("jpg", "mp4")]


def test_superseded_revisions_beyond_their_room_go_early():
    now = clock.now()
    old = [
        {"revision": n, "bytes": size, "at": now.isoformat()}
        for n, size in ((9, 2**40), (8, 100), (7, revisions.ROOM_BYTES - 100), (6, 1), (5, 0))
    ]

    assert [each["revision"] for each in revisions.still_kept(old, now)] == [9, 8, 7]
    assert revisions.still_kept([], now) == []


def second_film(first):
    """Another film of the same look: its segments are there already."""
    video = film_of(first.timelapse)
    video.recipe = first.recipe
    video.save()
    return video


def test_film_asked_for_right_after_the_cancel_is_made(broker, settings):
    first = film_of(photographed(6))
    render(first, broker)
    video = second_film(first)
    dying = take(rendering.request(video, by="otto")[0], worker="w")
    rendering.cancel(video, by="otto")

    fresh, is_new = rendering.request(video, by="otto")
    assert is_new
    with pytest.raises(assembly.WorkCancelled):
        assembly.render(Running(dying))
    lifecycle.end_cancelled(dying)

    video.refresh_from_db()
    assert (video.state, video.revision) == (State.RENDERING, 0)
    broker.work_off("video")
    video.refresh_from_db()
    fresh.refresh_from_db()
    assert (fresh.state, video.state, numbers_in(video)) == ("done", State.READY, list(range(6)))


@pytest.mark.parametrize("is_made_meanwhile", [True, False])
def test_cancelled_film_that_is_joined_already_is_not_published(broker, settings, is_made_meanwhile):
    first = film_of(photographed(6))
    render(first, broker)
    video = second_film(first)
    dying = take(rendering.request(video, by="otto")[0], worker="w")
    overtaken = []

    def overtake(execute, sql, params, many, context):
        answer = execute(sql, params, many, context)
        if '"last_revision" = ' in sql and sql.startswith("UPDATE") and not overtaken:
            overtaken.append(True)  # the dying one has its number, and goes on to write its files
            elsewhere(lambda: _cancel_and_ask_anew(video))
            if is_made_meanwhile:
                elsewhere(lambda: broker.work_off("video"))
        return answer

    with connection.execute_wrapper(overtake), pytest.raises(assembly.WorkCancelled):
        assembly.render(Running(dying))

    assert overtaken
    video.refresh_from_db()
    assert video.revision == (2 if is_made_meanwhile else 0)
    broker.work_off("video")
    video.refresh_from_db()
    assert (video.state, numbers_in(video)) == (State.READY, list(range(6)))
    mine = [name for name in everything_in(settings.MEDIA_ROOT) if f"/videos/{video.pk}/" in name]
    assert mine == [video.poster, video.file]
    assert files.size(video.file) == video.bytes


def _cancel_and_ask_anew(video):
    rendering.cancel(video, by="otto")
    rendering.request(video, by="otto")


def elsewhere(work):
    """Does `work` over connections of its own."""

    def run():
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)


def test_film_takes_the_size_that_its_recipe_has_now(broker):
    timelapse = photographed(2, size=(1280, 720))
    video = film_of(timelapse)
    render(video, broker)
    assert (video.width, video.height) == (1280, 720)

    video.recipe.height = 480
    video.recipe.save()
    render(video, broker)
    assert (video.width, video.height) == (854, 480)

    video.recipe = make_recipe(fps=10, height=720)
    video.save()
    render(video, broker)
    assert (video.width, video.height) == (1280, 720)


def test_discard_removes_the_film_with_its_files(broker, settings):
    video = film_of(photographed(3))
    rendering.request(video, by="otto")
    with pytest.raises(FilmInUse):
        rendering.discard(video, by="otto")
    broker.work_off("video")
    video.refresh_from_db()

    rendering.discard(video, by="otto")

    assert not Video.objects.exists()
    assert not any("/videos/" in name for name in everything_in(settings.MEDIA_ROOT))
    assert Segment.objects.exists()


def test_reconcile_settles_films_whose_job_ended_without_them(broker):
    lost, failed, active = (film_of(photographed(2)) for _ in range(3))
    for video in (lost, failed, active):
        rendering.request(video, by="otto")
    MediaJob.objects.filter(key=f"video.{lost.pk}").update(state="cancelled")
    MediaJob.objects.filter(key=f"video.{failed.pk}").update(state="failed", error="The worker went away.")

    assert rendering.reconcile() == 2

    states = {video.pk: (video.state, video.error) for video in Video.objects.all()}
    assert states == {
        lost.pk: ("cancelled", ""),
        failed.pk: ("failed", "The worker went away."),
        active.pk: ("rendering", ""),
    }


def test_full_disk_is_said_and_tried_again(broker, settings):
    video = film_of(photographed(3))
    rendering.request(video, by="otto")
    settings.MIN_FREE_BYTES = 2**60

    broker.work_off("video")

    assert set(segment_jobs().values_list("state", "error_code")) == {("queued", "disk_full")}


def test_film_grows_over_a_pause(broker):
    timelapse = photographed(4)
    video = film_of(timelapse)
    campaign.pause(timelapse, by="otto")
    campaign.resume(timelapse, by="otto")
    photographed(4, first=4, timelapse=timelapse)

    render(video, broker)

    assert numbers_in(video) == list(range(8))
    assert Capture.objects.stored().count() == 8
    assert painted_jpeg(1) != painted_jpeg(2)


def test_a_worker_with_another_encoder_leaves_the_segment_to_those_that_fit(broker, settings):
    video = film_of(photographed(4), fps=10)
    rendering.request(video, by="otto")
    job = MediaJob.objects.get(task="videos.render")
    do(job, assembly.render, worker="w1")
    part = segment_jobs().first()
    part.args["build"] = "another"
    part.save(update_fields=["args"])

    do(part, assembly.encode, worker="w2")

    part.refresh_from_db()
    assert (part.state, part.error_code) == ("queued", "encoder_differs")
    assert part.run_after > clock.now()
    assert not Segment.objects.exists()


def test_film_of_a_part_that_was_parked_fails_and_is_not_asked_for_again(broker):
    video = film_of(photographed(1))
    job, _ = rendering.request(video, by="otto")
    do(job, assembly.render)
    part = segment_jobs().get()
    for _ in range(3):
        take(part, worker="video@gone")
        recovery.release("video@gone")

    broker.work_off("video")

    video.refresh_from_db()
    job.refresh_from_db()
    assert (job.state, job.error_code, video.state) == ("failed", "segment", State.FAILED)
    assert "3 workers went away" in video.error
    assert segment_jobs().count() == 1


def test_film_whose_own_job_was_parked_is_failed_with_its_words():
    video = film_of(photographed(3))
    job, _ = rendering.request(video, by="otto")
    for _ in range(3):
        take(job, worker="video@gone")
        recovery.release("video@gone")

    assert rendering.reconcile() == 1

    video.refresh_from_db()
    assert video.state == State.FAILED
    assert "3 workers went away" in video.error


def test_segment_of_a_timelapse_that_went_meanwhile_leaves_no_file(settings):
    timelapse = photographed(1)
    job, _ = rendering.request(film_of(timelapse), by="otto")
    do(job, assembly.render)
    part = segment_jobs().get()
    part.args["timelapse"] = 10**9  # as if it were gone by now
    part.save()

    do(part, assembly.encode)

    part.refresh_from_db()
    assert part.state == "cancelled"
    assert not [name for name in everything_in(settings.MEDIA_ROOT) if "/segments/" in name]


def test_person_who_tries_a_failed_render_again_asks_for_the_film():
    video = film_of(photographed(3))
    job, _ = rendering.request(video, by="otto")
    MediaJob.objects.filter(pk=job.pk).update(state="failed")
    rendering.note_failure(video, "No.")

    again = lifecycle.retry(MediaJob.objects.get(pk=job.pk), by="ada")

    video.refresh_from_db()
    assert (again.state, again.requested_by, video.state, video.error) == (
        "queued",
        "ada",
        State.RENDERING,
        "",
    )
    asked = Decision.objects.filter(action="video_requested").order_by("pk")
    assert list(asked.values_list("by", flat=True)) == ["otto", "ada"]


def test_render_of_a_film_that_is_gone_is_not_tried_again():
    video = film_of(photographed(3))
    job, _ = rendering.request(video, by="otto")
    MediaJob.objects.filter(pk=job.pk).update(state="failed")
    video.delete()

    with pytest.raises(NotRepeatable):
        lifecycle.retry(MediaJob.objects.get(pk=job.pk), by="ada")
