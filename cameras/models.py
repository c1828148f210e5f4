"""A camera: where it is, how to log in, and how it has been answering."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from cameras import sealing
from cameras.sources import SourceKind
from cameras.sources.addresses import mask_query

# A line break could begin a header of its own in what is sent to a camera.
PLACE_IS_BOTH = "A place is a latitude and a longitude."
one_line = RegexValidator(r"^[^\x00-\x1f\x7f]*\Z", "Line breaks and control characters cannot be in here.")


class Site(models.Model):
    """A network of its own: its cameras are read by the capture workers of this site alone."""

    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(
        max_length=40,
        unique=True,
        help_text="Its workers are started with this name; cannot be changed later.",
    )
    notes = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def capture_queue(self) -> str:
        queue: str = settings.CAPTURE_QUEUE_OF(self.slug)
        return queue


class GlobalSettings(models.Model):
    """What is set for all cameras: the one row, and in it only what differs from the defaults."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, editable=False)
    said = models.JSONField(default=dict, help_text="Values by their names; secrets are sealed.")

    class Meta:
        verbose_name_plural = "global settings"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="cameras_one_row_of_settings")]

    def __str__(self) -> str:
        return "Settings for all cameras"

    @property
    def topic(self) -> str:
        return "settings"


class SettingChange(models.Model):
    """One value that somebody changed, at one level; of secrets only that it was."""

    at = models.DateTimeField()
    by = models.CharField(max_length=150)
    level = models.CharField(max_length=10)
    topic = models.CharField(max_length=80, help_text="camera.<id>, timelapse.<id>, or settings.")
    name = models.CharField(max_length=60)
    old = models.JSONField(null=True, help_text="Null: nothing was said at this level.")
    new = models.JSONField(null=True, help_text="Null: it is inherited again.")

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["topic", "-at"], name="cameras_changes_by_topic")]

    def __str__(self) -> str:
        return f"{self.name} by {self.by}"


