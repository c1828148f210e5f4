"""The form of a schedule: what a person enters becomes a plan, a plan becomes what a person sees, nothing is lost."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.http import QueryDict
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captures import campaign
from captures.intervalometer import Plan
from captures.models import Timelapse
from media_jobs import clock
from tests.factories import make_camera, make_recipe, make_stored_capture, make_timelapse
from tests.test_pages import running, words_of
from timelapser.pages.schedule_form import EditForm
from videos.models import Recipe, Video

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]
VIENNA = {"latitude": 48.2, "longitude": 16.4}


def rule_values(number, **kw):
    """One rule as the form sends it; every five minutes unless said otherwise."""
    values = {"kind": "interval", "interval": "300", "custom_unit": "60", "window-kind": ""} | kw
    return {f"rules-{number}-{name}": value for name, value in values.items()}


def start_values(**kw):
    recipe = Recipe.objects.first() or make_recipe()
    return {
        "name": "Spring",
        **rule_values(0, interval="10"),
        "rules-count": "1",
        "window-kind": "none",
        "start_at": "",
        "end_at": "",
        "time_zone": "Europe/Vienna",
        "make_film": "on",
        "recipe": str(recipe.pk),
    } | kw


def test_start_form_starts_a_timelapse_with_its_film(pages, operator):
    camera = make_camera()
    response = pages(operator).post(reverse("timelapse-start", args=[camera.pk]), start_values())
    timelapse = Timelapse.objects.get()
    assert response["Location"] == reverse("timelapse", args=[timelapse.pk])
    assert (timelapse.name, timelapse.state, timelapse.words) == ("Spring", "running", "every 10 s")
    assert Video.objects.get().follows


def test_start_form_proposes_a_name_and_marks_a_preset(pages, operator):
    camera = make_camera(name="Garden")
    text = pages(operator).get(reverse("timelapse-start", args=[camera.pk])).content.decode()
    assert re.search(r'name="name" value="Garden, \d\d \w+ \d{4}"', text)
    assert re.search(r'value="300"[^>]*checked', text)


@pytest.mark.parametrize(
    ("count", "unit", "seconds"), [("90", "1", 90), ("1.5", "60", 90), ("24", "3600", 86_400)]
)
def test_custom_interval_is_counted_in_its_unit(pages, operator, count, unit, seconds):
    values = start_values(**rule_values(0, interval="custom", custom_count=count, custom_unit=unit))
    pages(operator).post(reverse("timelapse-start", args=[make_camera().pk]), values)
    assert Timelapse.objects.get().interval == timedelta(seconds=seconds)


def test_times_are_those_of_the_chosen_zone(pages, operator):
    values = start_values(
        start_at="2099-07-01T08:00", end_at="2099-07-02T08:00", time_zone="America/New_York"
    )
    pages(operator).post(reverse("timelapse-start", args=[make_camera().pk]), values)
    assert Timelapse.objects.get().start_at.isoformat() == "2099-07-01T12:00:00+00:00"


WRONG = [
    ({"name": ""}, "This field is required."),
    (rule_values(0, interval=""), "Choose how often a picture is taken."),
    (rule_values(0, interval="custom"), "Write how often a picture is taken."),
    (rule_values(0, interval="custom", custom_count="25", custom_unit="3600"), "From 1 second to 24 hours"),
    (rule_values(0, interval="custom", custom_count="0.5", custom_unit="1"), "From 1 second to 24 hours"),
    (rule_values(0, kind="cron", expression="every day"), "cron"),
    (rule_values(0, kind="cron"), "Write minute, hour, day"),
    (rule_values(0, kind="times", times="08:00, 25:00"), "“25:00”: This must be a time like 08:00"),
    (rule_values(0, kind="times"), "Write the times of the day"),
    (rule_values(0, kind="sun", event="sunrise", offset_min="900"), "less than or equal to 720"),
    (rule_values(0, kind="sun", event="sunrise"), "nobody has written yet where the camera stands"),
    ({"rules-0-remove": "on"}, "A timelapse needs at least one rule."),
    ({"rules-count": "0"}, "A timelapse needs at least one rule."),
    ({"rules-count": "many"}, "A timelapse needs at least one rule."),
    ({"rules-count": "²"}, "A timelapse needs at least one rule."),
    ({"window-kind": "clock", "window-start": "08:00"}, "Write a time like 08:00."),
    ({"window-kind": "altitude"}, "Write how high the sun must stand"),
    (
        {"window-kind": "altitude", "window-at_least_deg": "5", "window-at_most_deg": "1"},
        "This must be more than the least height.",
    ),
    ({"window-kind": "sun"}, "nobody has written yet where the camera stands"),
    ({"window-kind": "sometimes"}, "Select a valid choice."),
    (rule_values(0, **{"window-kind": "clock"}), "Write a time like 08:00."),
    ({"dates": "in spring"}, "“in spring”: write a date like 2026-03-01"),
    ({"dates": "2026-05-01 to 2026-04-01"}, "The last date lies before the first."),
    ({"blackouts": "2026-02-30"}, "This must be a date like 2026-03-01."),
    ({"weekdays": ["8"]}, "Select a valid choice."),
    ({"stop_after_days": "0"}, "greater than or equal to 1"),
    ({"time_zone": "Moon/Sea"}, "This time zone is not known."),
    ({"time_zone": "localtime"}, "This time zone is not known."),
    ({"time_zone": "Factory"}, "This time zone is not known."),
    ({"end_at": "9999-12-31T23:59"}, "Must lie between 1990 and 2200."),
    ({"start_at": "0001-01-01T00:00"}, "Must lie between 1990 and 2200."),
    ({"end_at": "2199-12-31T23:00", "time_zone": "America/New_York"}, "Must lie between 1990 and 2200."),
    ({"end_at": "2001-01-01T00:00"}, "The end must lie after the start"),
    ({"recipe": ""}, "Choose how the film looks."),
]


@pytest.mark.parametrize(("fields", "words"), WRONG)
def test_wrong_start_says_what_to_change_and_starts_nothing(pages, operator, fields, words):
    response = pages(operator).post(
        reverse("timelapse-start", args=[make_camera().pk]), start_values(**fields)
    )
    assert response.status_code == 422
    assert words in words_of(response)
    assert '<p class="error' in response.content.decode()
    assert not Timelapse.objects.exists()


@pytest.mark.parametrize("moment", ["9999-12-31T23:59", "0001-01-01T00:00"])
@pytest.mark.parametrize("field", ["start_at", "end_at"])
def test_preview_refuses_moments_that_overflow_at_their_field(pages, operator, field, moment):
    address = reverse("timelapse-start-preview", args=[make_camera().pk])
    response = pages(operator).post(address, start_values(**{field: moment}))
    assert response.status_code == 200
    assert f'href="#id_{field}"' in response.content.decode()


NEVER = {"dates": "2001-01-01 to 2001-12-31"}


def test_preview_shows_what_save_refuses(pages, operator):
    camera = make_camera()
    values = start_values(**NEVER)
    preview = pages(operator).post(reverse("timelapse-start-preview", args=[camera.pk]), values)
    assert "This plan never owes a picture" in words_of(preview)
    saved = pages(operator).post(reverse("timelapse-start", args=[camera.pk]), values)
    assert saved.status_code == 422
    assert words_of(saved).count("This plan never owes a picture") >= 1
    assert not Timelapse.objects.exists()


def test_preview_of_a_change_shows_what_save_refuses_and_a_new_name_needs_no_slots(pages, operator):
    timelapse = running()
    browser = pages(operator)
    answer = browser.post(reverse("timelapse-edit-preview", args=[timelapse.pk]), start_values(**NEVER))
    assert "This plan never owes a picture" in words_of(answer)

    over = Plan.from_document(timelapse.plan | {"dates": [["2001-01-01", "2001-12-31"]]}).to_document()
    Timelapse.objects.filter(pk=timelapse.pk).update(plan=over)
    address = reverse("timelapse-edit", args=[timelapse.pk])
    untouched = sent_by_a_browser(browser.get(address).content.decode())
    assert browser.post(address, untouched | {"name": "Other"}).status_code == 302


def test_busy_camera_answers_409_and_offers_to_complete_the_other(pages, operator):
    active = running(name="Winter")
    client, address = pages(operator), reverse("timelapse-start", args=[active.camera_id])
    response = client.post(address, start_values())
    assert response.status_code == 409
    assert "Complete “Winter” and start this one" in words_of(response)
    assert 'value="Spring"' in response.content.decode()
    assert Timelapse.objects.count() == 1

    client.post(address, start_values(complete_active="1"))
    assert set(Timelapse.objects.values_list("name", "state")) == {
        ("Winter", "completed"),
        ("Spring", "running"),
    }


PLANS = [
    {"rules": [{"kind": "interval", "every_s": 60}]},
    {"rules": [{"kind": "interval", "every_s": 90, "on_the_clock": True}]},
    {"rules": [{"kind": "interval", "every_s": 86_400}], "weekdays": [1, 3, 5]},
    {"rules": [{"kind": "cron", "expression": "*/5 8-17 * * 1-5"}], "blackouts": ["2026-12-24"]},
    {"rules": [{"kind": "times", "times": ["08:00", "12:30:15"]}]},
    {"rules": [{"kind": "sun", "event": "dusk", "offset_min": -15}]},
    {
        "rules": [
            {"kind": "interval", "every_s": 300, "window": {"kind": "sun", "end_offset_min": 30}},
            {"kind": "interval", "every_s": 1800, "window": {"kind": "altitude", "at_most_deg": -6.5}},
            {"kind": "sun", "event": "noon", "window": {"kind": "none"}},
        ],
        "window": {"kind": "clock", "start": "22:00", "end": "06:00:30"},
        "dates": [["2026-03-01", "2026-11-30"], ["2027-01-01", "2027-01-31"]],
        "blackouts": ["2026-12-24", ["2026-12-27", "2027-01-03"]],
    },
]


def sent_by_a_browser(html):
    """What the page's form sends when nobody has touched it."""
    form = re.search(r'<form class="with-aside schedule".*?</form>', html, re.S).group(0)
    form = re.sub(r"<template.*?</template>", "", form, flags=re.S)
    values = {}
    for tag in re.findall(r"<input[^>]*>", form):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        is_choice = attributes.get("type") in {"checkbox", "radio"}
        if not is_choice or re.search(r"\bchecked\b", tag):
            values.setdefault(attributes["name"], []).append(
                attributes.get("value", "on" if is_choice else "")
            )
    for name, options in re.findall(r'<select name="([^"]+)".*?>(.*?)</select>', form, re.S):
        values[name] = re.findall(r'value="([^"]*)" selected', options)
    for name, text in re.findall(r'<textarea name="([^"]+)"[^>]*>(.*?)</textarea>', form, re.S):
        values[name] = [text]
    return values


