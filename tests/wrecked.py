"""A media folder and its rows, some of them broken in every way, and the truth about it."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import cycle
from pathlib import Path

from captures.filing import derived_name, frame_name
from captures.imaging.thumbnails import make_thumbnails
from captures.models import Capture, Timelapse
from captures.pictures import digest_of
from tests.factories import NOON, make_jpeg, make_timelapse

FRAME = make_jpeg(96, 72)
OTHER_SIZE = make_jpeg(48, 36)
OTHER_CONTENT = (
    FRAME[:14] + bytes([FRAME[14] ^ 1]) + FRAME[15:]
)  # the density in its header: it decodes as before
CUT = FRAME[:-20]
GARBAGE = b"\x00" * len(FRAME)
HOUR = 3600.0
EVERY = timedelta(minutes=1)


@dataclass
class Wreck:
    """`faults` is what a quick verify must count, `deep` by how much a deep one differs, `actions` what repair does,
    and `left` is what a deep verify still counts then.
    """

    root: Path
    timelapses: list[Timelapse] = field(default_factory=list)
    faults: Counter = field(default_factory=Counter)
    deep: Counter = field(default_factory=Counter)
    left: Counter = field(default_factory=Counter)
    actions: Counter = field(default_factory=Counter)
    young: int = 0

    def put(self, name, data, *, age_s=HOUR):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        moment = time.time() - age_s
        os.utime(path, (moment, moment))
        return name

    def change(self, capture, **fields):
        Capture.objects.filter(pk=capture.pk).update(**fields)

    @property
    def deep_faults(self):
        both = Counter(self.faults)
        both.update(self.deep)
        return +both  # what is subtracted to nothing is left out

    def expect(self, *faults, does=()):
        self.faults.update(faults)
        self.actions.update(does)


def build(root, count, *, timelapses=2):
    """`count` stored pictures with all their files, a minute apart, and counters that agree."""
    wreck = Wreck(Path(root))
    made = make_thumbnails(FRAME)
    for _ in range(timelapses):
        timelapse = make_timelapse(state="completed")
        wreck.timelapses.append(timelapse)
        rows = [
            Capture(
                timelapse=timelapse,
                slot=NOON + EVERY * number,
                give_up_at=NOON + EVERY * number,
                state="stored",
                file="?",
                checksum=hashlib.sha256(FRAME).hexdigest(),
                bytes=len(FRAME),
                width=96,
                height=72,
                codec="mjpeg",
                taken_at=NOON + EVERY * number,
            )
            for number in range(count // timelapses)
        ]
        for row in Capture.objects.bulk_create(rows):
            row.timelapse = timelapse
            row.file = wreck.put(frame_name(row, "jpg"), FRAME)
            for kind, data in (("thumbnail", made.thumbnail), ("small", made.small)):
                name = derived_name(row, f"{kind}s", f"{row.pk}-{digest_of(data)}.jpg")
                setattr(row, kind, wreck.put(name, data))
                setattr(row, f"{kind}_bytes", len(data))
        fields = ["file", "thumbnail", "thumbnail_bytes", "small", "small_bytes"]
        Capture.objects.bulk_update(rows, fields, batch_size=200)
        recount(timelapse)
    return wreck


def recount(timelapse):
    stored = timelapse.captures.stored()
    newest = stored.order_by("-slot").first()
    Timelapse.objects.filter(pk=timelapse.pk).update(
        image_count=stored.count(),
        flagged_count=stored.filter(is_flagged=True).count(),
        discarded_count=timelapse.captures.discarded().count(),
        latest_capture=newest,
    )
    type(timelapse.camera).objects.filter(pk=timelapse.camera_id).update(image_count=stored.count())


def wreck_some(wreck, share=0.05):
    """Breaks `share` of the pictures, by turns in every way there is, spread over all."""
    ways = cycle(WAYS)
    for timelapse in wreck.timelapses:
        captures = list(timelapse.captures.stored().select_related("timelapse__camera").order_by("slot"))
        for capture in captures[:: round(1 / share)]:
            next(ways)(wreck, capture)
        recount(timelapse)
    leave_litter(wreck)


def file_gone(field, does, wreck, capture):
    (wreck.root / getattr(capture, field)).unlink()
    wreck.expect(f"{shelf(field)}.missing", does=[does])


def file_is(field, data, trouble, does, wreck, capture):
    wreck.put(getattr(capture, field), data)
    wreck.expect(f"{shelf(field)}.{trouble}", does=[does])


def shelf(field):
    return "frame" if field == "file" else field


def row_lacks(field, wreck, capture):
    """Neither the row nor the folder has it."""
    (wreck.root / getattr(capture, field)).unlink()
    wreck.change(capture, **{field: "", f"{field}_bytes": 0})
    wreck.expect(f"{field}.absent", does=["made"])


def row_forgot(field, wreck, capture):
    """The file lies there whole, and its row does not know."""
    wreck.change(capture, **{field: "", f"{field}_bytes": 0})
    wreck.expect(f"{field}.orphan", f"{field}.absent", does=["adopted"])


def frame_of_another_size(wreck, capture):
    wreck.put(capture.file, OTHER_SIZE)
    wreck.change(capture, bytes=len(OTHER_SIZE))
    wreck.expect("frame.wrong_size", does=["flagged"])
    wreck.left.update(["frame.wrong_size"])


def row_of_another_length(wreck, capture):
    """The content is that of its checksum: the row may say what the file is."""
    wreck.change(capture, bytes=capture.bytes + 1)
    wreck.expect("frame.wrong_bytes", does=["restated", "made"])


def frame_longer_than_stored(wreck, capture):
    wreck.put(capture.file, FRAME + b"appended")
    wreck.expect("frame.wrong_bytes", does=["flagged"])
    wreck.left.update(["frame.wrong_bytes"])


def frame_cut_short(wreck, capture):
    """Its header is whole: only who reads all of it sees more than another length."""
    wreck.put(capture.file, CUT)
    wreck.expect("frame.wrong_bytes", does=["broken"])
    wreck.deep.subtract(["frame.wrong_bytes"])
    wreck.deep.update(["frame.undecodable"])


def frame_of_other_content(wreck, capture):
    wreck.put(capture.file, OTHER_CONTENT)
    wreck.deep.update(["frame.wrong_checksum"])
    wreck.actions.update(["flagged"])
    wreck.left.update(["frame.wrong_checksum"])


def frame_cannot_be_read(wreck, capture):
    """The disk answers neither that it is gone nor with its bytes."""
    path = wreck.root / capture.file
    path.unlink()
    path.mkdir()
    wreck.expect("frame.unreadable")
    wreck.left.update(["frame.unreadable"])


def thumbnail_cannot_be_read(wreck, capture):
    path = wreck.root / capture.thumbnail
    path.unlink()
    path.mkdir()
    wreck.expect("thumbnail.unreadable")
    wreck.left.update(["thumbnail.unreadable"])


def frame_stored_without_its_end(wreck, capture):
    """It came so, was flagged and stored; then its small pictures went."""
    wreck.put(capture.file, CUT)
    for name in (capture.thumbnail, capture.small):
        (wreck.root / name).unlink()
    wreck.change(
        capture,
        bytes=len(CUT),
        checksum=hashlib.sha256(CUT).hexdigest(),
        is_flagged=True,
        flagged_by="quality",
        thumbnail="",
        small="",
    )
    wreck.expect("thumbnail.absent", "small.absent", does=["made"])


def frame_in_another_place(wreck, capture):
    there = capture.file.replace(".jpg", "-2.jpg")
    (wreck.root / capture.file).rename(wreck.root / there)
    wreck.expect("frame.orphan", "frame.missing", does=["found_again"])


def row_not_written(state, reason, wreck, capture):
    """What kill -9 leaves between the file and its row: no small pictures either."""
    for name in (capture.thumbnail, capture.small):
        (wreck.root / name).unlink()
    wreck.change(
        capture, state=state, reason=reason, file="", thumbnail="", thumbnail_bytes=0, small="", small_bytes=0
    )
    wreck.expect("frame.orphan", does=["healed", "made"])


def failed_for_another_reason(wreck, capture):
    row_not_written("failed", "unreachable", wreck, capture)
    wreck.actions.subtract(["healed", "made"])
    wreck.actions.update(["set_aside"])


def original_gone(wreck, capture):
    wreck.change(capture, original=capture.file.replace("/frames/", "/originals/"))
    wreck.expect("original.missing", does=["forgotten"])


def discarded_gone(wreck, capture):
    for name in (capture.file, capture.thumbnail, capture.small):
        (wreck.root / name).unlink()
    file = capture.file.replace("/frames/", "/quarantine/")
    wreck.change(capture, state="discarded", reason="grey", file=file, thumbnail="", small="")
    wreck.expect("discarded.missing", does=["forgotten"])


def small_of_former_settings(wreck, capture):
    wreck.put(capture.small.replace(".jpg", "0.jpg"), make_thumbnails(FRAME).small)
    wreck.expect("small.orphan", does=["set_aside"])


def file_too_young(wreck, capture):
    wreck.put(capture.file.replace(f"_{capture.pk}", f"_{capture.pk}-9"), FRAME, age_s=5)
    wreck.young += 1


WAYS = [
    partial(file_gone, "file", "lost"),
    partial(file_is, "file", b"", "empty", "broken"),
    partial(file_is, "file", GARBAGE, "undecodable", "broken"),
    frame_cut_short,
    frame_of_another_size,
    frame_longer_than_stored,
    frame_of_other_content,
    frame_in_another_place,
    *(
        way
        for kind in ("thumbnail", "small")
        for way in (
            partial(file_gone, kind, "made"),
            partial(file_is, kind, b"", "empty", "made"),
            partial(file_is, kind, GARBAGE, "undecodable", "made"),
            partial(file_is, kind, OTHER_SIZE, "wrong_size", "made"),
            partial(file_is, kind, make_thumbnails(FRAME).thumbnail + b"more", "wrong_bytes", "made"),
            partial(row_lacks, kind),
            partial(row_forgot, kind),
        )
    ),
    partial(row_not_written, "failed", "worker_lost"),
    partial(row_not_written, "missed", "no_worker"),
    failed_for_another_reason,
    original_gone,
    discarded_gone,
    small_of_former_settings,
    file_too_young,
    row_of_another_length,
    frame_cannot_be_read,
    thumbnail_cannot_be_read,
    frame_stored_without_its_end,
]


def leave_litter(wreck):
    """What belongs to no row at all."""
    root = f"cameras/{wreck.timelapses[0].camera_id}/timelapses/{wreck.timelapses[0].pk}"
    nobody = "2026-05-04/20260504T120000.000000Z_99999999.jpg"
    for kind, where in (("frame", "frames"), ("thumbnail", "thumbnails"), ("original", "originals")):
        wreck.put(f"{root}/{where}/{nobody}", FRAME)
        wreck.expect(f"{kind}.orphan", does=["set_aside"])
    wreck.put(f"{root}/frames/2026-05-04/holiday.jpg", FRAME)
    wreck.put(f"cameras/77777/timelapses/88888/smalls/{nobody}", FRAME)
    wreck.expect("frame.orphan", "small.orphan", does=["set_aside", "set_aside"])
    wreck.put(".making/0@elsewhere-x", b"half", age_s=30 * HOUR)
    wreck.put(".making/1@elsewhere-x", b"half", age_s=HOUR)  # it may still be written
    wreck.expect("making.leftover", does=["cleared"])


def all_files(root):
    """Every file below, except what is in the making or set aside."""
    found = (path.relative_to(root).as_posix() for path in Path(root).rglob("*") if path.is_file())
    return {name for name in found if not name.startswith((".making/", "quarantine/"))}
