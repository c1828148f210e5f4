"""Nonsense into every door that writes or filters: always a problem that says so, never a 500, on every database."""

import json

import pytest
from rest_framework import serializers

from captures.plans import PlanField
from tests.factories import make_camera, make_capture, make_job, make_recipe, make_timelapse, make_video

MEDIA_TYPE = "application/problem+json"
HUGE = 10**400
NONSENSE = {
    "null": None,
    "true": True,
    "zero": 0,
    "minus": -1,
    "too large for a column": 10**30,
    "too large for a float": HUGE,
    "fraction": 1.5,
    "empty": "",
    "blank": "  ",
    "NUL": "a\x00b",
    "half a surrogate": "\ud800",
    "line breaks": "rtsp://192.0.2.1/\r\nX: y",
    "huge": "x" * 200_000,
    "not a number": "NaN",
    "infinity": "Infinity",
    "date before time": "0001-01-01T00:00:00+14:00",
    "date after time": "9999-12-31T23:59:59-14:00",
    "day that is none": "2026-02-30",
    "list": [],
    "nested list": [[1], {"a": None}],
    "object": {"a": {"b": 1}},
    "address with a login": "rtsp://eva:pw@192.0.2.1/",
    "metadata": "http://169.254.169.254/latest",
}
BODIES = {
    "nothing": b"",
    "not JSON": b"{",
    "no object": b"[1, 2]",
    "a word": b'"word"',
    "null": b"null",
    "bytes that are no text": b"\xff\xfe{}",
    "NUL": b"\x00",
    "NaN": b'{"name": NaN}',
    "endless number": b'{"name": 1e999}',
    "long number": b'{"name": ' + b"9" * 5000 + b"}",
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
}
WINDOWS = [
    {"kind": "none"},
    {"kind": "clock", "start": "22:00", "end": "06:00"},
    {"kind": "sun", "start_offset_min": 45, "end_offset_min": -45},
    {"kind": "altitude", "at_least_deg": -6.0, "at_most_deg": 60},
]
PLAN = {
    "rules": [
        {"kind": "interval", "every_s": 60, "on_the_clock": True, "window": WINDOWS[1]},
        {"kind": "cron", "expression": "*/5 8-17 * * 1-5", "window": WINDOWS[2]},
        {"kind": "times", "times": ["08:00", "12:30:15"], "window": WINDOWS[3]},
        {"kind": "sun", "event": "dusk", "offset_min": -15, "window": WINDOWS[0]},
    ],
    "window": {"kind": "clock", "start": "08:00", "end": "18:00"},
    "weekdays": [1, 2, 3],
    "dates": [["2026-03-01", "2026-11-30"]],
    "blackouts": ["2026-12-24", ["2026-12-27", "2027-01-03"]],
}
GOOD = {
    "cameras": {
        "name": "Garden",
        "kind": "rtsp",
        "address": "rtsp://192.0.2.9/live",
        "transport": "tcp",
        "username": "eva",
        "password": "pw",
        "verify_tls": True,
        "connect_timeout_s": 5,
        "deadline_s": 10,
        "is_enabled": True,
        "notes": "",
    },
    "cameras/test": {
        "kind": "http",
        "address": "http://192.0.2.9/",
        "camera": 0,
        "password": "pw",
        "deadline_s": 5,
    },
    "timelapses": {
        "camera": 0,
        "name": "Summer",
        "plan": PLAN,
        "start_at": None,
        "end_at": None,
        "stop_after_days": 30,
        "stop_after_captures": 1000,
        "time_zone": "Europe/Berlin",
    },
    "timelapses/preview": {
        "camera": 0,
        "plan": PLAN,
        "time_zone": "Europe/Berlin",
        "start_at": None,
        "end_at": None,
        "stop_after_days": 30,
        "stop_after_captures": 1000,
        "limit": 10,
        "start": "2026-05-04T12:00:00Z",
    },
    "recipes": {"name": "Large", "fps": 24, "height": 1080, "codec": "h264", "quality": "high"},
    "videos": {
        "timelapse": 0,
        "recipe": 0,
        "name": "All",
        "follows": False,
        "throttle_s": 0,
        "from_day": "2026-05-01",
        "until_day": "2026-05-02",
    },
    "token": {"username": "eva", "password": "pw"},
}


