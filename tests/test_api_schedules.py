"""Plans in the API: typed, refused at their path, previewed before they are saved, in force at once."""

from datetime import UTC, datetime, timedelta

import pytest

from captures import campaign
from captures.intervalometer import every
from captures.models import Capture, Timelapse
from media_jobs import clock
from media_jobs.models import Event
from tests.factories import NOON, make_camera, make_stored_capture, make_timelapse

MINUTE = every(60)
DAYLIGHT = {"rules": [{"kind": "interval", "every_s": 60}], "window": {"kind": "sun"}}
OFFICE = {
    "rules": [
        {"kind": "cron", "expression": "*/15 * * * *"},
        {"kind": "times", "times": ["12:30", "06:00"], "window": {"kind": "none"}},
    ],
    "window": {"kind": "clock", "start": "08:00", "end": "18:00"},
    "weekdays": [1, 2, 3, 4, 5],
    "dates": [["2026-03-01", "2026-11-30"]],
    "blackouts": ["2026-05-01", ["2026-08-01", "2026-08-15"]],
}


@pytest.fixture
def client(admin, api):
    return api(admin)


def moment(text):
    return datetime.fromisoformat(text)


def test_a_plan_comes_back_in_its_canonical_form_and_in_words(client):
    wish = {"camera": make_camera().pk, "name": "Office", "plan": OFFICE, "stop_after_days": 90}

    made = client.post("/api/v1/timelapses/", wish).json()

    assert made["plan"]["rules"][1] == {
        "kind": "times",
        "times": ["06:00", "12:30"],
        "window": {"kind": "none"},
    }
    assert made["plan_words"].startswith(
        "cron */15 * * * * and at 06:00 and 12:30 (all day), 08:00 to 18:00, Mon"
    )
    assert (made["stop_after_days"], made["stop_after_captures"], made["stops_at"]) == (90, None, None)


def test_a_timelapse_without_a_plan_has_the_usual_one(client):
    made = client.post("/api/v1/timelapses/", {"camera": make_camera().pk, "name": "Plain"}).json()

    assert (made["plan"], made["plan_words"]) == (every(300), "every 5 min")
    event = Event.objects.get()
    assert (event.type, event.topic, event.payload["by"]) == (
        "timelapse_created",
        f"timelapse.{made['id']}",
        "ada",
    )


