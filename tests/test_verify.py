"""Verify and repair against a folder that was broken on purpose: the report equals the truth."""

import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import call_command

from captures import flags, healing
from captures.imaging.pictures import encode_jpeg
from captures.inventory import repair, requests, verify
from captures.inventory.requests import Deed
from captures.models import Capture, JudgedPicture, Timelapse
from media_jobs import files, lifecycle, tracked
from media_jobs.exceptions import TurnPassed
from media_jobs.models import Decision, MediaJob
from tests import damaged, wrecked
from tests.jobs import take
from timelapser.demo.scene import Scene

pytestmark = pytest.mark.django_db(transaction=True)
SCENE = Scene(480, 272).draw(datetime(2026, 5, 4, 12, tzinfo=UTC))
CLEAR, SMEARED = encode_jpeg(SCENE), encode_jpeg(damaged.smeared(SCENE, 90))


@pytest.fixture
def ask(broker):
    """A function: the report of a deed that was asked for and done."""

    def done(deed, timelapse=None, **wish):
        job, _ = requests.request(deed, timelapse, by="ada", **wish)
        broker.work_off("thumbnail")
        job.refresh_from_db()
        assert (job.state, job.error) == ("done", "")
        return job.result

    return done


@pytest.mark.parametrize(
    "count", [1200, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(600)])]
)
def test_report_equals_the_truth_and_repair_heals_what_can_be_healed(ask, settings, count, monkeypatch):
    monkeypatch.setattr(tracked, "LONGEST_TURN_S", 0.3)  # all of it goes on in many turns
    wreck = wrecked.build(settings.MEDIA_ROOT, count)
    wrecked.wreck_some(wreck)
    last = wreck.timelapses[-1]
    rows = Capture.objects.filter(state__in=["stored", "discarded"]).count()

    found = ask(Deed.VERIFY)
    of_one = ask(Deed.VERIFY, timelapse=last)
    deep = ask(Deed.VERIFY, deep=True)
    repaired = ask(Deed.REPAIR, deep=True)
    again = ask(Deed.VERIFY, deep=True)

    assert found["faults"] == wreck.faults
    assert (found["rows"], found["young"], found["total"]) == (rows, wreck.young, wreck.faults.total())
    assert of_one["faults"] == found["timelapses"][str(last.pk)]
    assert deep["faults"] == wreck.deep_faults
    assert repaired["actions"] == +wreck.actions
    assert again["faults"] == wreck.left
    call_command("check_ledger", stdout=StringIO())


def test_nothing_is_lost_by_a_repair(ask, settings):
    wreck = wrecked.build(settings.MEDIA_ROOT, 60, timelapses=1)
    frames = [capture.file for capture in Capture.objects.order_by("slot")]
    wreck.put(frames[0], b"")
    nobody = wreck.put(frames[1].replace("_", "_9999"), wrecked.FRAME)

    ask(Deed.REPAIR)

    assert (files.size(f"quarantine/{frames[0]}"), files.size(frames[0])) == (0, None)
    assert files.read(f"quarantine/{nobody}") == wrecked.FRAME
    assert Decision.objects.filter(action="storage_repaired", by="ada").count() == 1


def test_a_lost_picture_is_told_and_comes_back_with_its_file(ask, settings):
    wreck = wrecked.build(settings.MEDIA_ROOT, 20, timelapses=1)
    timelapse = wreck.timelapses[0]
    newest = Capture.objects.order_by("-slot").first()
    (settings.MEDIA_ROOT / newest.file).rename(settings.MEDIA_ROOT / "elsewhere")

    ask(Deed.REPAIR)
    timelapse.refresh_from_db()
    lost = Capture.objects.get(pk=newest.pk)
    assert (lost.state, lost.reason, lost.file) == ("failed", healing.LOST, "")
    assert (timelapse.image_count, timelapse.latest_capture.slot < newest.slot) == (19, True)

    (settings.MEDIA_ROOT / "elsewhere").rename(settings.MEDIA_ROOT / newest.file)
    ask(Deed.REPAIR)
    timelapse.refresh_from_db()
    found = Capture.objects.get(pk=newest.pk)
    assert (found.state, found.reason, found.file) == ("stored", "", newest.file)
    assert (timelapse.image_count, timelapse.latest_capture_id, timelapse.frames_revision) == (
        20,
        newest.pk,
        2,
    )
    actions = list(Decision.objects.order_by("id").values_list("action", flat=True))
    assert [action for action in actions if action.startswith("capture")] == [
        "capture_lost",
        "capture_healed",
    ]


