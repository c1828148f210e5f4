"""Camera addresses whose query holds a password: in full only where they are edited."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from cameras.sources.addresses import mask_query
from tests.factories import make_camera, make_user

pytestmark = pytest.mark.any_database
ADDRESS = "http://192.0.2.7/snap.cgi?user=eve&pwd=hunter2"
SHOWN = "http://192.0.2.7/snap.cgi?user=***&pwd=***"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (ADDRESS, SHOWN),
        ("rtsp://cam/live", "rtsp://cam/live"),
        ("http://cam/?hunter2", "http://cam/?***"),
        ("http://cam/?a=b=c;d=&e", "http://cam/?a=***;d=&***"),
        ("/srv/pictures/what?.jpg", "/srv/pictures/what?.jpg"),
    ],
)
def test_values_of_the_query_are_masked(address, shown):
    assert mask_query(address) == shown


@pytest.mark.parametrize(("role", "seen"), [("viewer", SHOWN), ("operator", SHOWN), ("admin", ADDRESS)])
def test_api_shows_it_to_those_who_set_up_cameras(db, api, role, seen):
    camera = make_camera(kind="http", address=ADDRESS)
    client = api(make_user(role=role))

    assert client.get(f"/api/v1/cameras/{camera.pk}/").json()["address"] == seen
    assert client.get("/api/v1/cameras/").json()["results"][0]["address"] == seen


def test_pages_show_it_in_the_form_only(db, pages):
    camera = make_camera(kind="http", address=ADDRESS)
    client = pages(make_user(role="admin"))

    assert "hunter2" not in client.get(reverse("camera", args=[camera.pk])).content.decode()
    assert "hunter2" not in client.get("/").content.decode()
    assert "hunter2" in client.get(reverse("camera-edit", args=[camera.pk])).content.decode()


@pytest.mark.parametrize(("deeds", "is_seen"), [(["view"], False), (["view", "change"], True)])
def test_admin_shows_it_to_those_who_change_cameras(db, pages, deeds, is_seen):
    camera = make_camera(kind="http", address=ADDRESS)
    user = make_user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=[f"{deed}_camera" for deed in deeds]))
    client = pages(user)
    listed = reverse("admin:cameras_camera_changelist")

    row = client.get(reverse("admin:cameras_camera_change", args=[camera.pk])).content.decode()
    assert "snap.cgi" in row
    assert ("hunter2" in row) == is_seen
    assert "hunter2" not in client.get(listed).content.decode()
    assert ("snap.cgi" in client.get(f"{listed}?q=pwd%3Dhunter").content.decode()) == is_seen
