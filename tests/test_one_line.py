"""A login with a line break could begin a header of its own in what is sent to a camera."""

import pytest

from cameras.models import Camera

pytestmark = pytest.mark.django_db
GIVEN = {"name": "Gate", "kind": "http", "address": "http://192.0.2.7/s.jpg"}


@pytest.mark.parametrize("field", ["username", "password"])
@pytest.mark.parametrize("value", ["u\r\nX-Own: 1", "u\nv", "u\x00v", "u\x7fv"])
def test_api_refuses_a_login_of_several_lines(api, admin, field, value):
    answer = api(admin).post("/api/v1/cameras/", {**GIVEN, field: value})

    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert not Camera.objects.exists()


def test_page_refuses_a_login_of_several_lines(pages, admin):
    answer = pages(admin).post(
        "/cameras/add/", {**GIVEN, "username": "u", "password": "p\r\nX-Own: 1", "transport": "tcp"}
    )

    assert answer.status_code == 422
    assert not Camera.objects.exists()