def test_a_disk_that_is_away_is_no_reason_to_give_up_its_pictures(ask, settings):
    wreck = wrecked.build(settings.MEDIA_ROOT, 200)
    away, there = wreck.timelapses
    for capture in away.captures.order_by("-slot")[:80]:
        (settings.MEDIA_ROOT / capture.file).unlink()
    gone = there.captures.order_by("slot")[3]
    (settings.MEDIA_ROOT / gone.file).unlink()
    wreck.change(away.captures.order_by("-slot")[0], original="cameras/originals/1.jpg")
    job, _ = requests.request(Deed.REPAIR, None, by="ada")

    turns = 0
    while MediaJob.objects.filter(pk=job.pk, state="queued").exists():
        turns += 1
        tracked.do(take(job, worker=f"w{turns}"), lambda running: repair.repair(Passing(running.job, 15)))

    job.refresh_from_db()
    assert (job.state, turns > 20) == ("done", True)
    assert (job.result["actions"]["lost"], job.result["actions"]["held_back"]) == (1, 80)
    assert list(Capture.objects.filter(state="failed").values_list("pk", "reason")) == [
        (gone.pk, healing.LOST)
    ]
    assert Capture.objects.exclude(original="").count() == 1
    (settings.MEDIA_ROOT / "cameras").rename(settings.MEDIA_ROOT / "away")
    job, _ = requests.request(Deed.REPAIR, None, by="ada")
    tracked.do(take(job), repair.repair)
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("failed", "storage_away")
    assert Capture.objects.stored().count() == 199


class Passing(tracked.Running):
    """Its turn is over after so many steps; what it notes goes through JSON."""

    def __init__(self, job, after):
        super().__init__(job)
        self.left = after

    def go_on(self, done, total, place):
        self.left -= 1
        if self.left == 0:
            lifecycle.note_place(self.job, done=done, total=total, **json.loads(json.dumps(place())))
            raise TurnPassed


def test_a_folder_that_cannot_be_listed_is_reported_and_the_rest_is_looked_at(ask, settings):
    wreck = wrecked.build(settings.MEDIA_ROOT, 4)
    folder = (settings.MEDIA_ROOT / Capture.objects.first().file).parent
    (folder / "loop").symlink_to(folder / "loop")
    frames = [capture.file for capture in Capture.objects.all()]
    nobody = wreck.put(f"cameras/77777/timelapses/88888/frames/2026-05-04/{frames[0][-30:]}", wrecked.FRAME)

    report = ask(Deed.REPAIR)

    assert (report["faults"], report["actions"]) == (
        {"frame.unreadable": 1, "frame.orphan": 1},
        {"set_aside": 1},
    )
    assert (files.size(nobody), [files.size(name) for name in frames]) == (None, [len(wrecked.FRAME)] * 4)


def test_a_frame_that_is_not_the_stored_one_keeps_the_evidence_and_its_flag_tells(ask, settings):
    wreck = wrecked.build(settings.MEDIA_ROOT, 4, timelapses=1)
    rotten = Capture.objects.order_by("slot")[1]
    wreck.put(rotten.file, wrecked.OTHER_CONTENT)

    reports = [ask(Deed.REPAIR, deep=True) for _ in range(2)]

    after = Capture.objects.get(pk=rotten.pk)
    assert [report["faults"] for report in reports] == [{"frame.wrong_checksum": 1}] * 2
    assert [report["actions"] for report in reports] == [{"flagged": 1}, {}]
    assert (after.checksum, after.file, after.is_flagged, after.flagged_by) == (
        rotten.checksum,
        rotten.file,
        True,
        "storage",
    )
    assert files.read(rotten.file) == wrecked.OTHER_CONTENT


def test_a_frame_of_other_content_does_not_heal_a_row_that_knows_what_it_was(ask, settings):
    wreck = wrecked.build(settings.MEDIA_ROOT, 4, timelapses=1)
    lost = Capture.objects.order_by("slot")[1]
    wreck.change(lost, state="failed", reason=healing.LOST, file="")
    wrecked.recount(wreck.timelapses[0])
    wreck.put(lost.file, wrecked.OTHER_CONTENT)

    report = ask(Deed.REPAIR)

    after = Capture.objects.get(pk=lost.pk)
    assert (report["actions"], after.state, after.checksum) == ({"set_aside": 1}, "failed", lost.checksum)


