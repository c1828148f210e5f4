"""The configuration as a file: out and in again is the same, a trial tells the truth, secrets need the passphrase."""

import copy
import json
import logging
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from cameras import effective, sealing
from cameras.configured import change, global_row
from cameras.models import Camera, GlobalSettings, SettingChange, Site
from cameras.settings import Level
from captures import campaign
from captures.intervalometer import every
from captures.models import Schedule, Timelapse
from media_jobs import clock
from media_jobs.models import Decision, Event, MediaJob
from tests.factories import NOON, make_camera, make_recipe, make_timelapse
from timelapser.configuration import (
    FileRefused,
    export_document,
    import_document,
    read_text,
    sealed,
    write_text,
)
from videos.models import Recipe

PASSPHRASE = "correct horse battery"
PASSWORD, KEY, IN_QUERY = "S3cr3t!pw", "k3y-0f-the-sky", "qu3ry-pw"
MASKS = {"masks": [[[0.1, 0.1], [0.4, 0.1], [0.4, 0.4]]]}
NONSENSE = [None, 7, "x\x00y", {"a": 1}, "\ud800", 10**400]

pytestmark = pytest.mark.django_db


@pytest.fixture
def _quick_seal(monkeypatch):
    """Where many are sealed: what costs a guesser costs the tests as much."""
    monkeypatch.setattr(sealed, "COST", sealed.COST | {"n": 2**4})


@pytest.fixture
def system():
    """Some of everything."""
    site = Site.objects.create(name="Alp", slug="alp", notes="above the wood")
    north = make_camera(
        name="North",
        password=PASSWORD,
        username="eva",
        site=site,
        latitude=48.2,
        longitude=16.4,
        address="rtsp://192.0.2.9/live",
        geometry=MASKS,
    )
    south = make_camera(
        name="South",
        kind="http",
        address=f"http://192.0.2.8/snap.jpg?user=eva&pwd={IN_QUERY}",
        is_enabled=False,
    )
    make_recipe(name="Large", fps=30, height=1080, frames="clean")
    for name in ("Twice", "Twice", "Summer"):
        make_timelapse(camera=north, name=name, plan=every(60), time_zone="Europe/Vienna", stop_after_days=30)
    timelapse = make_timelapse(camera=south, name="Dawn", start_at=datetime(2030, 5, 4, 3, 30, tzinfo=UTC))
    wishes = {"jpeg_quality": 80, "openweather_key": KEY, "latitude": 47.5, "longitude": 11.0}
    change(Level.GLOBAL, global_row(), wishes, by="ada", now=NOON)
    change(Level.CAMERA, north, {"quality_heavy": True, "quarantine_days": 3}, by="ada", now=NOON)
    change(Level.TIMELAPSE, timelapse, {"small_mode": "latest"}, by="ada", now=NOON)
    make_timelapse(camera=south, name="Long ago", state="completed")


def wipe():
    for model in (Schedule, Timelapse, Camera, Site, Recipe, GlobalSettings, SettingChange, Event, Decision):
        model.objects.all().delete()


def bring(document, **kw):
    return import_document(copy.deepcopy(document), by="ada", now=clock.now(), **kw)


def verdicts(report):
    return {f"{item.kind} {item.name}": item.verdict.value for item in report.items}


def test_out_and_in_again_is_the_same(system, caplog):
    caplog.set_level(logging.DEBUG)
    document = read_text(write_text(export_document(PASSPHRASE)).encode())
    plain = {name: value for name, value in document.items() if name != "secrets"}
    wipe()

    report = bring(document, passphrase=PASSPHRASE)

    assert report.is_applied
    assert set(verdicts(report).values()) == {"created", "changed"}  # the one row of settings is changed
    assert export_document() == plain
    north, south = Camera.objects.order_by("name")
    assert sealing.unseal(north.sealed_password) == PASSWORD
    assert south.address.endswith(f"&pwd={IN_QUERY}")
    assert effective.secret(effective.globally(), "openweather_key") == KEY
    assert {row.state for row in Timelapse.objects.all()} == {"created"}
    assert Timelapse.objects.filter(name="Twice").count() == 2
    assert set(verdicts(bring(document, passphrase=PASSPHRASE)).values()) == {"unchanged"}
    told = [repr(values) for model in (Event, Decision, SettingChange) for values in model.objects.values()]
    everything = "\n".join([*told, write_text(document), caplog.text])
    assert not [secret for secret in (PASSWORD, KEY, IN_QUERY, PASSPHRASE) if secret in everything]


