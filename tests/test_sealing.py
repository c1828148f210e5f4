import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from cameras import sealing
from cameras.exceptions import SealBroken
from cameras.models import Camera
from tests.factories import make_camera


def keys(count):
    return [Fernet.generate_key().decode() for _ in range(count)]


@pytest.mark.parametrize("secret", ["x", "päss wörd/@:%", "p" * 500, "\n"])
def test_unseal_gives_back_what_was_sealed(secret):
    sealed = sealing.seal(secret)

    assert sealing.unseal(sealed) == secret
    assert secret not in sealed or len(secret) == 1
    assert sealing.seal(secret) != sealed


def test_unseal_of_nothing_is_nothing():
    assert sealing.unseal("") == ""


def test_unseal_with_another_key_says_so(settings):
    sealed = sealing.seal("secret")
    settings.SEALING_KEYS = keys(1)

    for act in (sealing.unseal, sealing.reseal):
        with pytest.raises(SealBroken) as refusal:
            act(sealed)
        assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("damaged", ["nonsense", "gAAAA", "ünsinn"])
def test_unseal_of_something_damaged_says_so(damaged):
    with pytest.raises(SealBroken):
        sealing.unseal(damaged)


def test_rotation_needs_both_keys_once_and_then_only_the_new_one(settings):
    old, new = keys(2)
    settings.SEALING_KEYS = [old]
    sealed = sealing.seal("secret")
    settings.SEALING_KEYS = [new, old]
    again = sealing.reseal(sealed)
    settings.SEALING_KEYS = [new]

    assert sealing.unseal(again) == "secret"
    with pytest.raises(SealBroken):
        sealing.unseal(sealed)


def test_rotate_command_reseals_all_and_names_those_that_it_cannot_open(db, settings, capsys):
    old, new, lost = keys(3)
    settings.SEALING_KEYS = [lost]
    make_camera(name="Lost", password="gone")
    settings.SEALING_KEYS = [old]
    make_camera(name="Kept", password="secret")
    make_camera(name="Open")
    settings.SEALING_KEYS = [new, old]

    with pytest.raises(CommandError, match="Lost"):
        call_command("rotate_sealing_key")

    settings.SEALING_KEYS = [new]
    assert sealing.unseal(Camera.objects.get(name="Kept").sealed_password) == "secret"
    assert Camera.objects.get(name="Open").sealed_password == ""
    Camera.objects.get(name="Lost").delete()
    call_command("rotate_sealing_key")
    assert "newest key" in capsys.readouterr().out


def test_password_is_sealed_in_the_row_and_can_be_removed(db):
    camera = make_camera(password="geheim")

    assert "geheim" not in str(Camera.objects.values().get())
    assert camera.has_password
    camera.set_password("")
    assert not camera.has_password
