"""Each picture is judged: what becomes of it, with a real camera that gives what the test says."""

import asyncio
from datetime import UTC, datetime, timedelta
from io import BytesIO

import cv2
import numpy as np
import pytest
from django.db import connections
from PIL import Image

from cameras import alerts
from cameras.geometry import Geometry
from cameras.models import Alert, Camera, GlobalSettings
from cameras.settings import Settings
from cameras.sources import Still
from captures import answers, coverage, days, filing, flags, framing, ingest, ledger, quality, quarantine
from captures.exceptions import NoPicture, NotRestorable
from captures.imaging.quality import condition
from captures.imaging.quality.contract import Sort
from captures.imaging.quality.past import Past
from captures.imaging.quality.picture import Picture
from captures.imaging.quality.score import evaluate
from captures.imaging.quality.table import DETECTORS
from captures.models import CameraPast, Capture, JudgedPicture, Timelapse
from captures.reasons import REASONS, reason_of
from media_jobs import clock, files
from media_jobs.models import Decision, Event, MediaJob
from tests.campaigns import faults, running
from tests.factories import make_camera, make_capture
from timelapser.demo.background import InBackground
from timelapser.demo.feed import encode_jpeg
from timelapser.demo.http_camera import HttpCamera, send_answer
from timelapser.demo.scene import Scene

pytestmark = pytest.mark.django_db
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
SCENE = Scene(480, 272)