@pytest.mark.parametrize("plan", PLANS)
def test_form_that_nobody_touches_saves_the_same_plan(pages, operator, plan):
    plan = Plan.from_document(plan).to_document()
    timelapse = make_timelapse(plan=plan, camera=make_camera(**VIENNA))
    client, address = pages(operator), reverse("timelapse-edit", args=[timelapse.pk])
    sent = sent_by_a_browser(client.get(address).content.decode())
    response = client.post(address, sent)
    assert (response.status_code, response.get("Location")) == (
        302,
        reverse("timelapse", args=[timelapse.pk]),
    )
    timelapse.refresh_from_db()
    assert timelapse.plan == plan


def test_form_that_nobody_touches_opens_no_new_version_of_the_schedule(pages, operator):
    end = clock.now() + timedelta(days=3, seconds=17)
    timelapse = make_timelapse(plan=PLANS[0], end_at=end)
    campaign.start(timelapse, by="otto")
    client, address = pages(operator), reverse("timelapse-edit", args=[timelapse.pk])
    sent = sent_by_a_browser(client.get(address).content.decode())
    assert client.post(address, sent).status_code == 302
    timelapse.refresh_from_db()
    assert timelapse.end_at == end
    assert timelapse.schedules.count() == 1


def test_running_timelapse_gets_its_new_schedule_at_once(pages, operator):
    timelapse = make_timelapse(plan=PLANS[0])
    campaign.start(timelapse, by="otto")
    address = reverse("timelapse-edit", args=[timelapse.pk])
    values = start_values(
        name="Summer", **{"window-kind": "clock", "window-start": "06:00", "window-end": "20:00"}
    )
    assert pages(operator).post(address, values).status_code == 302
    timelapse.refresh_from_db()
    assert (timelapse.name, timelapse.words) == ("Summer", "every 10 s, 06:00 to 20:00")
    assert [one.until_at is None for one in timelapse.schedules.order_by("from_at")][-1]
    assert timelapse.schedules.count() == 2


