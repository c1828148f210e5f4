"""The command that says how well the detectors tell, on sets that are made here and on real ones."""

import json
import os
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from django.core.management import CommandError, call_command

from captures.imaging.quality.calibration import BadSet, auc, judge, read_set, results
from tests import damaged

REAL_MEDIA = Path(os.environ.get("TIMELAPSER_REAL_MEDIA") or "/nonexistent")
RNG = np.random.default_rng(11)


def view(number):
    coarse = np.random.default_rng(9).integers(40, 220, (18, 32, 3), np.uint8)
    pixels = cv2.resize(coarse, (480, 270), interpolation=cv2.INTER_LINEAR).astype(np.int16)
    return np.clip(pixels + np.random.default_rng(number).normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)


def fill(folder, camera):
    for number in range(5):
        for label, pixels in (
            ("good", view(number)),
            ("smear", damaged.smeared(view(number + 50), 60 + 10 * number)),
            ("covered", damaged.covered(view(number + 90), RNG, 1.2, 40)),
        ):
            path = folder / label / camera / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(damaged.encoded(pixels))


def run(*arguments):
    written = StringIO()
    call_command("evaluate_quality", *arguments, stdout=written)
    return written.getvalue()


def test_folders_are_classes_and_each_is_told(tmp_path):
    fill(tmp_path, "roof")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.jpg").write_bytes(b"no picture")

    found = {each["label"]: each for each in json.loads(run(str(tmp_path), "--json"))}

    assert list(found) == ["good", "broken", "covered", "smear"]
    assert (found["good"]["damaged"], found["good"]["score"]) == (0, 100)
    assert (found["smear"]["auc_damage"], found["smear"]["at_zero"], found["smear"]["damaged"]) == (1, 1, 1)
    assert (found["covered"]["auc_condition"], found["covered"]["damaged"]) == (1, 0)
    assert found["broken"]["named"] == {"nothing decodes": 1}


def test_the_list_says_label_and_camera_and_the_table_is_printed(tmp_path):
    lines = ["file,label,camera"]
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(damaged.encoded(view(number)))
        lines.append(f"{number}.jpg,good,roof")
    lines += ["3.jpg,frozen,roof", "3.jpg,frozen,roof", "3.jpg,alone,"]
    (tmp_path / "labels.csv").write_text("\n".join(lines))

    table = run(str(tmp_path), "--heavy", "--wrong").splitlines()

    assert table[2].startswith("| good | 4 |")
    assert "frozen 50%" in next(line for line in table if line.startswith("| frozen"))
    assert "frozen" not in next(line for line in table if line.startswith("| alone"))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({}, "neither labels.csv nor pictures"),
        ({"loose.jpg": b""}, "lies in no sub-folder"),
        ({"bad/a.jpg": b""}, "has no picture labelled"),
        ({"labels.csv": b"name,label\n"}, "needs the columns"),
        ({"labels.csv": b"file,label\na.jpg,good\n"}, "line 2: a.jpg is not there"),
        ({"labels.csv": b"file,label\n,good\n"}, "line 2: file or label is missing"),
    ],
)
def test_a_folder_that_is_no_set_says_why(tmp_path, names, words):
    for name, data in names.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)

    with pytest.raises(BadSet, match=words):
        read_set(tmp_path)
    with pytest.raises(CommandError, match=words):
        run(str(tmp_path))


def test_auc_is_the_chance_that_a_bad_one_is_suspected_more():
    assert auc([3, 4], [1, 2]) == 1
    assert auc([1, 2], [1, 2]) == 0.5
    assert auc([0], [1, 2]) == 0


@pytest.mark.skipif(not REAL_MEDIA.is_dir(), reason="TIMELAPSER_REAL_MEDIA is not set: a3, a4, a5, b1, b3")
def test_real_good_pictures_are_good_and_real_broken_ones_are_not(tmp_path):
    rows = ["file,label,camera"]
    for folder, camera, step in (("a2_sunset_ramp", "sunset", 40), ("a3_construction_daily", "construction", 4),
                                 ("a5_phenocam_noon", "phenocam", 3), ("b3_tricky_good", "", 1)):  # fmt: skip
        rows += [f"{path},good,{camera}" for path in sorted((REAL_MEDIA / folder).rglob("*.jpg"))[::step]]
    labels = (REAL_MEDIA / "labels" / "b1_broken_stills.csv").read_text().splitlines()[1:]
    for name, verdict in (line.split(",")[:2] for line in labels):
        rows.append(f"{REAL_MEDIA / 'b1_broken_stills' / name},{'good' if verdict == 'good' else 'broken'},")
    closed = sorted(
        (REAL_MEDIA / "a4_garden_shutter").glob("*.jpg"), key=lambda path: path.name.startswith("closed")
    )
    rows += [f"{path},{'obstructed' if path.name.startswith('closed') else 'good'},garden" for path in closed]
    (tmp_path / "labels.csv").write_text("\n".join(rows))

    found = {each.label: each for each in results(judge(read_set(tmp_path), heavy=True))}

    assert found["good"].count > 40
    assert found["good"].damaged == 0
    assert (found["broken"].auc_damage, found["broken"].damaged) == (1, 1)
    assert found["obstructed"].damaged == 0
    assert sum(found["obstructed"].named.values()) >= 0.6