@pytest.mark.parametrize(("data", "is_flagged"), [(SMEARED, True), (SMEARED[:-2], True), (CLEAR, False)])
def test_a_healed_picture_is_judged_as_if_it_had_just_come(ask, settings, data, is_flagged):
    wreck = wrecked.build(settings.MEDIA_ROOT, 4, timelapses=1)
    capture = Capture.objects.order_by("slot")[1]
    wreck.put(capture.file, data)
    wreck.change(capture, state="failed", reason="worker_lost", file="", checksum="")
    wrecked.recount(wreck.timelapses[0])

    report = ask(Deed.REPAIR)

    healed = Capture.objects.get(pk=capture.pk)
    row = JudgedPicture.objects.get(capture=capture)
    assert report["actions"]["healed"] == 1
    assert (healed.state, healed.is_flagged, healed.score < 70) == ("stored", is_flagged, is_flagged)
    assert (row.score, row.action) == (healed.score, "flagged" if is_flagged else "saved")
    assert report["actions"].get("made") == 1
    call_command("check_ledger", stdout=StringIO())


def test_a_flag_that_was_set_meanwhile_is_counted_when_its_picture_is_lost(settings):
    wrecked.build(settings.MEDIA_ROOT, 4, timelapses=1)
    stale = Capture.objects.select_related("timelapse__camera").order_by("slot").first()
    flags.set_flag(stale, is_flagged=True, by="ada")

    assert healing.lose(stale, healing.LOST, by="ada")

    assert Timelapse.objects.get().flagged_count == 0
    call_command("check_ledger", stdout=StringIO())


def test_after_its_worker_was_killed_the_report_is_the_same(ask, settings):
    wreck = wrecked.build(settings.MEDIA_ROOT, 120)
    wrecked.wreck_some(wreck, 0.2)
    whole = ask(Deed.VERIFY)
    job, _ = requests.request(Deed.VERIFY, None, by="ada")
    phases = []

    for after in (100, 250, 100):  # among the files, again, and among the rows
        running = Dying(take(job, worker=f"w{after}"), after, phases)
        with pytest.raises(KeyboardInterrupt):
            verify.verify(running)
        MediaJob.objects.filter(pk=job.pk).update(lost_count=0)
        lifecycle.lose(MediaJob.objects.get(pk=job.pk))
    tracked.do(take(job, worker="last"), verify.verify)

    job.refresh_from_db()
    assert (job.state, phases) == ("done", ["files", "files", "rows"])
    assert job.result == whole


class Dying(tracked.Running):
    """Notes its place `after` so many steps, does some more, and is killed."""

    def __init__(self, job, after, phases):
        super().__init__(job)
        self.left, self.phases = after, phases

    def go_on(self, done, total, place):
        self.left -= 1
        if self.left == 0:
            self.phases.append(place()["course"]["phase"])
            lifecycle.note_place(self.job, done=done, total=total, **json.loads(json.dumps(place())))
        if self.left < -5:
            raise KeyboardInterrupt


def test_clean_up_deletes_what_its_rehearsal_counted(ask, settings):
    wreck = wrecked.build(settings.MEDIA_ROOT, 60, timelapses=1)
    wrecked.wreck_some(wreck, 0.5)
    type(wreck.timelapses[0]).objects.update(said={"small_mode": "latest"})
    before = wrecked.all_files(settings.MEDIA_ROOT)

    rehearsal = ask(Deed.CLEAN_UP)
    untouched = wrecked.all_files(settings.MEDIA_ROOT)
    real = ask(Deed.CLEAN_UP, dry_run=False)
    after = ask(Deed.CLEAN_UP)

    assert untouched == before
    assert real | {"dry_run": True} == rehearsal
    gone = before - wrecked.all_files(settings.MEDIA_ROOT)
    assert gone
    assert all("/thumbnails/" in name or "/smalls/" in name for name in gone)
    assert after["total"] == 0
    assert Capture.objects.exclude(small="").count() == 1


def test_delete_all_leaves_neither_rows_nor_files(ask, settings):
    wreck = wrecked.build(settings.MEDIA_ROOT, 60)
    kept = wreck.timelapses[0]
    wreck.put(f"{Capture.objects.filter(timelapse=wreck.timelapses[1]).first().small[:-4]}0.jpg", b"litter")

    result = ask(Deed.DELETE_ALL, timelapse=wreck.timelapses[1])

    names = wrecked.all_files(settings.MEDIA_ROOT)
    own = f"/timelapses/{wreck.timelapses[1].pk}/"
    assert (result["removed"], result["bytes"] > 60) == (61, True)
    assert not [name for name in names if own in name and "/frames/" not in name]
    assert len([name for name in names if own in name]) == 30
    assert Capture.objects.filter(timelapse=wreck.timelapses[1]).exclude(thumbnail="", small="").count() == 0
    assert Capture.objects.filter(timelapse=kept).exclude(thumbnail="").exclude(small="").count() == 30
