import json
import re
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import Client

from media_jobs import events, push
from media_jobs.events import EventType
from media_jobs.models import Event
from tests.factories import make_user
from tests.sockets import Socket

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def _close_connections():
    yield
    await sync_to_async(connections.close_all)()  # of the thread in which the database is asked


def log_in(role="viewer"):
    client = Client()
    client.force_login(make_user(role=role))
    return client.cookies["sessionid"].value


def socket(session="", origin="http://localhost"):
    from timelapser.asgi import application  # it looks for the static files when it is imported

    headers = [(b"host", b"localhost"), (b"origin", origin.encode())]
    if session:
        headers.append((b"cookie", f"sessionid={session}".encode()))
    return Socket(application, "/ws/events/", headers)


async def connected(role="viewer"):
    client = socket(await sync_to_async(log_in)(role))
    is_accepted, _ = await client.connect()
    assert is_accepted
    return client


async def following(*topics, since=None):
    client = await connected()
    await client.send_json({"follow": list(topics), "since": since})
    answer = await client.receive_json()
    assert answer["following"] == list(topics)
    return client


@sync_to_async
def emit(topic, **payload):
    events.emit(EventType.CAPTURE_STORED, topic, payload)
    return Event.objects.latest("id").pk


def documented_topics():
    """The forms that docs/events.md names before it says what a message is, with an id or a name in them."""
    text = (Path(__file__).parent.parent / "docs" / "events.md").read_text(encoding="utf-8")
    forms = re.findall(r"`([a-z]+(?:\.(?:<\w+>|\w+))?)`", text.split("A message is")[0])
    return [form.replace("<id>", "3").replace("<name>", "capture.barn-2") for form in forms]


async def test_every_documented_topic_can_be_followed_and_asked_for():
    topics = documented_topics()
    assert {"fleet", "clock", "camera.3", "timelapse.3", "queue.capture.barn-2"} <= set(topics)
    client = await following(*topics, since=0)
    await client.close()

    @sync_to_async
    def asked(topics):
        browser = Client()
        browser.force_login(make_user(role="viewer"))
        return browser.get("/api/v1/events/", {"since": 0, "topics": topics}).status_code

    assert await asked(",".join(topics)) == 200
    assert await asked("queue.") == await asked("clocks") == 400


async def heard(client):
    return (await client.receive_json())["events"]


@pytest.mark.parametrize("role", [None, ""])
async def test_strangers_are_refused(role):
    session = "" if role is None else await sync_to_async(log_in)(role)
    is_accepted, code = await socket(session).connect()
    assert (is_accepted, code) == (False, 4401)


async def test_pages_of_other_sites_are_refused():
    session = await sync_to_async(log_in)()
    is_accepted, _ = await socket(session, origin="http://evil.example").connect()
    assert not is_accepted


async def test_two_clients_at_once_hear_the_same_event():
    clients = [await following("timelapse.1") for _ in range(2)]

    pk = await emit("timelapse.1", n=1)

    for client in clients:
        event = (await heard(client))[0]
        assert (event["id"], event["type"], event["payload"]) == (pk, "capture_stored", {"n": 1})
        await client.close()


async def test_who_follows_another_topic_hears_nothing_of_it():
    client = await following("camera.1")
    await emit("camera.2", n=2)
    await emit("camera.1", n=1)

    assert (await heard(client))[0]["payload"] == {"n": 1}
    await client.close()


async def test_following_anew_leaves_the_former_topics():
    client = await following("camera.1")
    await client.send_json({"follow": ["camera.2"]})
    assert (await client.receive_json())["following"] == ["camera.2"]
    await emit("camera.1", n=1)
    await emit("camera.2", n=2)

    assert (await heard(client))[0]["payload"] == {"n": 2}
    await client.close()


async def test_who_comes_back_gets_what_was_missed():
    first = await emit("camera.1", n=1)
    await emit("camera.2", n=2)
    await emit("camera.1", n=3)

    client = await following("camera.1", since=first)

    missed = []
    while not missed:  # what was on its way meanwhile may come once more: clients know events by their ids
        missed = [event["payload"]["n"] for event in await heard(client) if event["id"] > first]
    assert missed == [3]
    await client.close()


async def test_who_was_away_too_long_is_told_to_load_anew():
    first = await emit("camera.1", n=1)
    for number in (2, 3):
        await emit("camera.1", n=number)
    await Event.objects.filter(pk__lte=first + 1).adelete()

    client = await following("camera.1", since=first)

    assert await client.receive_json() == {"reload": True, "latest": first + 2}
    await client.close()


async def test_latest_says_where_the_client_begins():
    pk = await emit("camera.1", n=1)
    client = await connected()
    await client.send_json({"follow": ["camera.1"], "since": None})

    assert await client.receive_json() == {"following": ["camera.1"], "latest": pk}
    assert await client.hears_nothing()
    await client.close()


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        "null",
        "{}",
        '{"follow": "fleet"}',
        '{"follow": ["planet.1"]}',
        '{"follow": ["camera.1; drop"]}',
        '{"follow": [1]}',
        '{"follow": [], "since": "1"}',
        '{"follow": [], "since": -1}',
        '{"follow": [], "since": true}',
        json.dumps({"follow": ["fleet"] * 101}),
        " " * 20_000,
        "[" * 16_000,
    ],
)
async def test_nonsense_is_answered_and_the_connection_stays(text):
    client = await connected()
    await client.send(text=text)
    assert "error" in await client.receive_json()

    await client.send(data=b"\x00")
    assert "error" in await client.receive_json()
    await client.send_json({"follow": ["fleet"]})
    assert (await client.receive_json())["following"] == ["fleet"]
    await client.close()


async def test_since_beyond_all_numbers_is_survived():
    client = await following("fleet", since=10**30)
    assert (await client.receive_json())["reload"] is True
    await client.close()


async def test_fleet_hears_of_all_but_the_newest_of_each_kind_only():
    client = await following("fleet")
    for number in range(200):
        await sync_to_async(events.hint)(EventType.JOB_PROGRESS, "timelapse.1", {"done": number})
    await emit("camera.77", n="the last")

    found, batches = [], 0
    while not any(event["payload"] == {"n": "the last"} for event in found):
        found += await heard(client)
        batches += 1

    # What other tests told is on its way to the fleet for a second, too.
    ours = [
        event for event in found if (event["type"], event.get("topic")) == ("job_progress", "timelapse.1")
    ]
    progress = [event["payload"]["done"] for event in ours]
    assert progress[-1] == 199
    assert len(progress) <= batches
    await client.close()


async def test_hints_of_the_same_topic_come_in_order():
    client = await following("timelapse.1")
    for number in range(50):
        await sync_to_async(events.hint)(EventType.JOB_PROGRESS, "timelapse.1", {"done": number})

    got = []
    while len(got) < 50:
        got += [event["payload"]["done"] for event in await heard(client)]

    assert got == list(range(50))
    await client.close()


async def test_a_hint_that_cannot_be_packed_is_lost_alone():
    client = await following("camera.1")
    push.push({"type": "job_progress", "topic": "camera.1", "payload": {"n": object()}})
    push.push({"type": "job_progress", "topic": "camera.1", "payload": {"n": 2}})

    assert (await heard(client))[0]["payload"] == {"n": 2}
    await client.close()
