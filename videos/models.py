"""Recipes, the films made by them, and the segments that films are joined from."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q


class Recipe(models.Model):
    """How a film looks: rate, size, codec, quality."""

    class Codec(models.TextChoices):
        H264 = "h264", "H.264 (plays everywhere)"
        H265 = "h265", "H.265 (smaller)"
        AV1 = "av1", "AV1 (smallest)"

    class Height(models.IntegerChoices):
        SOURCE = 0, "as the camera"
        UHD = 2160, "2160 lines (4K)"
        QHD = 1440, "1440 lines"
        FULL_HD = 1080, "1080 lines"
        HD = 720, "720 lines"
        SD = 480, "480 lines"

    class Quality(models.TextChoices):
        LOW = "low"
        MEDIUM = "medium"
        HIGH = "high"

    class Frames(models.TextChoices):
        ALL = "all", "every picture"
        CLEAN = "clean", "none with a flag"
        FLAWLESS = "flawless", "only those that were found good"

    name = models.CharField(max_length=100, unique=True)
    frames = models.CharField("takes", max_length=10, choices=Frames.choices, default=Frames.ALL)
    fps = models.PositiveSmallIntegerField(
        "pictures a second", default=24, validators=[MinValueValidator(1), MaxValueValidator(120)]
    )
    height = models.PositiveSmallIntegerField(choices=Height.choices, default=Height.SOURCE)
    codec = models.CharField(max_length=10, choices=Codec.choices, default=Codec.H264)
    quality = models.CharField(max_length=10, choices=Quality.choices, default=Quality.MEDIUM)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Video(models.Model):
    """A film of one timelapse. Moved by `videos.rendering` alone.

    new -> rendering -> ready | failed | cancelled;  each of them -> rendering again
    """

    class State(models.TextChoices):
        NEW = "new"
        RENDERING = "rendering"
        READY = "ready"
        FAILED = "failed"
        CANCELLED = "cancelled"

    # A timelapse that can be deleted has no pictures, so its films are wishes without files.
    timelapse = models.ForeignKey("captures.Timelapse", on_delete=models.CASCADE, related_name="videos")
    recipe = models.ForeignKey(Recipe, on_delete=models.PROTECT, related_name="videos")
    name = models.CharField(max_length=150)
    follows = models.BooleanField(
        "follows the timelapse",
        default=False,
        help_text="After each capture only the last segment is encoded.",
    )
    throttle_s = models.PositiveIntegerField(
        "at most every (seconds)",
        default=0,
        help_text="A following film is renewed no more often; 0: each capture.",
    )
    from_day = models.DateField(null=True, blank=True, help_text="First local day; empty: from the start.")
    until_day = models.DateField(null=True, blank=True, help_text="Last local day; empty: to the end.")
    created_at = models.DateTimeField(auto_now_add=True)

    state = models.CharField(max_length=10, choices=State.choices, default=State.NEW, editable=False)
    error = models.TextField(default="", editable=False)
    width = models.PositiveIntegerField(default=0, editable=False)
    height = models.PositiveIntegerField(default=0, editable=False)
    recipe_height = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="The recipe's height from which the size was made."
    )
    revision = models.PositiveIntegerField(default=0, editable=False)
    last_revision = models.PositiveIntegerField(
        default=0, editable=False, help_text="The last number that was given to a revision in the making."
    )
    superseded = models.JSONField(
        default=list, editable=False, help_text="Earlier revisions whose files are kept, newest first."
    )
    file = models.CharField(max_length=200, default="", editable=False)
    poster = models.CharField(max_length=200, default="", editable=False)
    bytes = models.PositiveBigIntegerField(default=0, editable=False)
    frame_count = models.PositiveIntegerField(default=0, editable=False)
    omitted_count = models.PositiveIntegerField(default=0, editable=False)
    duration_s = models.FloatField(default=0, editable=False)
    asked_at = models.DateTimeField(null=True, editable=False)
    asked_image_count = models.PositiveIntegerField(default=0, editable=False)
    asked_frames_revision = models.PositiveIntegerField(default=0, editable=False)
    rendered_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["timelapse"],
                condition=Q(follows=True),
                name="videos_one_following_film",
                violation_error_message="This timelapse has a following film already.",
            ),
            models.CheckConstraint(
                condition=Q(from_day__isnull=True)
                | Q(until_day__isnull=True)
                | Q(from_day__lte=F("until_day")),
                name="videos_days_in_order",
                violation_error_message="The first day must not lie after the last one.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_outdated(self) -> bool:
        """Whether a film that is ready lacks new pictures, or shows others than its recipe takes now.

        Not where the pictures that came belong to days after its last one. Reads timelapse and recipe: select them
        along for many.
        """
        if self.state != self.State.READY:
            return False
        has_more = self.asked_image_count != self.timelapse.image_count
        if self.asked_frames_revision != self.timelapse.frames_revision:
            return has_more or self.recipe.frames != Recipe.Frames.ALL
        return has_more and self.until_day is None


class Segment(models.Model):
    """An encoded run of frames. Its key says everything that decides its content: equal key, equal file."""

    key = models.CharField(max_length=64, unique=True)
    timelapse = models.ForeignKey("captures.Timelapse", on_delete=models.PROTECT, related_name="segments")
    file = models.CharField(max_length=200)
    frame_count = models.PositiveIntegerField()
    omitted = models.JSONField(default=list, help_text="Captures whose files could not be read.")
    bytes = models.PositiveBigIntegerField()
    is_open = models.BooleanField(default=False, help_text="Its run could still grow when it was last used.")
    created_at = models.DateTimeField()
    used_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["used_at"], name="videos_segment_by_use")]

    def __str__(self) -> str:
        return f"{self.key[:12]} ({self.frame_count} frames)"