def picture(second=0):
    pixels = SCENE.draw(datetime(2026, 5, 4, 12, 0, second, tzinfo=UTC))
    noise = np.random.default_rng(second).normal(0, 2.5, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def smeared_below(row):
    """What a decoder draws after data was lost: the file itself is whole."""
    pixels = picture(1)
    pixels[row:] = pixels[row]
    return encode_jpeg(pixels)


def lost_below(row):
    """What it leaves where no data came at all."""
    pixels = picture(1)
    pixels[row:] = 128
    return encode_jpeg(pixels)


def found_in(data):
    return evaluate(Picture.of_bytes(data, full=False, heavy=False), heavy=False, past=Past())


GOOD, GOOD_TOO = encode_jpeg(picture(2)), encode_jpeg(picture(3))
WORSE, BAD = sorted([smeared_below(190), lost_below(150)], key=lambda data: found_in(data).score)
VERDICT = found_in(BAD).verdict
NOTHING = b"\xff\xd8\xff\xe0" + bytes(600)  # begins like a JPEG, and nothing in it decodes


class Giving:
    """Answers one after the other, the last for ever; None is a 404."""

    def __init__(self):
        self.answers, self.asked = [GOOD], 0

    async def __call__(self, request, writer):
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        status = 200 if answer is not None else 404
        await send_answer(writer, status, answer or b"not here", "image/jpeg")


@pytest.fixture(scope="module")
def server():
    camera = HttpCamera(SCENE)
    camera.routes["/given.jpg"] = Giving()
    with InBackground(camera):
        yield camera


@pytest.fixture(autouse=True)
def _loopback(settings):
    settings.ALLOW_LOOPBACK_CAMERAS = True
    settings.MIN_FREE_BYTES = 0


@pytest.fixture
def give(server):
    """A function: a timelapse whose camera gives these answers, with these settings of its own."""

    def prepare(*given, geometry=None, **said):
        camera = make_camera(
            kind="http",
            address=server.address("/given.jpg"),
            said=said,
            geometry=geometry or {},
            deadline_s=60,
            connect_timeout_s=60,
        )
        timelapse = running(camera=camera, interval_s=3600)
        server.routes["/given.jpg"] = timelapse.giving = Giving()
        timelapse.giving.answers = list(given)
        return timelapse

    return prepare


def take(timelapse):
    now = clock.now()
    capture = make_capture(timelapse=timelapse, slot=now, give_up_at=now + 30 * SECOND, origin="person")
    ingest.take(capture.pk, worker="w1")
    capture.refresh_from_db()
    timelapse.refresh_from_db()
    timelapse.camera.refresh_from_db()
    return capture


def judged():
    return list(JudgedPicture.objects.order_by("pk").values_list("action", "is_bad", "verdict"))


def everything_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def events(*types):
    return list(Event.objects.filter(type__in=types).order_by("pk").values_list("type", flat=True))


def test_good_picture_is_kept_as_it_came_with_its_score_and_every_reading(give):
    timelapse = give(GOOD)

    capture = take(timelapse)

    assert (capture.state, capture.verdict, capture.is_flagged) == ("stored", "good", False)
    assert capture.score >= 90
    assert files.read(capture.file) == GOOD
    row = JudgedPicture.objects.get()
    assert (row.action, row.is_bad, row.score, row.capture, row.error) == (
        "saved",
        False,
        capture.score,
        capture,
        "",
    )
    assert len(row.readings) >= 3
    assert {"detector", "value", "is_found", "penalty"} <= row.readings[0].keys()
    assert len(CameraPast.objects.get().remembered) < 40_000
    assert timelapse.giving.asked == 1
    assert (timelapse.camera.good_in_row, timelapse.camera.bad_in_row) == (1, 0)


def masked(share):
    """All of the picture is hidden but its right side, of which `share` is seen."""
    seen = 1 - share
    return Geometry.from_document({"masks": [[[0, 0], [seen, 0], [seen, 1], [0, 1]]]})


def mask_while_it_is_read(timelapse, times):
    """The camera answers only when somebody has saved a mask, another for each of the first `times` readings."""
    giving = timelapse.giving

    def save():
        framing.set_geometry(Camera.objects.get(), masked(giving.asked / 10), by="ada")
        connections.close_all()

    async def answer(request, writer):
        if giving.asked < times:
            await asyncio.to_thread(save)
        await giving(request, writer)

    return answer


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("said", [{}, {"keep_original": True, "quality_enabled": False}])
def test_mask_that_is_saved_while_a_picture_is_taken_hides_in_it(give, server, settings, said):
    timelapse = give(GOOD, GOOD_TOO, **said)
    server.routes["/given.jpg"] = mask_while_it_is_read(timelapse, 1)

    capture = take(timelapse)

    assert (capture.state, timelapse.giving.asked, timelapse.image_count) == ("stored", 2, 1)
    with Image.open(BytesIO(files.read(capture.file))) as shown:
        assert np.asarray(shown).max() < 10
    assert everything_in(settings.MEDIA_ROOT) == [capture.file]
    assert not CameraPast.objects.exists()
    assert JudgedPicture.objects.count() == (0 if said else 1)
    assert faults(timelapse) == []


@pytest.mark.django_db(transaction=True)
def test_nothing_is_stored_while_somebody_goes_on_drawing_masks(give, server, settings):
    timelapse = give(BAD, quality_retry=False, quality_discard=True)
    server.routes["/given.jpg"] = mask_while_it_is_read(timelapse, 3)

    capture = take(timelapse)

    assert (capture.state, capture.reason, timelapse.giving.asked) == ("failed", "masks_changed", 3)
    assert everything_in(settings.MEDIA_ROOT) == []
    assert not CameraPast.objects.exists()
    assert events("capture_stored", "capture_discarded", "capture_failed") == ["capture_failed"]
    assert faults(timelapse) == []


def test_what_is_hidden_since_the_picture_was_stored_is_not_remembered(give):
    timelapse = give(GOOD)
    capture = take(timelapse)
    rules = quality.rules_of(timelapse)
    shot = quality.look_at(Still(GOOD_TOO, None, 480, 272, "jpeg", 0), rules, clock.now())

    framing.set_geometry(timelapse.camera, masked(0.5), by="ada")
    quality.follow(capture, shot, [], rules, clock.now())

    assert not CameraPast.objects.exists()


def test_pictures_of_these_tests_are_what_they_are_said_to_be():
    scores = [found_in(data).score for data in (WORSE, BAD, GOOD)]
    assert scores[0] < scores[1] < 70 < scores[2]


def test_bad_picture_is_taken_once_more_and_only_the_better_one_is_kept(give, settings):
    timelapse = give(BAD, GOOD)

    capture = take(timelapse)

    assert judged() == [("retried", True, VERDICT), ("saved", False, "good")]
    assert files.read(capture.file) == GOOD
    assert everything_in(settings.MEDIA_ROOT) == [capture.file]
    assert (capture.state, capture.is_flagged, timelapse.flagged_count) == ("stored", False, 0)
    assert (timelapse.giving.asked, timelapse.camera.glitch_count, timelapse.camera.bad_in_row) == (2, 1, 0)


@pytest.mark.parametrize("given", [(BAD, WORSE), (WORSE, BAD), (BAD, None), (NOTHING, BAD), (BAD, NOTHING)])
def test_twice_bad_the_better_one_is_kept_with_a_flag(give, settings, given):
    timelapse = give(*given)

    capture = take(timelapse)

    assert (capture.state, capture.is_flagged, capture.flagged_by) == ("stored", True, "quality")
    assert (capture.verdict, files.read(capture.file) == BAD) == (VERDICT, True)
    assert capture.score < 70
    assert everything_in(settings.MEDIA_ROOT) == [capture.file]
    assert judged()[-1] == ("flagged", True, VERDICT)
    assert {action for action, *_ in judged()[:-1]} <= {"retried"}
    assert (timelapse.image_count, timelapse.flagged_count, timelapse.camera.bad_in_row) == (1, 1, 1)
    assert events("capture_stored", "capture_flagged") == ["capture_stored", "capture_flagged"]
    assert faults(timelapse) == []


def test_what_no_decoder_reads_is_tried_twice_and_fails_with_its_reason(give, settings):
    timelapse = give(NOTHING)

    capture = take(timelapse)

    assert (capture.state, capture.reason, timelapse.giving.asked) == ("failed", "broken_picture", 2)
    assert judged() == [("retried", True, "undecodable"), ("failed", True, "undecodable")]
    assert everything_in(settings.MEDIA_ROOT) == []
    assert (timelapse.camera.last_error_code, timelapse.camera.bad_in_row) == ("broken_picture", 1)


def test_file_that_ends_too_early_is_judged_by_what_it_shows(give):
    cut = GOOD[: len(GOOD) // 2]
    timelapse = give(cut)

    capture = take(timelapse)

    assert (capture.state, capture.is_flagged, capture.codec) == ("stored", True, "mjpeg")
    assert (capture.width, capture.height, files.read(capture.file) == cut) == (480, 272, True)
    found = {reading["detector"] for reading in _last_row(capture).readings if reading["is_found"]}
    assert "file" in found


def test_discarded_slot_keeps_its_reason_and_its_picture_can_be_restored(give, settings):
    timelapse = give(WORSE, BAD, quality_discard=True)

    capture = take(timelapse)

    assert (capture.state, capture.reason, capture.verdict) == ("discarded", reason_of(VERDICT), VERDICT)
    assert VERDICT in capture.detail
    assert f"Score {capture.score} of 100" in capture.detail
    assert "/quarantine/" in capture.file
    assert everything_in(settings.MEDIA_ROOT) == [capture.file]
    assert files.read(capture.file) == BAD
    assert timedelta(days=29) < capture.quarantine_until - clock.now() < timedelta(days=31)
    assert (timelapse.image_count, timelapse.discarded_count, timelapse.latest_capture) == (0, 1, None)
    assert events("capture_stored", "capture_discarded", "capture_flagged") == ["capture_discarded"]
    kept = coverage.coverage(timelapse, capture.slot, capture.slot + SECOND)
    assert (kept.owed_total, kept.discarded, kept.stored, kept.ratio) == (1, 1, 0, 0)
    day = days.calendar(timelapse, capture.slot.date(), capture.slot.date())[0]
    assert (day.discarded, day.top_reason) == (1, reason_of(VERDICT))
    answer = answers.why(timelapse, capture.slot)
    assert (answer.kind, answer.code) == ("discarded", reason_of(VERDICT))
    assert "restore it" in answer.advice
    assert (faults(timelapse), timelapse.camera.health) == ([], "online")
    with pytest.raises(NoPicture):
        flags.set_flag(capture, is_flagged=True, by="otto")

    quarantine.restore(capture, by="otto")

    capture.refresh_from_db()
    timelapse.refresh_from_db()
    assert (capture.state, capture.reason, capture.is_flagged, capture.flagged_by) == (
        "stored",
        "",
        False,
        "otto",
    )
    assert everything_in(settings.MEDIA_ROOT) == [capture.file]
    assert "/frames/" in capture.file
    assert files.read(capture.file) == BAD
    assert (timelapse.image_count, timelapse.discarded_count, timelapse.frames_revision) == (1, 0, 1)
    assert timelapse.latest_capture == capture
    assert Camera.objects.get().image_count == 1
    assert MediaJob.objects.filter(task="captures.make_thumbnails").count() == 1
    assert events("capture_restored") == ["capture_restored"]
    assert Decision.objects.get(action="capture_restored").by == "otto"
    assert faults(timelapse) == []
    with pytest.raises(NotRestorable):
        quarantine.restore(capture, by="otto")


def test_every_damage_that_can_discard_a_picture_has_its_words():
    findings = {detector.finding for detector in DETECTORS if detector.sort is Sort.DAMAGE}

    assert {finding for finding in findings if reason_of(finding) not in REASONS} == set()


def test_quarantine_ends_and_nothing_is_kept_where_no_days_are_wanted(give, settings):
    timelapse = give(BAD, quality_discard=True)
    kept = take(timelapse)
    Camera.objects.update(said={"quality_discard": True, "quarantine_days": 0})
    timelapse.camera.refresh_from_db()
    unkept = take(timelapse)

    assert (unkept.state, unkept.file, unkept.quarantine_until) == ("discarded", "", None)
    assert quarantine.tidy(clock.now()) == (0, 0)
    assert everything_in(settings.MEDIA_ROOT) == [kept.file]

    assert quarantine.tidy(clock.now() + 31 * DAY) == (1, 0)

    kept.refresh_from_db()
    assert (kept.state, kept.file, kept.quarantine_until) == ("discarded", "", None)
    assert everything_in(settings.MEDIA_ROOT) == []
    assert answers.why(timelapse, kept.slot).advice == "Its time in the quarantine is over."
    with pytest.raises(NotRestorable):
        quarantine.restore(kept, by="otto")
    GlobalSettings.objects.create(said={"evaluation_days": 2})
    assert quarantine.tidy(clock.now() + 3 * DAY) == (0, JudgedPicture.objects.count() or 4)
    assert faults(timelapse) == []


def test_settings_decide_what_is_asked_of_a_picture(give):
    bad_once = give(BAD, quality_retry=False)
    assert (take(bad_once).is_flagged, bad_once.giving.asked) == (True, 1)

    tolerant = give(BAD, quality_threshold=0)
    assert (take(tolerant).is_flagged, tolerant.giving.asked) == (False, 1)

    ignoring = give(BAD, quality_ignored=["smear"])
    assert "smear" not in {reading["detector"] for reading in _last_row(take(ignoring)).readings}

    close = give(GOOD, quality_heavy=True)
    assert _last_row(take(close)).heavy is not None

    JudgedPicture.objects.all().delete()
    blind = give(BAD, quality_enabled=False)
    assert (take(blind).score, take(blind).verdict, take(blind).is_flagged) == (None, "", False)
    broken = give(GOOD[: len(GOOD) // 2], quality_enabled=False)
    assert take(broken).reason == "broken_picture"
    assert judged() == []


def _last_row(capture):
    return JudgedPicture.objects.filter(capture=capture).latest("pk")


def test_geometry_is_applied_with_one_encoding_and_the_original_is_kept_where_that_is_wanted(give):
    turned = {"rotate": 90}
    plain = take(give(GOOD, geometry=turned))
    assert (plain.width, plain.height, plain.original) == (272, 480, "")
    assert Image.open(BytesIO(files.read(plain.file))).size == (272, 480)

    kept = take(give(GOOD, geometry=turned, keep_original=True, jpeg_quality=50))
    assert files.read(kept.original) == GOOD
    assert kept.bytes == len(files.read(kept.file)) < plain.bytes

    as_it_came = take(give(GOOD, keep_original=True))
    assert (files.read(as_it_came.file), as_it_came.original) == (GOOD, "")

    masks = {"masks": [[[0, 0], [0.5, 0], [0.5, 0.5], [0, 0.5]]]}
    masked = take(give(GOOD, geometry=masks, keep_original=True))
    pixels = cv2.imdecode(np.frombuffer(files.read(masked.file), np.uint8), cv2.IMREAD_COLOR)
    assert (masked.original, masked.score >= 70) == ("", True)
    assert pixels[:130, :230].max() < 12
    assert pixels[150:, 260:].max() > 100

    unreadable = take(give(GOOD, geometry={"masks": "everything"}))
    assert (unreadable.state, unreadable.reason, unreadable.file) == ("failed", "geometry_unreadable", "")


def test_past_below_other_masks_is_none(give):
    timelapse = give(GOOD)
    take(timelapse)
    before = bytes(CameraPast.objects.get().remembered)
    timelapse.camera.geometry = masked(0.1).to_document()
    timelapse.camera.save()

    take(timelapse)

    after = bytes(CameraPast.objects.get().remembered)
    assert len(after) < len(before) / 2  # nearly all black, where the scene was


def test_past_that_cannot_be_read_is_an_empty_one(give):
    timelapse = give(GOOD)
    take(timelapse)
    row = CameraPast.objects.get()
    CameraPast.objects.update(remembered=bytes(row.remembered)[:40] + b"nonsense")

    assert take(timelapse).state == "stored"
    assert judged()[-1][0] == "saved"


def test_second_reading_is_not_begun_by_a_worker_that_has_lost_its_capture(give):
    timelapse = give(BAD)
    now = clock.now()
    capture = make_capture(timelapse=timelapse, slot=now, give_up_at=now + 30 * SECOND, origin="person")
    looked_at = ledger.look(capture.pk)
    assert ledger.claim(looked_at, worker="w1")
    lease = Capture.objects.get().lease_until
    assert ledger.hold_on(looked_at, now + 5 * SECOND)
    assert Capture.objects.get().lease_until > lease
    Capture.objects.update(attempt=2)

    assert not ledger.hold_on(looked_at, now)


def test_flag_of_a_person_is_counted_noted_and_told_once(give):
    timelapse = give(GOOD)
    capture = take(timelapse)

    assert flags.set_flag(capture, is_flagged=True, by="otto", reason="a spider")
    assert not flags.set_flag(capture, is_flagged=True, by="vera")

    timelapse.refresh_from_db()
    assert (timelapse.flagged_count, timelapse.frames_revision) == (1, 1)
    assert Capture.objects.get().flagged_by == "otto"
    assert Decision.objects.get(action="capture_flagged").facts["reason"] == "a spider"
    assert events("capture_flagged") == ["capture_flagged"]
    assert faults(timelapse) == []
    assert flags.set_flag(capture, is_flagged=False, by="vera")
    timelapse.refresh_from_db()
    assert (timelapse.flagged_count, timelapse.frames_revision) == (0, 2)
    Timelapse.objects.update(flagged_count=4, discarded_count=2)
    assert faults(timelapse) == [
        "0 captures are discarded, the counter says 2",
        "0 captures are flagged, the counter says 4",
    ]


def test_camera_that_gives_bad_pictures_is_degraded_once_and_well_again_after_good_ones(give):
    timelapse = give(BAD, degraded_in_row=2, degraded_leave_after=2, quality_retry=False)
    for _ in range(3):
        take(timelapse)

    alert = Alert.objects.get(kind="degraded")
    assert (alert.reason, alert.words) == ("bad_in_row", "2 bad pictures in a row.")
    assert (timelapse.camera.is_degraded, timelapse.camera.is_enabled) == (True, True)
    timelapse.giving.answers, timelapse.giving.asked = [GOOD, GOOD_TOO], 0
    take(timelapse)
    assert timelapse.camera.is_degraded
    take(timelapse)

    assert (timelapse.camera.is_degraded, timelapse.camera.degraded_since) == (False, None)
    assert events("alert_raised", "alert_cleared") == ["alert_raised", "alert_cleared"]
    assert filing.frame_name(take(timelapse), "jpg").startswith(f"cameras/{timelapse.camera_id}/")


def test_frozen_pictures_neither_keep_a_camera_degraded_nor_make_it_well(give, monkeypatch):
    monkeypatch.setattr(condition, "_STANDSTILL_S", 0)
    timelapse = give(BAD, degraded_in_row=1, degraded_leave_after=3, quality_retry=False)
    take(timelapse)
    assert timelapse.camera.is_degraded
    timelapse.giving.answers, timelapse.giving.asked = [GOOD], 0

    verdicts = [take(timelapse).verdict for _ in range(6)]

    assert verdicts.count("frozen") >= 4
    assert timelapse.camera.is_degraded
    assert timelapse.camera.good_in_row < 3


def test_picture_that_is_hidden_whole_is_kept_and_has_no_score(give):
    timelapse = give(GOOD, geometry={"masks": [[[0, 0], [1, 0], [1, 1], [0, 1]]]})

    capture = take(timelapse)

    assert (capture.state, capture.score, capture.is_flagged) == ("stored", None, False)
    assert JudgedPicture.objects.get().error == "The masks hide all of it."


def test_where_nothing_is_judged_any_more_nothing_of_it_stays_open(give):
    timelapse = give(BAD, degraded_in_row=2, quality_retry=False)
    camera = timelapse.camera
    alerts.raise_alert(camera.pk, Alert.Kind.FROZEN, clock.now(), reason="frozen", words="")
    take(timelapse)
    assert take(timelapse).timelapse.camera.is_degraded
    Camera.objects.update(said={"quality_enabled": False})

    camera = take(Timelapse.objects.get()).timelapse.camera
    assert (camera.is_degraded, camera.degraded_since) == (False, None)
    assert not Alert.objects.filter(cleared_at=None).exists()
    assert events("alert_cleared") == ["alert_cleared"] * 2


def test_what_looks_at_a_picture_and_fails_never_costs_it(give):
    timelapse = give(GOOD)
    capture = take(timelapse)
    still = Still(GOOD, None, 480, 272, "mjpeg", 0.1)
    blind = quality.Rules(Settings(), Geometry(), Past(previous="no pixels", repeats="none", last=None))

    seen = quality.look_at(still, blind, clock.now())
    quality.write(capture, seen, [], blind)
    quality.follow(capture, seen, [], blind, clock.now())

    assert [reading for reading in seen.evaluation.readings if reading.error]
    assert (seen.is_bad(blind), _last_row(capture).action) == (False, "saved")

    blinder = quality.Rules(Settings(quality_ignored=None), Geometry(), Past())
    unseen = quality.look_at(still, blinder, clock.now())
    quality.write(capture, unseen, [], blinder)
    quality.follow(capture, unseen, [], blinder, clock.now())

    row = _last_row(capture)
    assert (unseen.score, row.action, row.is_bad) == (None, "saved", False)
    assert row.error.startswith("TypeError")