def test_without_a_passphrase_there_are_no_secrets_and_those_that_are_here_stay(system):
    document = export_document()
    assert not [secret for secret in (PASSWORD, KEY, IN_QUERY) if secret in write_text(document)]

    same = bring(document)
    Camera.objects.filter(name="North").update(sealed_password="", username="")
    changed = bring(document)

    assert set(verdicts(same).values()) == {"unchanged"}
    assert [item.changed for item in changed.items if item.verdict == "changed"] == [("username",)]
    assert Camera.objects.get(name="South").address.endswith(f"&pwd={IN_QUERY}")
    assert effective.secret(effective.globally(), "openweather_key") == KEY
    # Elsewhere the address is not known, and is not made up.
    Camera.objects.filter(name="South").update(name="West")
    refused = next(item for item in bring(document, is_trial=True).items if item.name == "South")
    assert refused.problems == {"address": "It holds a secret, which this file does not have."}


def test_a_trial_says_what_is_then_done_and_does_nothing(system):
    document = export_document()
    document["settings"] = {"jpeg_quality": 70, "latitude": 47.5, "longitude": 11.0}
    document["recipes"].append({"name": "Small", "fps": 12, "height": 480})
    document["cameras"][0] |= {"notes": "moved", "geometry": {}, "settings": {"quality_heavy": True}}
    document["timelapses"][0]["plan"] = every(120)
    before = export_document()
    rows = [model.objects.count() for model in (Event, Decision, SettingChange, MediaJob)]

    trial = bring(document, is_trial=True)

    assert (trial.is_applied, export_document()) == (False, before)
    assert [model.objects.count() for model in (Event, Decision, SettingChange, MediaJob)] == rows
    done = bring(document)
    assert done.is_applied
    assert trial.items == done.items
    assert trial.counts == {"created": 1, "changed": 3, "unchanged": 6, "refused": 0}
    changed = {f"{item.kind} {item.name}": item.changed for item in done.items if item.verdict == "changed"}
    assert changed == {
        "settings for all cameras": ("settings.jpeg_quality",),
        "camera North": ("notes", "geometry", "settings.quarantine_days"),
        "timelapse North: Summer": ("plan",),
    }
    assert Camera.objects.get(name="North").said == {"quality_heavy": True}
    assert SettingChange.objects.filter(name="quarantine_days", old=3, new__isnull=True, by="ada").exists()
    assert Decision.objects.filter(action="configuration_imported").count() == 1


def test_what_is_refused_is_named_and_then_nothing_is_done_unless_the_rest_is_wanted(system):
    document = export_document()
    document["cameras"][0] |= {"address": "rtsp://192.0.2.9/other", "site": "nowhere"}
    document["cameras"][1]["settings"] = {"jpeg_quality": 1, "openweather_key": "openly"}
    document["cameras"].append(
        {"name": "East", "kind": "rtsp", "address": "http://192.0.2.1/", "colour": "red"}
    )
    document["timelapses"].append({"camera": "East", "name": "None", "plan": {"rules": []}})
    document["recipes"].append({"name": "Small", "fps": 0})
    document["recipes"].append({"name": 7})
    document["sites"][0]["notes"] = "below the wood"
    before = export_document()

    report = bring(document)
    stayed = export_document()
    rest = bring(document, skips_refused=True)

    assert (report.is_applied, stayed) == (False, before)
    refused = {f"{item.kind} {item.name}": item.problems for item in report.items if item.problems}
    assert refused["camera North"] == {"site": "There is no such site, here or in the file."}
    assert refused["camera South"] == {
        "settings.openweather_key": "A secret is not written into a file openly."
    }
    assert refused["camera East"] == {"colour": "There is no such field."}
    assert refused["timelapse East: None"] == {"camera": "There is no camera of this name."}
    assert list(refused) == [
        *("recipe Small", "recipe ?", "camera North", "camera South", "camera East", "timelapse East: None")
    ]
    assert rest.is_applied
    assert Site.objects.get().notes == "below the wood"
    assert not Camera.objects.filter(name="East").exists()


def test_what_runs_goes_on_and_its_plan_changes_from_the_next_slot_on():
    timelapse = make_timelapse(camera=make_camera(name="North"), name="Summer", interval_s=60)
    campaign.start(timelapse, by="ada")
    document = export_document()

    same = bring(document)
    document["timelapses"][0]["plan"] = every(120)
    changed = bring(document)
    document["timelapses"][0]["start_at"] = "2031-01-01T00:00:00+00:00"
    refused = bring(document)

    timelapse.refresh_from_db()
    assert set(verdicts(same).values()) == {"unchanged"}
    assert changed.is_applied
    assert (timelapse.state, timelapse.plan) == ("running", every(120))
    assert timelapse.schedules.count() == 2
    assert refused.items[-1].problems == {
        "": "The start can be changed only before the timelapse is started."
    }