def test_what_has_begun_keeps_its_start(pages, operator):
    timelapse = running()
    text = pages(operator).get(reverse("timelapse-edit", args=[timelapse.pk])).content.decode()
    assert 'name="start_at"' not in text


def test_of_a_timelapse_that_is_history_the_name_alone_is_changed(pages, operator):
    timelapse = running(state="completed", name="Winter")
    client, address = pages(operator), reverse("timelapse-edit", args=[timelapse.pk])
    text = client.get(address).content.decode()
    assert 'name="rules-count"' not in text
    client.post(address, {"name": "Last winter", "rules-count": "1"} | rule_values(0, interval="2"))
    timelapse.refresh_from_db()
    assert (timelapse.name, timelapse.interval) == ("Last winter", timedelta(seconds=60))


def test_several_rules_become_one_plan(pages, operator):
    values = start_values(
        **rule_values(1, kind="times", times="12:30 18:00", **{"window-kind": "none"}),
        **rule_values(2, kind="cron", expression="0 0 * * *", remove="on"),
        **{"rules-count": "3", "weekdays": ["1", "2"], "blackouts": "2099-12-24\n2099-12-27 to 2100-01-03"},
    )
    pages(operator).post(reverse("timelapse-start", args=[make_camera().pk]), values)
    assert Timelapse.objects.get().plan == {
        "rules": [
            {"kind": "interval", "every_s": 10, "on_the_clock": False},
            {"kind": "times", "times": ["12:30", "18:00"], "window": {"kind": "none"}},
        ],
        "window": {"kind": "none"},
        "weekdays": [1, 2],
        "dates": [],
        "blackouts": ["2099-12-24", ["2099-12-27", "2100-01-03"]],
    }


