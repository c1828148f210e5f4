"""Who gets in, and what problems look like, on every address of the API."""

import pytest
from django.urls import get_resolver
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from tests.factories import make_camera, make_timelapse, make_user, make_video

MEDIA_TYPE = "application/problem+json"
LISTS = ["cameras", "timelapses", "captures", "recipes", "videos", "jobs"]


@pytest.mark.parametrize("name", [*LISTS, "events", "system", "schema"])
def test_nobody_gets_in_without_a_login(db, api, name):
    answer = api().get(f"/api/v1/{name}/")

    assert (answer.status_code, answer["Content-Type"]) == (401, MEDIA_TYPE)
    assert answer["WWW-Authenticate"] == "Token"
    assert answer.json()["code"] == "not_authenticated"


def test_a_problem_has_the_members_of_the_standard_and_the_request_id(viewer, api):
    problem = api(viewer).get("/api/v1/cameras/999/").json()

    assert problem | {"correlation_id": ""} == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing here.",
        "code": "not_found",
        "correlation_id": "",
    }
    assert len(problem["correlation_id"]) == 36


@pytest.mark.parametrize("path", ["nothing/", "cameras/abc/", "", "cameras/1/%00/", "jobs/1/"])
def test_unknown_addresses_are_problems_too(viewer, api, path):
    answer = api(viewer).get(f"/api/v1/{path}")

    assert (answer.status_code, answer["Content-Type"]) == (404, MEDIA_TYPE)


def test_wrong_method_type_and_accept_are_problems(admin, api):
    client = api(admin)

    answers = [
        client.delete("/api/v1/cameras/"),
        client.post("/api/v1/cameras/", "name=x", content_type="application/x-www-form-urlencoded"),
        client.get("/api/v1/cameras/", headers={"accept": "text/csv"}),
        client.post(
            "/api/v1/cameras/", b'{"name": "' + b"x" * 6_000_000 + b'"}', content_type="application/json"
        ),
    ]

    assert [answer.status_code for answer in answers] == [405, 415, 406, 413]
    assert {answer["Content-Type"] for answer in answers} == {MEDIA_TYPE}


def test_an_unexpected_error_is_told_without_its_trace(admin, api, monkeypatch, caplog):
    def fall(*args, **kwargs):
        raise RuntimeError("inner secret")

    monkeypatch.setattr("cameras.viewsets.CameraViewSet.get_queryset", fall)
    client = api(admin)
    client.raise_request_exception = False

    answer = client.get("/api/v1/cameras/")

    assert (answer.status_code, answer["Content-Type"]) == (500, MEDIA_TYPE)
    assert b"secret" not in answer.content
    assert b"Traceback" not in answer.content
    assert "request_failed" in caplog.text


def test_a_session_needs_the_csrf_token_to_write(admin):
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(admin)

    assert client.post("/api/v1/recipes/", {"name": "x"}, format="json").status_code == 403


def test_token_opens_until_it_is_revoked(db):
    make_user("tom", role="viewer", password="correct horse")
    client = APIClient()

    token = client.post("/api/v1/token/", {"username": "tom", "password": "correct horse"}).json()["token"]
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    answers = [
        client.get("/api/v1/cameras/").status_code,
        client.delete("/api/v1/token/").status_code,
        client.get("/api/v1/cameras/").status_code,
    ]

    assert answers == [200, 204, 401]
    assert not Token.objects.exists()


def test_wrong_passwords_are_refused_and_then_throttled(db):
    make_user("tom", password="correct horse")
    client = APIClient()

    answers = [client.post("/api/v1/token/", {"username": "tom", "password": "wrong"}) for _ in range(11)]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert int(answers[-1]["Retry-After"]) > 0
    assert answers[-1]["Content-Type"] == MEDIA_TYPE


def test_someone_without_a_role_sees_nothing(db, api):
    client = api(make_user())

    assert {client.get(f"/api/v1/{name}/").status_code for name in [*LISTS, "events", "system"]} == {403}


@pytest.mark.parametrize(
    ("deed", "allowed"),
    [
        ("start", {"operator", "admin"}),
        ("capture-now", {"operator", "admin"}),
        ("test", {"operator", "admin"}),
        ("render", {"operator", "admin"}),
        ("cancel", {"operator", "admin"}),
        ("make film", {"operator", "admin"}),
        ("make camera", {"admin"}),
        ("change camera", {"admin"}),
        ("delete camera", {"admin"}),
        ("make recipe", {"admin"}),
        ("make timelapse", {"admin"}),
        ("change timelapse", {"admin"}),
        ("delete film", {"admin"}),
        ("make site", {"admin"}),
        ("run an entry", {"admin"}),
    ],
)
@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_roles_allow_what_they_say(db, api, role, deed, allowed):
    client = api(make_user(role=role))
    timelapse, video = make_timelapse(), make_video()
    camera, base = timelapse.camera_id, "/api/v1"
    paths = {
        "start": ("post", f"timelapses/{timelapse.pk}/start/"),
        "capture-now": ("post", f"cameras/{camera}/capture-now/"),
        "test": ("post", f"cameras/{camera}/test/"),
        "render": ("post", f"videos/{video.pk}/render/"),
        "cancel": ("post", f"videos/{video.pk}/cancel/"),
        "make film": ("post", "videos/"),
        "make camera": ("post", "cameras/"),
        "change camera": ("patch", f"cameras/{camera}/"),
        "delete camera": ("delete", f"cameras/{make_camera().pk}/"),
        "make recipe": ("post", "recipes/"),
        "make timelapse": ("post", "timelapses/"),
        "change timelapse": ("patch", f"timelapses/{timelapse.pk}/"),
        "delete film": ("delete", f"videos/{video.pk}/"),
        "make site": ("post", "sites/"),
        "run an entry": ("post", "clock/videos.tidy/run/"),
    }
    method, path = paths[deed]

    status = getattr(client, method)(f"{base}/{path}", {}, format="json").status_code

    assert (status != 403) == (role in allowed)
    assert status < 500


def test_the_page_of_the_api_needs_a_login(viewer, pages):
    anonymous, known = pages().get("/api/v1/docs/"), pages(viewer).get("/api/v1/docs/")

    assert (anonymous.status_code, known.status_code) == (302, 200)
    assert b"swagger" in known.content


def test_every_address_of_the_api_asks_who_is_there(db, api):
    """Whatever is added later: no address answers nobody, but the login and the unknown."""
    timelapse, video = make_timelapse(), make_video()
    open_to_all = {"token"}
    api_urls = next(u for u in get_resolver().url_patterns if str(u.pattern) == "api/v1/")

    for pattern in api_urls.url_patterns:
        name = getattr(pattern, "name", None)
        if name is None or name in open_to_all:
            continue
        path = api_path(pattern, {"timelapse": timelapse.pk, "video": video.pk})
        assert api().get(path).status_code in {401, 302}, path


def api_path(pattern, pks):
    from django.urls import reverse

    kinds = {
        "job": "6f8a2f7e-8f6e-4f6e-8f6e-6f8a2f7e8f6e",
    }
    if "task" in pattern.pattern.regex.groupindex:
        return reverse(pattern.name, kwargs={"task": "captures.plan"})
    if "pk" not in pattern.pattern.regex.groupindex:
        return reverse(pattern.name)
    kind = pattern.name.partition("-")[0]
    return reverse(pattern.name, kwargs={"pk": kinds.get(kind, pks.get(kind, 1))})