class Camera(models.Model):
    """A network camera, or a folder that somebody else fills with pictures."""

    class Kind(models.TextChoices):
        RTSP = SourceKind.RTSP.value, "RTSP stream"
        HTTP = SourceKind.HTTP.value, "HTTP snapshot"
        MJPEG = SourceKind.MJPEG.value, "MJPEG stream"
        FILES = SourceKind.FILES.value, "File or folder of pictures"

    class Transport(models.TextChoices):
        TCP = "tcp", "TCP"
        UDP = "udp", "UDP"

    class Health(models.TextChoices):
        UNKNOWN = "unknown", "Not tried yet"
        ONLINE = "online", "Online"
        DEGRADED = "degraded", "Failing now and then"
        OFFLINE = "offline", "Offline"

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.RTSP)
    address = models.CharField(
        max_length=500, help_text="Without user name and password: they have fields of their own."
    )
    transport = models.CharField(max_length=3, choices=Transport.choices, default=Transport.TCP)
    username = models.CharField(max_length=150, blank=True, default="", validators=[one_line])
    sealed_password = models.TextField(blank=True, default="", editable=False)
    verify_tls = models.BooleanField("check the TLS certificate", default=True)
    connect_timeout_s = models.FloatField(
        default=5, validators=[MinValueValidator(0.5), MaxValueValidator(60)]
    )
    deadline_s = models.FloatField(
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(120)],
        help_text="Seconds for one picture, connecting included; then the shot is given up.",
    )
    site = models.ForeignKey(
        Site,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="cameras",
        help_text="The network that reaches it; empty where every worker does.",
    )
    latitude = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(-90), MaxValueValidator(90)]
    )
    longitude = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(-180), MaxValueValidator(180)]
    )
    said = models.JSONField(
        "settings",
        default=dict,
        editable=False,
        help_text="What is set for this camera; the rest is inherited.",
    )
    geometry = models.JSONField(
        default=dict,
        editable=False,
        help_text="Masks, turning, cropping; see docs/cameras.md. Empty: as it comes.",
    )
    is_enabled = models.BooleanField("enabled", default=True)
    notes = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    health = models.CharField(max_length=10, choices=Health.choices, default=Health.UNKNOWN, editable=False)
    consecutive_failures = models.PositiveIntegerField(default=0, editable=False)
    last_success_at = models.DateTimeField(null=True, editable=False)
    last_failure_at = models.DateTimeField(null=True, editable=False)
    last_error_code = models.CharField(max_length=60, default="", editable=False)
    last_error = models.TextField(default="", editable=False)
    health_since = models.DateTimeField(null=True, editable=False, help_text="When the health last changed.")
    probe_after = models.DateTimeField(
        null=True, editable=False, help_text="An offline camera is asked no earlier."
    )
    probe_count = models.PositiveIntegerField(
        default=0, editable=False, help_text="Probes without an answer since it went offline."
    )
    is_degraded = models.BooleanField(
        "in degraded mode", default=False, editable=False, help_text="Too many of its pictures were bad."
    )
    degraded_since = models.DateTimeField(null=True, editable=False)
    bad_in_row = models.PositiveIntegerField(default=0, editable=False)
    good_in_row = models.PositiveIntegerField(default=0, editable=False)
    glitch_count = models.PositiveIntegerField("bad pictures in total", default=0, editable=False)
    image_count = models.PositiveIntegerField("pictures in total", default=0, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if (self.latitude is None) != (self.longitude is None):
            missing = "latitude" if self.latitude is None else "longitude"
            raise ValidationError({missing: PLACE_IS_BOTH})

    @property
    def topic(self) -> str:
        return f"camera.{self.pk}"

    @property
    def capture_queue(self) -> str:
        """Where the work with this camera waits. Reads the site: select it along for many."""
        queue: str = settings.CAPTURE_QUEUE_OF(self.site.slug if self.site else None)
        return queue

    @property
    def shown_address(self) -> str:
        """For everybody who does not set up cameras."""
        return mask_query(self.address)

    @property
    def has_password(self) -> bool:
        return bool(self.sealed_password)

    def set_password(self, password: str) -> None:
        """Seals `password`; an empty one removes it."""
        self.sealed_password = sealing.seal(password) if password else ""


class Alert(models.Model):
    """Something about a camera that somebody should look at. Raised once, cleared once, by `cameras.alerts` alone.

    (nothing) -> open -> cleared
    """

    class Kind(models.TextChoices):
        OFFLINE = "offline", "Offline"
        DEGRADED = "degraded", "Bad pictures"
        FROZEN = "frozen", "Frozen"
        COVERED = "covered", "Covered"
        DEFOCUSED = "defocused", "Out of focus"
        MOVED = "moved", "Moved"
        DARK = "dark", "Dark"

    camera = models.ForeignKey(Camera, on_delete=models.CASCADE, related_name="alerts")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    reason = models.CharField(max_length=60, default="", help_text="A code: which rule, or which error.")
    words = models.TextField(default="", help_text="What is the matter, and what helps.")
    raised_at = models.DateTimeField()
    cleared_at = models.DateTimeField(null=True)
    cleared_by = models.CharField(max_length=150, default="")

    class Meta:
        ordering = ["-raised_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["camera", "kind"],
                condition=models.Q(cleared_at__isnull=True),
                name="cameras_one_open_alert_of_a_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} since {self.raised_at:%Y-%m-%d %H:%M:%S}"


class Weather(models.Model):
    """The newest word of the weather at a place, and how the provider has been answering.

    A place is a pair of coordinates with two decimals (1 km), so that cameras of one site share it.
    """

    place = models.CharField(max_length=20, unique=True, help_text="Latitude and longitude: 48.21,16.37.")
    provider = models.CharField(max_length=20, default="", help_text="Whose reading it is.")
    asked = models.CharField(
        max_length=40,
        default="",
        help_text="Who was asked last, with which key (its mark): the failures are theirs.",
    )
    observed_at = models.DateTimeField(null=True, help_text="The provider's own time of the reading.")
    fetched_at = models.DateTimeField(null=True, help_text="When it last answered with a reading.")
    temperature_c = models.FloatField(null=True)
    condition = models.CharField(max_length=20, default="", help_text="clear, clouds, fog, rain, snow, ...")
    words = models.CharField(max_length=100, default="")
    facts = models.JSONField(default=dict, help_text="Humidity, wind, clouds: what the provider said more.")
    failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    last_error_code = models.CharField(max_length=40, default="")
    last_error = models.TextField(default="")
    ask_after = models.DateTimeField(null=True, help_text="Not before, after a failure or a limit.")

    class Meta:
        ordering = ["place"]
        verbose_name_plural = "weather"

    def __str__(self) -> str:
        return self.place
