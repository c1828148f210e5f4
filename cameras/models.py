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
    is_enabled = models.BooleanField("enabled", default=True)
    notes = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    health = models.CharField(max_length=10, choices=Health.choices, default=Health.UNKNOWN, editable=False)
    consecutive_failures = models.PositiveIntegerField(default=0, editable=False)
    last_success_at = models.DateTimeField(null=True, editable=False)
    last_failure_at = models.DateTimeField(null=True, editable=False)
    last_error_code = models.CharField(max_length=60, default="", editable=False)
    last_error = models.TextField(default="", editable=False)
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
