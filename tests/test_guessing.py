"""Guessing passwords: three doors, one count."""

import logging
import threading

import pytest
from django.core.cache import caches
from django.test import Client, RequestFactory

from tests.factories import make_user
from timelapser import guessing

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def tom():
    return make_user("tom", password="correct horse", is_staff=True)


def by_page(name, password, **headers):
    return Client().post("/login/", {"username": name, "password": password}, **headers).status_code


def by_api(name, password, **headers):
    wish = {"username": name, "password": password}
    return Client().post("/api/v1/token/", wish, content_type="application/json", **headers).status_code


def by_admin(name, password, **headers):
    """As a browser: the admin's login leads to the page, and nothing is looked at before."""
    wish = {"username": name, "password": password, "next": "/admin/"}
    answer = Client().post("/admin/login/", wish, **headers)
    assert (answer.status_code, answer["Location"]) == (302, "/login/?next=%2Fadmin%2F")
    return Client().post(answer["Location"], wish, **headers).status_code


DOORS = {"page": (by_page, 200, 302), "api": (by_api, 401, 200), "admin": (by_admin, 200, 302)}


@pytest.mark.parametrize("door", DOORS)
def test_ten_wrong_tries_at_any_door_close_it(tom, door):
    knock, refused, _ = DOORS[door]

    answers = [knock("tom", "wrong") for _ in range(10)]

    assert answers == [refused] * 10
    assert knock("tom", "correct horse") == 429


def test_all_doors_count_together(tom):
    for number in range(10):
        list(DOORS.values())[number % 3][0]("tom", "wrong")

    assert {knock("tom", "correct horse") for knock, _, _ in DOORS.values()} == {429}


@pytest.mark.parametrize("door", ["page", "api"])
def test_invented_header_is_no_other_address(tom, door):
    knock = DOORS[door][0]
    answers = [knock("tom", "wrong", HTTP_X_FORWARDED_FOR=f"203.0.113.{n}") for n in range(11)]
    assert answers[-1] == 429


def test_names_that_the_form_reads_as_the_same_count_as_one(tom):
    for number in range(10):
        by_page("ｔom" if number % 2 else " tom ", "wrong")
    assert by_page("tom", "correct horse") == 429


def test_address_that_tries_many_names_is_refused(tom):
    answers = [by_page(f"name{number}", "wrong") for number in range(30)]

    assert answers == [200] * 30
    assert by_api("tom", "correct horse") == 429
    assert by_api("tom", "correct horse", REMOTE_ADDR="192.0.2.9") == 200


def test_other_names_and_other_addresses_still_get_in(tom):
    make_user("eve", password="correct horse")
    for _ in range(10):
        by_page("tom", "wrong")

    assert by_page("eve", "correct horse") == 302
    assert by_page("tom", "correct horse", REMOTE_ADDR="192.0.2.9") == 302


def test_addresses_of_one_ipv6_network_are_one(tom):
    answers = [by_page("tom", "wrong", REMOTE_ADDR=f"2001:db8::{number:x}") for number in range(11)]
    assert answers[-1] == 429
    assert by_page("tom", "correct horse", REMOTE_ADDR="2001:db8:0:1::1") == 302


@pytest.mark.parametrize("door", DOORS)
def test_right_passwords_are_no_guesses(tom, door):
    knock, _, welcome = DOORS[door]
    assert {knock("tom", "correct horse") for _ in range(31)} == {welcome}


def test_tries_at_the_same_time_do_not_slip_through():
    request, gate, answers = RequestFactory().post("/login/"), threading.Barrier(20), []

    def knock():
        gate.wait()
        answers.append(guessing.count(request, "tom"))

    threads = [threading.Thread(target=knock) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers.count(None) == 10


def test_every_count_ends():
    request = RequestFactory().post("/login/")
    guessing.count(request, "tom")
    guessing.forgive(request, "tom")
    guessing.count(request, "tom")

    counts = caches["logins"]
    client = counts._cache.get_client()
    keys = [counts.make_key(key) for key, _ in guessing._keys(request, "tom")]
    assert all(0 < client.ttl(key) <= 60 for key in keys)


def test_without_redis_people_get_in_and_it_is_told_once(tom, settings, tmp_path, caplog):
    settings.CACHES = settings.CACHES | {
        "logins": settings.CACHES["logins"] | {"LOCATION": f"unix://{tmp_path}/nobody.sock"}
    }
    guessing._tell.cache_clear()

    assert [by_page("tom", "correct horse"), by_api("tom", "correct horse"), by_page("tom", "x")] == [
        302,
        200,
        200,
    ]
    told = [record for record in caplog.records if "login_tries_not_counted" in record.getMessage()]
    assert [record.levelno for record in told] == [logging.WARNING]


def test_admins_door_leads_those_who_may_not_in_to_no_circle(pages, viewer, superuser):
    assert pages(viewer).get("/admin/login/?next=/admin/").status_code == 403
    assert pages(superuser).get("/admin/login/")["Location"] == "/login/?next=%2Fadmin%2F"
    assert pages(superuser).get("/login/?next=/admin/")["Location"] == "/admin/"


@pytest.mark.parametrize(("trusted", "seen"), [([], "10.0.0.1"), (["10.0.0.0/8"], "203.0.113.9")])
async def test_only_proxies_that_are_named_are_believed(settings, trusted, seen):
    from timelapser import asgi

    asked = {}

    async def inner(scope, receive, send):
        asked["client"] = scope["client"][0]

    settings.TRUSTED_PROXIES = trusted
    scope = {
        "type": "http",
        "scheme": "http",
        "client": ("10.0.0.1", 1),
        "headers": [(b"x-forwarded-for", b"203.0.113.9")],
    }
    await asgi.behind_proxies(inner)(scope, None, None)

    assert asked == {"client": seen}
