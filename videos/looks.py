"""From a recipe in words to the look that the encoder takes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from captures.models import Capture
from videos.encoding.look import Look
from videos.models import Recipe, Video
from videos.selection import Frame

# Constant quality by codec, as in docs/benchmarks.md; the presets are the codecs' own defaults in `Look`.
CRF: dict[str, dict[str, int]] = {
    Recipe.Codec.H264: {Recipe.Quality.LOW: 28, Recipe.Quality.MEDIUM: 23, Recipe.Quality.HIGH: 18},
    Recipe.Codec.H265: {Recipe.Quality.LOW: 31, Recipe.Quality.MEDIUM: 26, Recipe.Quality.HIGH: 21},
    Recipe.Codec.AV1: {Recipe.Quality.LOW: 42, Recipe.Quality.MEDIUM: 32, Recipe.Quality.HIGH: 24},
}
SMALLEST_SIDE_PX = 64


def look_of(video: Video, first: Frame) -> Look:
    """The film's look.

    Its size is decided by the first picture, once, so that a film does not change its size as it grows; and anew when
    its recipe wants other lines.
    """
    recipe = video.recipe
    if not video.width or video.recipe_height != recipe.height:
        capture = Capture.objects.only("width", "height").get(pk=first.capture_id)
        video.width, video.height = film_size(capture.width, capture.height, recipe.height)
        video.recipe_height = recipe.height
        Video.objects.filter(pk=video.pk).update(
            width=video.width, height=video.height, recipe_height=video.recipe_height
        )
    return Look(
        width=video.width,
        height=video.height,
        fps=recipe.fps,
        codec=recipe.codec,
        crf=CRF[recipe.codec][recipe.quality],
    )


def film_size(width: int, height: int, lines: int) -> tuple[int, int]:
    """The even size of a film of pictures of `width` × `height`: as they are, or `lines` high, never enlarged."""
    scale = min(1.0, lines / height) if lines else 1.0
    return _even(width * scale), _even(height * scale)


def as_values(look: Look) -> dict[str, Any]:
    """The look in JSON."""
    return {
        "width": look.width,
        "height": look.height,
        "fps": str(look.rate),
        "codec": look.codec,
        "crf": look.crf,
        "preset": look.preset,
        "gop": look.gop,
    }


def from_values(values: dict[str, Any]) -> Look:
    return Look(**{**values, "fps": Fraction(values["fps"])})


def _even(side: float) -> int:
    return max(SMALLEST_SIDE_PX, round(side / 2) * 2)