@pytest.fixture
def rows(db):
    camera = make_camera(latitude=48.2, longitude=16.4)
    timelapse = make_timelapse(camera=camera)
    recipe = make_recipe()
    return {
        "camera": camera.pk,
        "timelapse": timelapse.pk,
        "recipe": recipe.pk,
        "video": make_video(timelapse=timelapse, recipe=recipe).pk,
        "capture": make_capture(timelapse=timelapse).pk,
        "job": make_job().pk,
    }


def good(door, rows):
    return {name: rows[name] if name in rows and value == 0 else value for name, value in GOOD[door].items()}


def is_fine(answer):
    """Either it made sense after all, or it is a problem of the client's making, told as one."""
    if answer.status_code < 400:
        return True
    return (
        answer.status_code < 500
        and answer["Content-Type"] == MEDIA_TYPE
        and "detail" in json.loads(answer.content)
    )


@pytest.mark.parametrize("door", [door for door in GOOD if door != "token"])
def test_what_the_nonsense_is_put_into_is_good_by_itself(admin, api, rows, door):
    answer = api(admin).post(f"/api/v1/{door}/", good(door, rows))

    assert answer.status_code in {200, 201, 202}, answer.content


@pytest.mark.parametrize("nonsense", NONSENSE)
@pytest.mark.parametrize("door", GOOD)
def test_nonsense_in_a_field_is_told(admin, api, rows, door, nonsense):
    client = api(admin)

    for field in GOOD[door]:
        body = json.dumps(good(door, rows) | {field: NONSENSE[nonsense]})
        answer = client.post(f"/api/v1/{door}/", body, content_type="application/json")
        assert is_fine(answer), (field, answer.status_code, answer.content)


def places_in(document, path=()):
    """The path to everything that a document holds, itself included."""
    yield path
    parts = {}
    if isinstance(document, dict | list):
        parts = document if isinstance(document, dict) else dict(enumerate(document))
    for name, inner in parts.items():
        yield from places_in(inner, (*path, name))


def with_nonsense(document, path, nonsense):
    """A copy of the document with something else at the path."""
    if not path:
        return nonsense
    copied = document.copy()
    copied[path[0]] = with_nonsense(document[path[0]], path[1:], nonsense)
    return copied


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_anywhere_in_a_plan_is_told_or_can_be_carried_out(admin, api, rows, nonsense):
    client = api(admin)
    form = good("timelapses/preview", rows) | {"limit": 1}

    for path in places_in(PLAN):
        plan = with_nonsense(PLAN, path, NONSENSE[nonsense])
        try:
            PlanField().run_validation(plan)
        except serializers.ValidationError:
            continue
        body = json.dumps(form | {"plan": plan})
        answer = client.post("/api/v1/timelapses/preview/", body, content_type="application/json")
        assert is_fine(answer), (path, answer.status_code, answer.content)


@pytest.mark.parametrize("number", ["NaN", "Infinity", HUGE, "0.5"])
def test_a_number_that_is_none_is_told_at_its_field(admin, api, rows, number):
    body = json.dumps(good("cameras", rows) | {"deadline_s": number})

    answer = api(admin).post("/api/v1/cameras/", body, content_type="application/json")

    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["deadline_s"])


@pytest.mark.parametrize("nonsense", NONSENSE)
@pytest.mark.parametrize("door", ["cameras", "timelapses", "recipes", "videos"])
def test_nonsense_in_a_change_is_told(admin, api, rows, door, nonsense):
    client, pk = api(admin), rows[door[:-1]]

    for field in GOOD[door]:
        body = json.dumps({field: NONSENSE[nonsense]})
        answer = client.patch(f"/api/v1/{door}/{pk}/", body, content_type="application/json")
        assert is_fine(answer), (field, answer.status_code, answer.content)


