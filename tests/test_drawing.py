"""Cards are drawn anew when what they show has changed, and each answer has its own instant and token."""

import re

import pytest
from django.middleware.csrf import CSRF_SECRET_LENGTH, CSRF_TOKEN_LENGTH

from cameras.models import Camera
from captures.models import Timelapse
from tests.factories import make_camera, make_timelapse
from timelapser.pages import drawing
from timelapser.pages.drawing import INSTANT, TOKEN

pytestmark = pytest.mark.django_db
TOKENS = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@pytest.fixture(autouse=True)
def _nothing_is_kept():
    drawing._draw.cache_clear()


def test_a_card_is_drawn_once_until_a_row_of_it_changes(operator, pages):
    timelapses = [make_timelapse(state="running") for _ in range(3)]
    client = pages(operator)
    client.get("/")
    assert drawing._draw.cache_info().misses == 3
    client.get("/")
    assert (drawing._draw.cache_info().misses, drawing._draw.cache_info().hits) == (3, 3)
    Timelapse.objects.filter(pk=timelapses[1].pk).update(image_count=811)
    assert ">811<" in client.get("/").content.decode()
    Camera.objects.filter(pk=timelapses[2].camera_id).update(name="Renamed & <b>bold</b>")
    text = client.get("/").content.decode()
    assert "Renamed &amp; &lt;b&gt;bold&lt;/b&gt;" in text
    assert drawing._draw.cache_info().misses == 5


def test_instant_and_token_are_of_each_answer(operator, viewer, pages):
    camera = make_timelapse(state="running").camera
    client, address = pages(operator), f"/parts/?part=camera-{camera.pk}"
    texts = [client.get(address).content.decode() for _ in range(2)]
    tokens = [set(TOKENS.findall(text)) for text in texts]
    instants = [re.findall(r'data-server-time="([^"]+)"', text) for text in texts]
    assert all(len(found) == 1 for found in tokens)
    assert all(len(token) in {CSRF_SECRET_LENGTH, CSRF_TOKEN_LENGTH} for found in tokens for token in found)
    assert instants[0] != instants[1]
    assert 'hx-swap-oob="true"' in texts[0]
    assert not any(mark in text for text in texts for mark in (INSTANT, TOKEN))
    seen = pages(viewer).get("/").content.decode()
    assert camera.name in seen
    assert "Capture now" not in seen
    assert "hx-swap-oob" not in seen


def test_a_name_is_what_it_is_whatever_it_says(operator, pages):
    name = "the-token-goes-here the-instant-goes-here"
    make_timelapse(camera=make_camera(name=name), state="running")
    text = pages(operator).get("/").content.decode()
    assert name in text
    assert len({TOKEN, INSTANT}) == 2
    assert min(len(TOKEN), len(INSTANT)) > 32


def test_the_form_of_a_drawn_card_is_taken(operator):
    from django.test import Client

    timelapse = make_timelapse(camera=make_camera(), state="running")
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    for _ in range(2):
        token = TOKENS.search(client.get("/").content.decode())[1]
        answer = client.post(
            f"/timelapses/{timelapse.pk}/capture/", {"csrfmiddlewaretoken": token, "next": "/"}
        )
        assert answer.status_code == 302
    assert client.post(f"/timelapses/{timelapse.pk}/capture/", {"next": "/"}).status_code == 403
    assert timelapse.captures.count() == 2
