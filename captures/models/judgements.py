"""How the pictures were judged, and what is remembered for judging the next."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from captures.models.ledger import Capture


class JudgedPicture(models.Model):
    """What the detectors read in one picture that a camera gave, and what was done about it. Never changed."""

    class Action(models.TextChoices):
        SAVED = "saved", "kept"
        RETRIED = "retried", "taken once more"
        FLAGGED = "flagged", "kept with a flag"
        DISCARDED = "discarded", "put into quarantine"
        FAILED = "failed", "nothing to keep"

    camera = models.ForeignKey("cameras.Camera", on_delete=models.CASCADE, related_name="judged_pictures")
    capture = models.ForeignKey(Capture, null=True, on_delete=models.CASCADE, related_name="judged_pictures")
    at = models.DateTimeField()
    score = models.PositiveSmallIntegerField()
    fast = models.PositiveSmallIntegerField()
    heavy = models.PositiveSmallIntegerField(null=True)
    verdict = models.CharField(max_length=20)
    sort = models.CharField(max_length=10, default="", help_text="damage, condition, scene; empty: good.")
    readings = models.JSONField(
        default=list, help_text="[{detector, value, is_found, penalty, elapsed_ms, error}]"
    )
    action = models.CharField(max_length=10, choices=Action.choices)
    is_bad = models.BooleanField(help_text="Below the threshold of its time.")
    elapsed_ms = models.FloatField(help_text="Decode not included.")
    error = models.CharField(
        max_length=200, default="", help_text="Why it could not be judged; it was kept then."
    )

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["camera", "-at"], name="captures_judged_by_camera"),
            # With all that the sums of a week over all cameras ask for: the rows themselves are not read.
            models.Index(
                fields=["at", "camera"],
                include=["score", "is_bad", "action", "error"],
                name="captures_judged_by_time",
            ),
            models.Index(fields=["camera", "-at"], condition=Q(is_bad=True), name="captures_bad_by_camera"),
            models.Index(fields=["-at"], condition=Q(is_bad=True), name="captures_bad_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.score} {self.verdict}"


class CameraPast(models.Model):
    """What the detectors remember of a camera: its last good picture, its reference by day and by night; very small."""

    camera = models.OneToOneField(
        "cameras.Camera", primary_key=True, on_delete=models.CASCADE, related_name="past"
    )
    remembered = models.BinaryField(help_text="captures.imaging.quality.past.Past.to_bytes().")
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"the past of camera {self.camera_id}"