@pytest.mark.parametrize("body", BODIES)
def test_bodies_that_are_none_are_told(admin, api, rows, body):
    client = api(admin)
    doors = [
        *(f"{door}/" for door in GOOD),
        f"timelapses/{rows['timelapse']}/start/",
        f"timelapses/{rows['timelapse']}/pause/",
        f"timelapses/{rows['timelapse']}/reschedule/",
        f"timelapses/{rows['timelapse']}/cancel-work/",
        f"timelapses/{rows['timelapse']}/thumbnails/",
        f"timelapses/{rows['timelapse']}/preview/",
        f"captures/{rows['capture']}/thumbnail/",
        f"cameras/{rows['camera']}/test/",
        f"cameras/{rows['camera']}/capture-now/",
        f"videos/{rows['video']}/render/",
        f"videos/{rows['video']}/cancel/",
        f"jobs/{rows['job']}/cancel/",
        f"jobs/{rows['job']}/retry/",
    ]

    for door in doors:
        answer = client.post(f"/api/v1/{door}", BODIES[body], content_type="application/json")
        assert is_fine(answer), (door, answer.status_code, answer.content)


FILTERS = {
    "cameras": ["name", "kind", "health", "is_enabled", "ordering", "page", "page_size"],
    "timelapses": ["camera", "state", "name", "is_active", "page"],
    "captures": [
        "timelapse",
        "camera",
        "state",
        "reason",
        "origin",
        "slot_from",
        "slot_until",
        "day",
        "day_number",
        "ordering",
        "page",
    ],
    "videos": ["timelapse", "camera", "recipe", "state", "follows"],
    "jobs": ["state", "is_active", "task", "topic", "requested_by", "is_quiet"],
    "events": ["since", "topics"],
    "settings/history": ["topic", "name", "by", "start", "end", "ordering", "page"],
    "timelapses/{timelapse}/captures": ["day", "slot_from", "state", "day_number", "page"],
    "timelapses/{timelapse}/coverage": ["start", "end"],
    "timelapses/{timelapse}/schedules": ["page", "ordering"],
    "timelapses/{timelapse}/preview": ["limit", "start"],
    "timelapses/{timelapse}/calendar": ["from_day", "until_day"],
    "timelapses/{timelapse}/ribbon": ["day"],
    "timelapses/{timelapse}/gap": ["at", "direction"],
    "timelapses/{timelapse}/why": ["at"],
    "audit": ["topic", "action", "by", "correlation_id", "start", "end", "ordering", "page"],
    "work": ["kind", "topic", "until", "page"],
    "work/is-scheduled": ["kind", "topic"],
}
TEXTS = {
    name: value for name, value in NONSENSE.items() if isinstance(value, str) and name != "half a surrogate"
} | {
    "too large": str(10**30),
    "much too large": str(HUGE),
    "minus": "-1",
    "fraction": "1.5",
    "date and time before": "0001-01-01T00:00:00+14:00",
}


@pytest.mark.parametrize("text", TEXTS)
def test_nonsense_in_a_filter_is_told(viewer, api, rows, text):
    client = api(viewer)

    for path, names in FILTERS.items():
        for name in names:
            answer = client.get(f"/api/v1/{path.format(**rows)}/", {name: TEXTS[text][:3000]})
            assert is_fine(answer), (path, name, answer.status_code, answer.content)


@pytest.mark.parametrize("pk", ["0", "999999", str(10**30), "-1", "a", "%00", "1e3", "%F0%9F%98%80"])
def test_unknown_ids_are_not_found(admin, api, rows, pk):
    client = api(admin)
    paths = [
        *(f"{name}/{pk}/" for name in ("cameras", "timelapses", "captures", "recipes", "videos", "jobs")),
        f"timelapses/{pk}/captures/",
        f"timelapses/{pk}/coverage/",
        f"timelapses/{pk}/schedules/",
        f"timelapses/{pk}/preview/",
        f"timelapses/{pk}/calendar/",
        f"timelapses/{pk}/ribbon/",
        f"timelapses/{pk}/gap/",
        f"timelapses/{pk}/why/",
        f"cameras/{pk}/pictures/latest/",
    ]
    deeds = [
        f"cameras/{pk}/test/",
        f"cameras/{pk}/capture-now/",
        f"timelapses/{pk}/start/",
        f"timelapses/{pk}/preview/",
        f"timelapses/{pk}/reschedule/",
        f"timelapses/{pk}/cancel-work/",
        f"timelapses/{pk}/thumbnails/",
        f"captures/{pk}/thumbnail/",
        f"videos/{pk}/render/",
        f"jobs/{pk}/cancel/",
    ]

    assert {client.get(f"/api/v1/{path}").status_code for path in paths} == {404}
    assert {client.post(f"/api/v1/{deed}").status_code for deed in deeds} == {404}
