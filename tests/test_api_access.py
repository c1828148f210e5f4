"""Who gets in, and what problems look like, on every address of the API."""

import pytest
from django.urls import get_resolver, reverse
from django.views import View
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from cameras.models import Site
from tests.factories import (
    make_job,
    make_stored_capture,
    make_timelapse,
    make_user,
    make_video,
)

pytestmark = pytest.mark.any_database
MEDIA_TYPE = "application/problem+json"
LISTS = ["cameras", "timelapses", "captures", "recipes", "videos", "jobs", "sites", "clock", "work", "audit"]
ALONE = ["events", "system", "queues", "workers", "settings", "settings/history"]

EVERYBODY = {"viewer", "operator", "admin"}
OPERATORS = {"operator", "admin"}
ADMINS = {"admin"}
# Every address that takes something: who may.
WRITES = {
    "post camera-list": ADMINS,
    "put camera-detail": ADMINS,
    "patch camera-detail": ADMINS,
    "delete camera-detail": ADMINS,
    "post camera-test": OPERATORS,
    "post camera-test-unsaved": OPERATORS,
    "post camera-detect": OPERATORS,
    "post camera-detect-unsaved": OPERATORS,
    "post camera-choose": ADMINS,
    "post camera-capture-now": OPERATORS,
    "put camera-geometry": ADMINS,
    "delete camera-geometry": ADMINS,
    "post camera-geometry-test": OPERATORS,
    "post timelapse-list": OPERATORS,
    "patch timelapse-detail": OPERATORS,
    "delete timelapse-detail": ADMINS,
    "post timelapse-start": OPERATORS,
    "post timelapse-pause": OPERATORS,
    "post timelapse-resume": OPERATORS,
    "post timelapse-complete": OPERATORS,
    "post timelapse-archive": OPERATORS,
    "post timelapse-reschedule": OPERATORS,
    "post timelapse-cancel-work": OPERATORS,
    "post timelapse-thumbnails": OPERATORS,
    **{
        f"post {scope}-{deed}": may
        for scope in ("storage", "timelapse-storage")
        for deed, may in (
            ("verify", OPERATORS),
            ("repair", ADMINS),
            ("clean-up", OPERATORS),
            ("delete-thumbnails", ADMINS),
        )
    },
    "post storage-thumbnails": OPERATORS,
    "post timelapse-outlook-preview": EVERYBODY,
    "post timelapse-outlook-preview-form": EVERYBODY,
    "post capture-thumbnail": OPERATORS,
    "post capture-set-flag": OPERATORS,
    "post capture-take-back": OPERATORS,
    "post judgement-test": OPERATORS,
    "post camera-leave-degraded": OPERATORS,
    "post weather-refresh": OPERATORS,
    "post weather-check-key": ADMINS,
    "post export": ADMINS,
    "post import": ADMINS,
    "patch settings-detail": ADMINS,
    "patch camera-settings-detail": ADMINS,
    "patch timelapse-settings-detail": OPERATORS,
    "post recipe-list": ADMINS,
    "put recipe-detail": ADMINS,
    "patch recipe-detail": ADMINS,
    "delete recipe-detail": ADMINS,
    "post video-list": OPERATORS,
    "patch video-detail": OPERATORS,
    "delete video-detail": ADMINS,
    "post video-render": OPERATORS,
    "post video-cancel": OPERATORS,
    "post job-cancel": OPERATORS,
    "post job-retry": OPERATORS,
    "post site-list": ADMINS,
    "put site-detail": ADMINS,
    "patch site-detail": ADMINS,
    "delete site-detail": ADMINS,
    "post clock-run": ADMINS,
}


@pytest.mark.parametrize("name", [*LISTS, *ALONE, "schema"])
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

    assert {client.get(f"/api/v1/{name}/").status_code for name in [*LISTS, *ALONE]} == {403}


@pytest.fixture
def things(db):
    """One of each kind that an address can name."""
    timelapse, video = make_timelapse(), make_video()
    return {
        "camera": timelapse.camera_id,
        "alert": 1,
        "timelapse": timelapse.pk,
        "capture": make_stored_capture().pk,
        "recipe": video.recipe_id,
        "video": video.pk,
        "job": make_job().pk,
        "decision": 1,
        "evaluation": 1,
        "site": Site.objects.create(name="Alp", slug="alp").pk,
    }


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
@pytest.mark.parametrize("write", WRITES)
def test_roles_allow_what_they_say(api, things, role, write):
    client = api(make_user(role=role))
    method, name = write.split()
    pattern = next(pattern for pattern in patterns_of_the_api() if pattern.name == name)

    status = getattr(client, method)(path_of(pattern, things), {}, format="json").status_code

    assert (status != 403) == (role in WRITES[write])
    assert status != 500


def test_every_write_has_its_roles():
    """Whatever is added later: the table above says who may do it."""
    found = {
        f"{method} {pattern.name}"
        for pattern in patterns_of_the_api()
        for method in methods_of(pattern.callback) & {"post", "put", "patch", "delete"}
    }

    assert found - {"post token", "delete token"} == set(WRITES)


def methods_of(view):
    """The methods that a view answers."""
    if hasattr(view, "actions"):
        return set(view.actions or {}) & set(view.cls.http_method_names)
    return {method for method in View.http_method_names if hasattr(view.view_class, method)}


def test_the_page_of_the_api_needs_a_login(viewer, pages):
    anonymous, known = pages().get("/api/v1/docs/"), pages(viewer).get("/api/v1/docs/")

    assert (anonymous.status_code, known.status_code) == (302, 200)
    assert b"swagger" in known.content


def test_every_address_of_the_api_asks_who_is_there(api, things):
    """Whatever is added later: no address answers nobody, but the login and the unknown."""
    open_to_all = {"token"}

    for pattern in patterns_of_the_api():
        if pattern.name not in open_to_all:
            path = path_of(pattern, things)
            assert api().get(path).status_code in {401, 302}, path


def patterns_of_the_api():
    api_urls = next(u for u in get_resolver().url_patterns if str(u.pattern) == "api/v1/")
    return [pattern for pattern in api_urls.url_patterns if getattr(pattern, "name", None)]


def path_of(pattern, things):
    named = pattern.pattern.regex.groupindex if hasattr(pattern.pattern, "regex") else {}
    if "task" in named:
        return reverse(pattern.name, kwargs={"task": "captures.plan"})
    if "correlation_id" in named:
        return reverse(pattern.name, kwargs={"correlation_id": "c0ffee"})
    if "pk" not in named:
        return reverse(pattern.name)
    return reverse(pattern.name, kwargs={"pk": things[pattern.name.partition("-")[0]]})
