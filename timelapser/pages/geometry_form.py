"""The geometry of a camera as a form: everything that is drawn is a number in a field, too."""

from __future__ import annotations

import re
from typing import Any

from django import forms

from cameras.geometry import RATIOS, Geometry, GeometryRefused

OWN = "own"
WHOLE = {"crop_x": 0.0, "crop_y": 0.0, "crop_width": 100.0, "crop_height": 100.0}
_SHARES = re.compile(r"[\s,;]+")
MASK_WORDS = "Pairs of numbers in percent, from the left and from above, like: 10 20, 40 20, 40 60"


class GeometryForm(forms.Form):
    """Shares are shown in percent of the camera's picture. A mask is a line of points; an empty line is no mask."""

    rotate = forms.TypedChoiceField(
        coerce=int,
        choices=[(0, "Not"), (90, "90° right"), (180, "180°"), (270, "90° left")],
        widget=forms.RadioSelect,
        label="Turn",
    )
    flip_horizontal = forms.BooleanField(required=False, label="Flip left and right")
    flip_vertical = forms.BooleanField(required=False, label="Flip up and down")
    crop_x = forms.FloatField(label="From the left, %")
    crop_y = forms.FloatField(label="From above, %")
    crop_width = forms.FloatField(label="Width, %")
    crop_height = forms.FloatField(label="Height, %")
    ratio = forms.ChoiceField(
        required=False,
        choices=[("", "As it comes"), *((ratio, ratio) for ratio in RATIOS), (OWN, "Another")],
        label="Aspect",
    )
    own_ratio = forms.CharField(required=False, max_length=20, label="Width : height", help_text="Like 3:2.")
    mode = forms.ChoiceField(
        choices=[("crop", "Cut what is too much"), ("letterbox", "Add black bars")],
        widget=forms.RadioSelect,
        label="To get there",
    )

    def __init__(self, data: Any = None, *, geometry: Geometry | None = None) -> None:
        shown = Geometry() if geometry is None else geometry
        super().__init__(data, initial=_written(shown), label_suffix="")
        for name in WHOLE:
            field = self.fields[name]
            field.widget.attrs.update({"step": "any", "min": 0, "max": 100, "inputmode": "decimal"})
        texts = [_line(mask) for mask in shown.masks] if data is None else data.getlist("mask")
        self.mask_texts: list[str] = texts
        self.mask_errors: dict[int, str] = {}
        self.geometry = shown

    @property
    def mask_rows(self) -> list[tuple[str, str]]:
        """Each mask's line with what is wrong with it, and an empty one for another."""
        rows = [(text, self.mask_errors.get(row, "")) for row, text in enumerate(self.mask_texts)]
        return [*(row for row in rows if row[0].strip()), ("", "")]

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        masks = {row: _points(text) for row, text in enumerate(self.mask_texts) if text.strip()}
        self.mask_errors = {row: MASK_WORDS for row, points in masks.items() if points is None}
        if self.mask_errors:
            self.add_error(None, "A mask cannot be read.")
        if self.errors:
            return values
        try:
            self.geometry = Geometry.from_document(_document(values, list(masks.values())))
        except GeometryRefused as error:
            for path, words in error.problems.items():
                self._blame(path, words, list(masks))
        return values

    def _blame(self, path: str, words: str, rows: list[int]) -> None:
        """Tells a problem of the document at the field that it comes from."""
        head, _, rest = path.partition(".")
        if head == "masks" and rest:
            self.mask_errors.setdefault(rows[int(rest.split(".")[0])], words)
            self.add_error(None, "A mask cannot be used.")
        elif head == "crop" and rest:
            self.add_error(f"crop_{rest}", words)
        elif path == "aspect.ratio":
            self.add_error("own_ratio", words)
        else:
            self.add_error(None, words)


def _written(geometry: Geometry) -> dict[str, Any]:
    crop, aspect = geometry.crop, geometry.aspect
    shares = (
        WHOLE
        if crop is None
        else {f"crop_{name}": _percent(getattr(crop, name)) for name in ("x", "y", "width", "height")}
    )
    is_known = aspect is None or aspect.ratio in RATIOS
    return {
        "rotate": geometry.rotate,
        "flip_horizontal": geometry.flip_horizontal,
        "flip_vertical": geometry.flip_vertical,
        "ratio": "" if aspect is None else aspect.ratio if is_known else OWN,
        "own_ratio": "" if aspect is None or is_known else aspect.ratio,
        "mode": "crop" if aspect is None else aspect.mode,
        **shares,
    }


def _document(values: dict[str, Any], masks: list[Any]) -> dict[str, Any]:
    ratio = values["own_ratio"].replace(" ", "") if values["ratio"] == OWN else values["ratio"]
    wants_aspect = bool(values["ratio"])
    return {
        "rotate": values["rotate"],
        "flip": {"horizontal": values["flip_horizontal"], "vertical": values["flip_vertical"]},
        "crop": {name: values[f"crop_{name}"] / 100 for name in ("x", "y", "width", "height")},
        "aspect": {"ratio": ratio, "mode": values["mode"]} if wants_aspect else None,
        "masks": masks,
    }


def _points(text: str) -> list[list[float]] | None:
    """None where the line is not made of pairs of numbers."""
    try:
        numbers = [float(number) / 100 for number in _SHARES.split(text.strip(" \t,;"))]
    except ValueError:
        return None
    if len(numbers) % 2:
        return None
    return [numbers[at : at + 2] for at in range(0, len(numbers), 2)]


def _line(mask: tuple[tuple[float, float], ...]) -> str:
    return ", ".join(f"{_percent(x):g} {_percent(y):g}" for x, y in mask)


def _percent(share: float) -> float:
    return round(share * 100, 4)