def test_another_rule_is_a_row_more_and_saves_nothing(pages, operator):
    client, address = pages(operator), reverse("timelapse-start", args=[make_camera().pk])
    sent = sent_by_a_browser(client.post(address, start_values(add_rule="1", name="")).content.decode())
    assert (sent["rules-count"], sent["rules-1-kind"], sent["rules-1-interval"]) == (
        ["2"],
        ["interval"],
        ["300"],
    )
    response = client.post(address, sent | {"add_rule": "1"})
    assert sent_by_a_browser(response.content.decode())["rules-count"] == ["3"]
    assert '<p class="error' not in response.content.decode()
    assert not Timelapse.objects.exists()


def test_no_more_rules_than_a_plan_may_have(pages, operator):
    client, address = pages(operator), reverse("timelapse-start", args=[make_camera().pk])
    response = client.post(address, start_values(add_rule="1", **{"rules-count": "999"}))
    assert sent_by_a_browser(response.content.decode())["rules-count"] == ["20"]


def test_place_is_asked_of_who_may_set_up_cameras_and_kept(pages, admin, operator):
    camera = make_camera()
    address = reverse("timelapse-start", args=[camera.pk])
    assert 'name="latitude"' not in pages(operator).get(address).content.decode()
    values = start_values(**{"window-kind": "sun", "window-start_offset_min": "-30"})
    response = pages(admin).post(address, values)
    assert "write where the camera stands" in words_of(response)
    assert pages(admin).post(address, values | {"latitude": "48.2", "longitude": "16.4"}).status_code == 302
    camera.refresh_from_db()
    assert (camera.latitude, camera.longitude) == (48.2, 16.4)
    assert Timelapse.objects.get().words == "every 10 s, 30 min before sunrise to sunset"
    assert 'name="latitude"' not in pages(admin).get(address).content.decode()


