"""How well do the detectors tell? Labelled pictures in, one line for each class out."""

from __future__ import annotations

import csv
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from captures.imaging.errors import BrokenPicture
from captures.imaging.quality.contract import Evaluation, Sort
from captures.imaging.quality.past import Past
from captures.imaging.quality.picture import Picture
from captures.imaging.quality.score import evaluate
from captures.imaging.quality.table import DETECTORS

LABELS = "labels.csv"
GOOD = "good"
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
_BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
_STEP = timedelta(minutes=5)  # between two pictures of a camera, as if they were a timelapse
_CERTAIN = 100.0  # of what does not even decode


class BadSet(Exception):
    """The folder is no labelled set; the words say what is missing."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled picture. Those of one camera are in order of time; without a camera nothing can be compared."""

    path: Path
    label: str
    camera: str

    @property
    def is_good(self) -> bool:
        return self.label == GOOD or self.label.startswith(GOOD + "-")


@dataclass(frozen=True, slots=True)
class Judged:
    """`evaluation` is None where nothing decodes. `damage`, `condition`: suspicion(), above 1 it is found."""

    sample: Sample
    evaluation: Evaluation | None
    damage: float
    condition: float

    @property
    def is_damaged(self) -> bool:
        return self.damage > 1


@dataclass(frozen=True, slots=True)
class ClassResult:
    """Of one class. AUC against all good pictures by suspicion of damage, and of a condition; shares in [0, 1].

    `at_zero`: suspected more than the most suspected good one. `damaged`: a damage is found at the shipped bounds.
    `named`: the share of each finding. `evaluate_ms` is the median, decode not included.
    """

    label: str
    count: int
    is_good: bool
    auc_damage: float | None
    auc_condition: float | None
    at_zero: float
    damaged: float
    score: float
    named: dict[str, float]
    evaluate_ms: float


def read_set(folder: Path) -> list[Sample]:
    """From labels.csv (file, label and, if there are sequences, camera), or from sub-folders <label>[/<camera>].

    Raises BadSet.
    """
    if not folder.is_dir():
        raise BadSet(f"{folder} is not a folder")
    samples = list(_listed(folder) if (folder / LABELS).is_file() else _in_folders(folder))
    if not any(sample.is_good for sample in samples):
        raise BadSet(f"{folder} has no picture labelled “{GOOD}”: nothing to tell the others from")
    return samples


def judge(samples: Sequence[Sample], *, heavy: bool) -> Iterator[Judged]:
    """In the samples' order. A camera's past is made of its pictures labelled “good”; others are only seen passing."""
    pasts: dict[str, Past] = {}
    at = _BEGINS
    for sample in samples:
        at += _STEP
        try:
            picture = Picture.of_bytes(sample.path.read_bytes(), full=False, heavy=heavy)
        except BrokenPicture:
            yield Judged(sample, None, _CERTAIN, 0)
            continue
        past = pasts.setdefault(sample.camera, Past()) if sample.camera else None
        evaluation = evaluate(picture, heavy=heavy, past=past)
        yield Judged(
            sample, evaluation, suspicion(evaluation, Sort.DAMAGE), suspicion(evaluation, Sort.CONDITION)
        )
        if past is not None:
            sort = None if sample.label == GOOD else Sort.DAMAGE
            pasts[sample.camera] = past.followed(picture, replace(evaluation, sort=sort, findings=()), at)


def suspicion(evaluation: Evaluation, sort: Sort) -> float:
    """The greatest of the readings of that sort, in units of its bound."""
    bounds = {each.name: each for each in DETECTORS if each.sort is sort}
    worst = 0.0
    for reading in evaluation.readings:
        detector = bounds.get(reading.detector)
        if detector is None or reading.value is None:
            continue
        value, bound = reading.value, detector.bound
        worst = max(worst, value / bound if detector.above else bound / max(value, bound / _CERTAIN))
    return min(worst, _CERTAIN)


def results(judged: Iterable[Judged]) -> list[ClassResult]:
    """One for each class, the good ones first."""
    classes: dict[str, list[Judged]] = {}
    for each in judged:
        classes.setdefault(each.sample.label, []).append(each)
    good = [each for many in classes.values() for each in many if each.sample.is_good]
    found = [_result(label, many, good) for label, many in classes.items()]
    return sorted(found, key=lambda each: (not each.is_good, each.label))


def auc(bad: Sequence[float], good: Sequence[float]) -> float:
    """The chance that a bad one is suspected more than a good one, a draw counts half (Hanley & McNeil 1982)."""
    ordered = sorted(good)
    wins = sum(bisect_left(ordered, value) + bisect_right(ordered, value) for value in bad)
    return wins / 2 / len(ordered) / len(bad)


def _result(label: str, many: list[Judged], good: list[Judged]) -> ClassResult:
    is_good = many[0].sample.is_good
    evaluations = [each.evaluation for each in many if each.evaluation is not None]
    words = [word for each in evaluations for word in each.findings]
    if len(evaluations) < len(many):
        words += ["nothing decodes"] * (len(many) - len(evaluations))
    highest = max(each.damage for each in good)
    return ClassResult(
        label=label,
        count=len(many),
        is_good=is_good,
        auc_damage=None if is_good else auc([e.damage for e in many], [e.damage for e in good]),
        auc_condition=None if is_good else auc([e.condition for e in many], [e.condition for e in good]),
        at_zero=0.0 if is_good else sum(each.damage > highest for each in many) / len(many),
        damaged=sum(each.is_damaged for each in many) / len(many),
        score=statistics.mean(0 if each.evaluation is None else each.evaluation.score for each in many),
        named={
            word: words.count(word) / len(many) for word in sorted(set(words), key=words.count, reverse=True)
        },
        evaluate_ms=statistics.median(each.elapsed_ms for each in evaluations) if evaluations else 0.0,
    )


def _listed(folder: Path) -> Iterator[Sample]:
    with (folder / LABELS).open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if not {"file", "label"} <= set(rows.fieldnames or ()):
            raise BadSet(f"{LABELS} needs the columns file and label")
        for number, row in enumerate(rows, start=2):
            if not row["file"] or not row["label"]:
                raise BadSet(f"{LABELS}, line {number}: file or label is missing")
            path = folder / row["file"]
            if not path.is_file():
                raise BadSet(f"{LABELS}, line {number}: {row['file']} is not there")
            yield Sample(path, row["label"], row.get("camera") or "")


def _in_folders(folder: Path) -> Iterator[Sample]:
    """By name within a camera, the good ones of a camera first: they are its past."""
    found = []
    for path in folder.rglob("*"):
        if path.suffix.lower() in _ENDINGS:
            label, *cameras = path.relative_to(folder).parts[:-1] or ("",)
            if not label:
                raise BadSet(f"{path.name} lies in no sub-folder: its folder is its label")
            found.append(Sample(path, label, "/".join(cameras)))
    if not found:
        raise BadSet(f"{folder} has neither {LABELS} nor pictures in sub-folders")
    return iter(sorted(found, key=lambda each: (each.camera, each.label != GOOD, each.path.name)))