@pytest.mark.usefixtures("_quick_seal")
def test_a_password_goes_only_to_the_address_that_it_was_sealed_for(system):
    document = export_document(PASSPHRASE)
    wipe()
    document["cameras"][0]["address"] = "rtsp://198.51.100.66/live"

    report = bring(document, passphrase=PASSPHRASE)

    assert verdicts(report)["camera North"] == "refused"
    assert not Camera.objects.exists()


@pytest.mark.usefixtures("_quick_seal")
def test_a_wrong_passphrase_and_every_kind_of_damage_are_told_and_nothing_is_done(system):
    document = export_document(PASSPHRASE)
    text = write_text(document).encode()
    box = document["secrets"]["box"]
    flipped = box[:40] + ("A" if box[40] != "A" else "B") + box[41:]
    wrong = [
        (document, "wrong horse battery"),
        (document | {"secrets": document["secrets"] | {"box": flipped}}, PASSPHRASE),
        (document | {"secrets": document["secrets"] | {"salt": "no base64!"}}, PASSPHRASE),
        (document | {"secrets": document["secrets"] | {"cipher": "rot13"}}, PASSPHRASE),
        (document | {"secrets": [1]}, PASSPHRASE),
        (document | {"version": 99}, PASSPHRASE),
        (document | {"format": "something"}, PASSPHRASE),
        (document | {"cameras": 7}, PASSPHRASE),
        (document | {"more": []}, PASSPHRASE),
        ([], PASSPHRASE),
    ]
    wipe()

    for broken, passphrase in wrong:
        with pytest.raises(FileRefused):
            bring(broken, passphrase=passphrase)
    for data in (
        text[:-200],
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b" " * 6_000_000,
    ):
        with pytest.raises(FileRefused):
            read_text(data)
    with pytest.raises(FileRefused, match="8 to 1000 characters"):
        export_document("short")

    assert not Camera.objects.exists()
    assert not GlobalSettings.objects.exists()


def test_nonsense_in_any_field_is_refused_or_taken(system):
    document = export_document()
    frame = {name: document[name] for name in ("format", "version")}

    for section in ("sites", "recipes", "cameras", "timelapses"):
        for field in document[section][0]:
            entries = [document[section][0] | {field: nonsense} for nonsense in NONSENSE]
            report = bring(frame | {section: entries}, is_trial=True)
            assert len(report.items) == len(NONSENSE), (section, field)


@pytest.mark.usefixtures("_quick_seal")
def test_by_command_and_by_the_api(system, tmp_path, admin, api):
    secret, file = tmp_path / "passphrase", tmp_path / "configuration.json"
    secret.write_text(f"{PASSPHRASE}\n")
    client = api(admin)

    call_command("export_configuration", str(file), passphrase_file=secret)
    mode = file.stat().st_mode & 0o777
    by_api = client.post("/api/v1/configuration/export/", {}, format="json").json()
    wipe()
    told = StringIO()
    call_command("import_configuration", file, trial=True, passphrase_file=secret, stdout=told)
    nothing = Camera.objects.count()
    call_command("import_configuration", file, passphrase_file=secret, stdout=StringIO())
    again = client.post("/api/v1/configuration/import/", {"document": by_api}, format="json")
    by_api["cameras"][0]["kind"] = "carrier pigeon"
    refused = client.post("/api/v1/configuration/import/", {"document": by_api}, format="json")
    damaged = client.post("/api/v1/configuration/import/", {"document": {"format": "x"}}, format="json")
    file.write_text(json.dumps(by_api))

    assert (mode, nothing) == (0o600, 0)
    assert "created   camera North" in told.getvalue()
    assert "Would be: 8 created, 1 changed, 0 unchanged, 0 refused." in told.getvalue()
    assert (again.status_code, again.json()["counts"]["unchanged"]) == (200, 9)
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["camera North: kind"])
    assert (damaged.status_code, list(damaged.json()["errors"])) == (400, ["document"])
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("import_configuration", file, stdout=StringIO())
    assert sealing.unseal(Camera.objects.get(name="North").sealed_password) == PASSWORD