def test_operator_cannot_move_a_camera(pages, operator):
    camera = make_camera(**VIENNA)
    values = start_values(**{"window-kind": "sun"}, latitude="0", longitude="0")
    assert pages(operator).post(reverse("timelapse-start", args=[camera.pk]), values).status_code == 302
    camera.refresh_from_db()
    assert (camera.latitude, camera.longitude) == (48.2, 16.4)


# --- preview -------------------------------------------------------------------------------------------------------


def test_preview_says_what_comes_and_what_is_left_out_and_saves_nothing(pages, operator):
    camera = make_camera()
    values = start_values(
        **rule_values(0, kind="times", times="08:00, 20:00"),
        **{"window-kind": "clock", "window-start": "06:00", "window-end": "12:00"},
        start_at="2099-07-01T00:00",
    )
    text = words_of(pages(operator).post(reverse("timelapse-start-preview", args=[camera.pk]), values))
    assert "At 08:00 and 20:00, 06:00 to 12:00" in text
    assert "Pictures a day 1" in text
    assert "08:00 Wed 1 Jul at 08:00 and 20:00" in text
    assert "1 left out Wed 1 Jul" in text
    assert not Timelapse.objects.exists()


@pytest.mark.parametrize(("seconds", "form"), [("20", r"\d\d:\d\d:\d\d"), ("300", r"\d\d:\d\d")])
def test_preview_tells_all_its_times_in_one_format(pages, operator, seconds, form):
    rule = rule_values(0, interval="custom", custom_count=seconds, custom_unit="1", on_the_clock="on")
    address = reverse("timelapse-start-preview", args=[make_camera().pk])
    text = pages(operator).post(address, start_values(**rule)).content.decode()
    times = re.findall(r"<time [^>]*>([^<]*)</time>", text)
    assert len(times) == 10
    assert all(re.fullmatch(form, one) for one in times)


def test_preview_tells_the_bytes_by_what_pictures_weigh(pages, operator):
    timelapse = running()
    stored = make_stored_capture(timelapse=timelapse, slot=clock.now() - timedelta(minutes=1))
    Timelapse.objects.filter(pk=timelapse.pk).update(latest_capture=stored, image_count=1)
    text = words_of(
        pages(operator).post(reverse("timelapse-edit-preview", args=[timelapse.pk]), start_values())
    )
    assert "Pictures a day 8 640 Space a day" in text
    timelapse.refresh_from_db()
    assert timelapse.interval == timedelta(seconds=60)