@pytest.mark.parametrize(
    ("plan", "path"),
    [
        (7, "plan"),
        ({}, "plan.rules"),
        ({"rules": []}, "plan.rules"),
        (MINUTE | {"colour": "red"}, "plan.colour"),
        ({"rules": [{"kind": "interval", "every_s": 0}]}, "plan.rules.0.every_s"),
        (
            {"rules": [*MINUTE["rules"], {"kind": "cron", "expression": "61 * * * *"}]},
            "plan.rules.1.expression",
        ),
        ({"rules": [{"kind": "sun", "event": "teatime"}]}, "plan.rules.0.event"),
        (MINUTE | {"window": {"kind": "clock", "start": "8", "end": "18:00"}}, "plan.window.start"),
        (MINUTE | {"weekdays": [0]}, "plan.weekdays"),
        (MINUTE | {"blackouts": ["2026-02-30"]}, "plan.blackouts.0"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said_at_its_path(client, plan, path):
    wish = {"camera": make_camera().pk, "name": "Wrong", "plan": plan}

    answers = [client.post(f"/api/v1/timelapses/{door}", wish) for door in ("", "preview/")]

    for answer in answers:
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [path])
        assert all(len(words) > 10 for words in answer.json()["errors"][path])
    assert not Timelapse.objects.exists()


def test_a_plan_with_the_sun_is_refused_where_the_camera_has_no_place(client):
    nowhere, vienna = make_camera(), make_camera(latitude=48.2, longitude=16.4)

    def make(camera):
        return client.post("/api/v1/timelapses/", {"camera": camera.pk, "name": "Sun", "plan": DAYLIGHT})

    refused, made = make(nowhere), make(vienna)

    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["plan.place"])
    assert made.status_code == 201


def test_a_timelapse_whose_camera_has_lost_its_place_does_not_start(client):
    timelapse = make_timelapse(plan=DAYLIGHT)

    answer = client.post(f"/api/v1/timelapses/{timelapse.pk}/start/")

    assert (answer.status_code, answer.json()["code"]) == (409, "plan_refused")
    assert list(answer.json()["errors"]) == ["plan.place"]
    assert Timelapse.objects.get().state == "created"


def test_a_changed_plan_of_a_running_timelapse_is_in_force_at_once(client):
    timelapse = make_timelapse(interval_s=3600)
    campaign.start(timelapse, by="ada")

    answer = client.patch(f"/api/v1/timelapses/{timelapse.pk}/", {"plan": every(2)}).json()
    versions = client.get(f"/api/v1/timelapses/{timelapse.pk}/schedules/").json()["results"]

    assert (answer["plan"], answer["plan_words"]) == (every(2), "every 2 s")
    assert moment(answer["next_slot_at"]) <= clock.now() + timedelta(seconds=2)
    assert [(version["words"], version["plan"]) for version in versions] == [
        ("every 2 s", every(2)),
        ("every 1 h", every(3600)),
    ]
    assert versions[0]["until_at"] is None
    assert versions[1]["until_at"] == versions[0]["from_at"]


def test_the_preview_of_a_form_says_what_comes_and_what_is_left_out(client):
    form = {"camera": make_camera().pk, "plan": OFFICE, "time_zone": "Europe/Berlin", "limit": 3}

    # A Friday evening: 17:45 and 18:00 are the last ones, on Saturday and Sunday there is nothing.
    told = client.post("/api/v1/timelapses/preview/", form | {"start": "2026-05-08T17:40:00+02:00"}).json()

    taken = [line["at"] for line in told["coming"] if not line["is_left_out"]]
    left_out = [line for line in told["coming"] if line["is_left_out"]]
    assert taken == ["2026-05-08T15:45:00Z", "2026-05-08T16:00:00Z", "2026-05-11T04:00:00Z"]
    assert {line["reason"] for line in left_out} >= {"outside_window", "weekday"}
    assert all(line["count"] > 0 and line["words"] and line["until"] for line in left_out)
    assert told["time_zone"] == "Europe/Berlin"
    assert not Timelapse.objects.exists()


def test_the_preview_estimates_pictures_and_bytes(client):
    timelapse = make_timelapse(interval_s=3600, state="running")
    for _ in range(3):
        capture = make_stored_capture(timelapse=timelapse)
    Capture.objects.update(bytes=1000)
    Timelapse.objects.update(latest_capture=capture, image_count=3)
    start = clock.now() + timedelta(days=1)
    form = {"start_at": None, "end_at": (start + timedelta(days=10)).isoformat(), "start": start.isoformat()}

    as_it_is = client.get(f"/api/v1/timelapses/{timelapse.pk}/preview/").json()["expected"]
    changed = client.post(f"/api/v1/timelapses/{timelapse.pk}/preview/", {"plan": every(7200)}).json()
    ending = client.post(f"/api/v1/timelapses/{timelapse.pk}/preview/", form).json()["expected"]

    assert as_it_is == {
        "per_day": 24,
        "until_end": None,
        "bytes_per_day": 24_000,
        "bytes_until_end": None,
        "ends_at": None,
    }
    assert (changed["expected"]["per_day"], changed["plan_words"]) == (12, "every 2 h")
    assert 240 <= ending["until_end"] <= 265
    assert Timelapse.objects.get().plan == every(3600)


def test_the_preview_of_a_paused_timelapse_says_so(client):
    timelapse = make_timelapse(interval_s=60, state="paused")

    told = client.get(f"/api/v1/timelapses/{timelapse.pk}/preview/", {"limit": 4}).json()

    assert [(line["is_left_out"], line["reason"], line["count"]) for line in told["coming"]] == [
        (True, "timelapse_paused", 4)
    ]


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 201}, {"start": "9999-12-31T23:59:59Z"}, {"start": "noon"}]
)
def test_a_preview_is_bounded(client, query):
    timelapse = make_timelapse()

    answers = [
        client.get(f"/api/v1/timelapses/{timelapse.pk}/preview/", query),
        client.post(f"/api/v1/timelapses/{timelapse.pk}/preview/", query),
    ]

    assert [(answer.status_code, list(answer.json()["errors"])) for answer in answers] == [
        (400, list(query))
    ] * 2


