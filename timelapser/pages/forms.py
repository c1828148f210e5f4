"""The forms of the pages. Whatever was typed stays on an error, except passwords."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.conf import settings
from django.db import transaction
from django.http import QueryDict

from cameras.models import Camera, one_line
from cameras.sources import SourceKind
from cameras.sources.addresses import split_credentials, validate_address
from cameras.sources.errors import AddressRefused
from captures import campaign
from captures.intervalometer import every
from captures.models import Timelapse, default_time_zone
from videos import rendering
from videos.models import Recipe, Video

INTERVALS = (
    (2, "2 s"),
    (10, "10 s"),
    (30, "30 s"),
    (60, "1 min"),
    (300, "5 min"),
    (900, "15 min"),
    (3600, "1 h"),
)
UNITS = ((1, "seconds"), (60, "minutes"), (3600, "hours"))
LONGEST_S = 86_400


def without_login(data: QueryDict) -> QueryDict:
    """The form's data with a login that was pasted inside of the address moved to its own fields."""
    address, username, password = split_credentials(data.get("address", "").strip())
    moved = data.copy()
    moved["address"] = address
    if username or password:
        moved["username"], moved["password"] = username, password
    return moved


class CameraForm(forms.ModelForm):
    """A camera. With an instance that has a password an empty one keeps it."""

    password = forms.CharField(
        validators=[one_line],
        required=False,
        strip=False,
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    forget_password = forms.BooleanField(required=False, label="Remove the stored password")

    class Meta:
        model = Camera
        fields = [
            "name",
            "kind",
            "address",
            "transport",
            "username",
            "verify_tls",
            "connect_timeout_s",
            "deadline_s",
            "site",
            "latitude",
            "longitude",
            "is_enabled",
            "notes",
        ]
        widgets = {
            "name": forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Garden, north side"}),
            "address": forms.TextInput(
                attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
            ),
            "username": forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "off"}),
            "latitude": forms.NumberInput(attrs={"inputmode": "decimal", "placeholder": "48.2083"}),
            "longitude": forms.NumberInput(attrs={"inputmode": "decimal", "placeholder": "16.3725"}),
            "notes": forms.Textarea(attrs={"rows": 2}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["site"].empty_label = "None: every worker reaches it"  # type: ignore[attr-defined] # a choice of rows

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if "kind" in values and "address" in values:
            try:
                values["address"] = validate_address(
                    SourceKind(values["kind"]),
                    values["address"],
                    allow_loopback=settings.ALLOW_LOOPBACK_CAMERAS,
                    folders=settings.CAMERA_FOLDERS,
                )
            except AddressRefused as error:
                self.add_error("address", str(error))
        connect, deadline = values.get("connect_timeout_s"), values.get("deadline_s")
        if connect and deadline and connect > deadline:
            self.add_error("connect_timeout_s", "Connecting cannot take longer than the whole picture.")
        return values

    def save(self, commit: bool = True) -> Camera:  # noqa: FBT001 - Django's signature
        camera: Camera = super().save(commit=False)
        if self.cleaned_data["password"]:
            camera.set_password(self.cleaned_data["password"])
        elif self.cleaned_data["forget_password"]:
            camera.set_password("")
        camera.save()
        return camera

    def source(self) -> dict[str, Any]:
        """What a test of the connection needs: of a valid form."""
        names = ("kind", "address", "transport", "username", "password", "verify_tls")
        return {name: self.cleaned_data[name] for name in (*names, "connect_timeout_s", "deadline_s", "site")}


class TestForm(CameraForm):
    """The same form, asked only whether it can be tested: a name is not needed for that."""

    __test__ = False  # it is no test of pytest's

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["name"]


class StartForm(forms.Form):
    """A new timelapse of a camera, started at once or at its time."""

    name = forms.CharField(max_length=150)
    interval = forms.ChoiceField(
        choices=[*((str(seconds), words) for seconds, words in INTERVALS), ("custom", "Custom")],
        widget=forms.RadioSelect,
    )
    custom_count = forms.FloatField(required=False, min_value=0.01, label="Every")
    custom_unit = forms.TypedChoiceField(required=False, coerce=int, choices=UNITS, label="Unit")
    is_on_the_clock = forms.BooleanField(required=False, label="On the clock")
    start_at = forms.DateTimeField(required=False, label="Start", widget=forms.DateTimeInput)
    end_at = forms.DateTimeField(required=False, label="End")
    time_zone = forms.CharField(max_length=64)
    make_film = forms.BooleanField(required=False, label="Keep a film ready")
    recipe = forms.ModelChoiceField(Recipe.objects.all(), required=False, empty_label=None)

    def __init__(self, *args: Any, camera: Camera, now: datetime, **kwargs: Any) -> None:
        self.camera = camera
        self.now = now
        zone = ZoneInfo(default_time_zone())
        kwargs.setdefault(
            "initial",
            {
                "name": f"{camera.name}, {now.astimezone(zone):%d %B %Y}",
                "interval": "300",
                "custom_unit": 60,
                "time_zone": str(zone),
                "make_film": True,
            },
        )
        super().__init__(*args, **kwargs)
        for name in ("start_at", "end_at"):
            self.fields[name].widget = forms.DateTimeInput(
                attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
            )
        self.fields["time_zone"].widget.attrs |= {"list": "time-zones", "autocomplete": "off"}
        self.fields["custom_count"].widget.attrs |= {"inputmode": "decimal"}

    def clean_time_zone(self) -> str:
        zone: str = self.cleaned_data["time_zone"].strip()
        if zone not in available_timezones():
            raise forms.ValidationError("This time zone is not known. Write it like Europe/Vienna.")
        return zone

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        values["interval_s"] = self._interval_s(values)
        if "time_zone" in values:
            # What was typed is the wall clock of the timelapse's zone.
            zone = ZoneInfo(values["time_zone"])
            for name in ("start_at", "end_at"):
                if values.get(name):
                    values[name] = values[name].replace(tzinfo=zone)
        start, end = values.get("start_at"), values.get("end_at")
        if end and end <= (start or self.now):
            self.add_error("end_at", "The end must lie after the start, and not in the past.")
        if values.get("make_film") and not values.get("recipe") and "recipe" not in self.errors:
            self.add_error("recipe", "Choose how the film looks.")
        return values

    def _interval_s(self, values: dict[str, Any]) -> int | None:
        if values.get("interval") != "custom":
            return int(values["interval"]) if values.get("interval") else None
        count = values.get("custom_count")
        if not count:
            if "custom_count" not in self.errors:
                self.add_error("custom_count", "Write how often a picture is taken.")
            return None
        seconds = count * (values.get("custom_unit") or 1)
        if seconds != int(seconds) or not 1 <= seconds <= LONGEST_S:
            self.add_error("custom_count", "From 1 second to 24 hours, in whole seconds.")
            return None
        return int(seconds)

    def start(self, *, by: str, complete_active: bool) -> Timelapse:
        """Creates and starts it, with its film. Raises CameraBusy, and then nothing was written."""
        values = self.cleaned_data
        with transaction.atomic():
            timelapse = Timelapse.objects.create(
                camera=self.camera,
                name=values["name"],
                plan=every(values["interval_s"], on_the_clock=values["is_on_the_clock"]),
                start_at=values["start_at"],
                end_at=values["end_at"],
                time_zone=values["time_zone"],
            )
            campaign.start(timelapse, by=by, complete_active=complete_active)
            if values["make_film"]:
                rendering.create_follower(timelapse, values["recipe"])
        return timelapse


class RenderForm(forms.ModelForm):
    """A film of all pictures, or of those from one local day until another."""

    class Meta:
        model = Video
        fields = ["name", "recipe", "from_day", "until_day"]
        widgets = {
            "from_day": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            "until_day": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        }

    def __init__(self, *args: Any, timelapse: Timelapse, **kwargs: Any) -> None:
        kwargs.setdefault("instance", Video(timelapse=timelapse, name=timelapse.name))
        super().__init__(*args, **kwargs)
        recipe = self.fields["recipe"]
        recipe.empty_label = None  # type: ignore[attr-defined] # a ModelChoiceField
