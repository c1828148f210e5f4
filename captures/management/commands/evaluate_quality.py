"""How well do the detectors tell good pictures from bad ones? On labelled pictures of one's own."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
from django.core.management.base import BaseCommand, CommandError

from captures.imaging.quality.calibration import BadSet, ClassResult, Judged, judge, read_set, results


class Command(BaseCommand):
    help = "Judges a folder of labelled pictures and prints how well each class is told (docs/quality.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="With labels.csv, or a sub-folder for each class.")
        parser.add_argument("--heavy", action="store_true", help="With the detectors that look closely.")
        parser.add_argument("--json", action="store_true", help="For a program to read.")
        parser.add_argument("--wrong", action="store_true", help="Each picture that is not told as labelled.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            samples = read_set(options["folder"])
        except BadSet as error:
            raise CommandError(str(error)) from error
        cv2.setNumThreads(1)
        judged = list(judge(samples, heavy=options["heavy"]))
        found = results(judged)
        if options["json"]:
            self.stdout.write(json.dumps([asdict(each) for each in found], indent=2))
            return
        for line in _table(found):
            self.stdout.write(line)
        if options["wrong"]:
            for line in _wrong(judged, {each.label for each in found if each.damaged >= 0.5}):
                self.stdout.write(line)


def _table(found: list[ClassResult]) -> Iterable[str]:
    yield (
        "| class | pictures | AUC damage | AUC condition "
        "| at zero false alarms | called damaged | score | named | ms |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|---|--:|"
    for each in found:
        named = ", ".join(f"{word} {share:.0%}" for word, share in list(each.named.items())[:3])
        yield (
            f"| {each.label} | {each.count} | {_number(each.auc_damage)} | {_number(each.auc_condition)} "
            f"| {'' if each.is_good else f'{each.at_zero:.0%}'} | {each.damaged:.0%} | {each.score:.0f} "
            f"| {named} | {each.evaluate_ms:.1f} |"
        )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _wrong(judged: list[Judged], damaged: set[str]) -> Iterable[str]:
    for each in judged:
        if each.is_damaged != (each.sample.label in damaged):
            words = (
                "nothing decodes"
                if each.evaluation is None
                else ", ".join(each.evaluation.findings) or "good"
            )
            yield f"{each.sample.path.name}: {each.sample.label}, judged {words} ({each.damage:.2f} of a bound)"
