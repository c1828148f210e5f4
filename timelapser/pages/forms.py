"""The forms of the pages. Whatever was typed stays on an error, except passwords."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.http import QueryDict

from cameras.models import Camera, one_line
from cameras.sources import SourceKind
from cameras.sources.addresses import split_credentials, validate_address
from cameras.sources.errors import AddressRefused
from captures.models import Timelapse
from videos.models import Video


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
        if (values.get("latitude") is None) != (values.get("longitude") is None):
            missing = "latitude" if values.get("latitude") is None else "longitude"
            if missing not in self.errors:
                self.add_error(missing, "A place has both, latitude and longitude.")
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
        # Only what people write: workers count pictures and failures in the same row meanwhile.
        written = [name for name in self.Meta.fields if name in self.fields]
        camera.save(update_fields=None if camera.pk is None else [*written, "sealed_password"])
        return camera

    @property
    def has_moved(self) -> bool:
        """Whether it stands elsewhere than before: the sun rises at other times."""
        return bool({"latitude", "longitude"} & set(self.changed_data))

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