@pytest.mark.parametrize(
    ("fields", "label", "words"),
    [
        (rule_values(0, kind="cron", expression="x"), "Cron expression", "cron"),
        ({"window-kind": "clock", "window-start": "8 o'clock"}, "From", "Write a time like 08:00."),
        ({"time_zone": "Moon/Sea"}, "Time zone", "This time zone is not known."),
        ({"rules-count": "0"}, "", "A timelapse needs at least one rule."),
    ],
)
def test_preview_of_what_is_not_complete_names_the_field(pages, operator, fields, label, words):
    response = pages(operator).post(
        reverse("timelapse-start-preview", args=[make_camera().pk]), start_values(**fields)
    )
    assert response.status_code == 200
    assert "Not complete yet" in words_of(response)
    assert label in words_of(response)
    assert words in words_of(response)


def test_preview_without_javascript_is_the_same_form_with_its_preview(pages, operator):
    response = pages(operator).post(
        reverse("timelapse-start", args=[make_camera().pk]), start_values(preview="1", name="Typed")
    )
    assert 'value="Typed"' in response.content.decode()
    assert "Every 10 s Pictures a day 8 640" in words_of(response)
    assert not Timelapse.objects.exists()


@pytest.mark.parametrize("state", ["created", "running", "paused"])
def test_edit_page_shows_the_preview_at_once(pages, operator, state):
    timelapse = running(state=state)
    text = words_of(pages(operator).get(reverse("timelapse-edit", args=[timelapse.pk])))
    assert "Every 60 s Pictures a day 1 440" in text


times = st.times().map(lambda reading: reading.replace(microsecond=0).isoformat())
windows = st.one_of(
    st.just({"kind": "none"}),
    st.builds(lambda start, end: {"kind": "clock", "start": start, "end": end}, times, times),
    st.builds(
        lambda start, end: {"kind": "sun", "start_offset_min": start, "end_offset_min": end},
        st.integers(-720, 720),
        st.integers(-720, 720),
    ),
    st.builds(lambda degrees: {"kind": "altitude", "at_least_deg": degrees}, st.integers(-90, 90)),
)
rules = st.one_of(
    st.builds(
        lambda s, on: {"kind": "interval", "every_s": s, "on_the_clock": on},
        st.integers(1, 86_400),
        st.booleans(),
    ),
    st.builds(lambda many: {"kind": "times", "times": many}, st.lists(times, min_size=1, max_size=5)),
    st.builds(
        lambda event, offset: {"kind": "sun", "event": event, "offset_min": offset},
        st.sampled_from(["dawn", "sunrise", "noon", "sunset", "dusk"]),
        st.integers(-720, 720),
    ),
    st.just({"kind": "cron", "expression": "*/5 8-17 * * 1-5"}),
)
whole_rules = st.one_of(rules, st.builds(lambda rule, window: rule | {"window": window}, rules, windows))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    found=st.lists(whole_rules, min_size=1, max_size=4), window=windows, weekdays=st.sets(st.integers(1, 7))
)
def test_fields_of_any_plan_give_that_plan(found, window, weekdays):
    plan = Plan.from_document({"rules": found, "window": window, "weekdays": sorted(weekdays)}).to_document()
    camera = make_camera(**VIENNA)
    timelapse = Timelapse(camera=camera, plan=plan, name="Any", state="running", time_zone="Europe/Vienna")
    now = datetime(2026, 5, 4, tzinfo=UTC)
    empty = EditForm(timelapse=timelapse, now=now, may_place=False)
    filled = EditForm(shown_in(empty), timelapse=timelapse, now=now, may_place=False)
    assert filled.is_valid(), filled.problems
    assert filled.fields_of_timelapse()["plan"] == plan


def shown_in(form):
    """What the fields show, as a browser sends it."""
    data = QueryDict(mutable=True)
    data["rules-count"] = str(len(form.rules.forms))
    for part in [form, form.window, *form.rules.forms, *(rule.window for rule in form.rules.forms)]:
        for field in part:
            value = field.value()
            if isinstance(value, list):
                data.setlist(field.html_name, value)
            elif value is not None and value is not False:
                data[field.html_name] = "on" if value is True else str(value)
    return data