def test_whoever_may_look_may_ask_for_a_preview(viewer, api):
    timelapse = make_timelapse()
    client = api(viewer)

    answers = [
        client.get(f"/api/v1/timelapses/{timelapse.pk}/preview/"),
        client.post(f"/api/v1/timelapses/{timelapse.pk}/preview/", {"plan": MINUTE}),
        client.post("/api/v1/timelapses/preview/", {"camera": timelapse.camera_id, "plan": MINUTE}),
    ]

    assert [answer.status_code for answer in answers] == [200] * 3


def test_the_preview_is_what_the_clock_then_plans(client):
    timelapse = make_timelapse(interval_s=60)
    campaign.start(timelapse, by="ada")
    path = f"/api/v1/timelapses/{timelapse.pk}"

    told = client.get(f"{path}/preview/", {"limit": 1}).json()["coming"][0]["at"]

    assert told == client.get(f"{path}/").json()["next_slot_at"]


def test_the_versions_of_another_timelapse_are_not_shown(client):
    first, second = make_timelapse(), make_timelapse()
    campaign.start(first, by="ada")

    assert client.get(f"/api/v1/timelapses/{second.pk}/schedules/").json()["count"] == 0
    assert client.get(f"/api/v1/timelapses/{first.pk}/schedules/").json()["count"] == 1


def test_a_capture_says_which_rule_owed_it(client):
    capture = make_stored_capture(slot=NOON, rule="every 60 s", correlation_id="c0ffee")

    told = client.get(f"/api/v1/captures/{capture.pk}/").json()

    assert (told["rule"], told["correlation_id"]) == ("every 60 s", "c0ffee")


def test_a_row_whose_plan_is_none_breaks_neither_the_list_nor_the_preview(client):
    make_timelapse(plan={"rules": []}), make_timelapse()

    listed = client.get("/api/v1/timelapses/").json()["results"]
    broken = next(row for row in listed if row["plan"] == {"rules": []})
    preview = client.get(f"/api/v1/timelapses/{broken['id']}/preview/")

    assert len(listed) == 2
    assert broken["plan_words"].startswith("no plan: rules: ")
    assert (preview.status_code, list(preview.json()["errors"])) == (400, ["plan.rules"])


@pytest.mark.parametrize("path", ["/api/v1/timelapses/", "/api/v1/timelapses/preview/"])
def test_an_end_in_the_past_is_refused_for_a_new_timelapse(client, path):
    wish = {"camera": make_camera().pk, "name": "Over", "end_at": "2001-01-01T00:00:00Z"}

    answer = client.post(path, wish)

    assert (answer.status_code, "past" in str(answer.json())) == (400, True)
    assert not Timelapse.objects.exists()


def test_an_end_in_the_past_does_not_end_a_timelapse_for_good(client):
    timelapse = make_timelapse()
    campaign.start(timelapse, by="ada")
    path = f"/api/v1/timelapses/{timelapse.pk}/"

    assert client.patch(path, {"end_at": "2001-01-01T00:00:00Z"}).status_code == 400
    timelapse.refresh_from_db()
    assert (timelapse.state, timelapse.end_at) == ("running", None)

    over = clock.now() - timedelta(hours=1)
    Timelapse.objects.filter(pk=timelapse.pk).update(end_at=over)
    kept = {"end_at": over.isoformat(), "name": "Over"}  # as it was read
    assert client.patch(path, kept).status_code == 200


@pytest.mark.parametrize("field", ["start_at", "end_at"])
def test_another_zone_must_be_able_to_tell_the_kept_moments(client, field):
    timelapse = make_timelapse()
    Timelapse.objects.filter(pk=timelapse.pk).update(**{field: datetime(9999, 12, 31, 23, tzinfo=UTC)})

    answer = client.patch(f"/api/v1/timelapses/{timelapse.pk}/", {"time_zone": "Asia/Tokyo"})

    assert answer.status_code == 400
    assert "Must lie between 1990 and 2200." in str(answer.json())


@pytest.mark.parametrize("zone", ["localtime", "Factory", "posixrules"])
def test_zones_that_name_no_place_are_refused(client, zone):
    wish = {"camera": make_camera().pk, "name": "Nowhere", "time_zone": zone}
    assert client.post("/api/v1/timelapses/", wish).status_code == 400
