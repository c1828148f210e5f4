"""Each trouble that a camera can have, on command, through the real processes: what becomes of it in API and page."""

import re
from collections import Counter
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.commanded_camera import CommandedCamera, Trouble
from tests.stack import wait_for
from tests.test_browser import ARGUMENTS, DESKTOP, PATIENCE_MS, Visit
from timelapser.demo.background import InBackground

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(480)]

PATIENCE_S = (
    120  # a slot is given up after half a second: a neighbour on the machine costs pictures, not the test
)
LEARNT = 8  # good pictures after which a camera's past knows how its scene looks
# Quick to enter and to leave by the one rule of so many in a row.
QUICK = {
    "degraded_in_row": 3,
    "degraded_count": 500,
    "degraded_share": 100,
    "degraded_leave_after": 3,
    "offline_after": 2,
}
# What a picture of each is called, and which alert it is worth once it lasts.
DAMAGE = {
    Trouble.SMEAR: {"smear"},
    Trouble.GREY: {"missing part"},
    Trouble.GREEN: {"missing part", "green"},
    Trouble.TRUNCATED: {"broken file", "missing part"},
}
SIGHT = {
    Trouble.FROZEN: "frozen",
    Trouble.DARK: "dark",
    Trouble.COVERED: "covered",
    Trouble.DEFOCUSED: "out of focus",
    Trouble.MOVED: "moved",
}
AWAY = {Trouble.REFUSED: "login_refused", Trouble.GONE: "camera_refused"}
DISCARDED = Trouble.GREY  # its settings say so of what is damaged twice; the others are flagged


class Subject:
    """A camera that will have one trouble, its rows, and what the API says of them."""

    def __init__(self, trouble, api):
        self.trouble = trouble
        self.real = CommandedCamera(640, 360)
        self.api = api
        self.timelapse = self.camera = None

    @property
    def alert(self):
        if self.trouble in DAMAGE:
            return "degraded"
        return "offline" if self.trouble in AWAY else self.trouble.value

    def get(self, path, **query):
        answer = self.api.get(f"/api/v1/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def evaluations(self, **query):
        return self.get("evaluations/", camera=self.camera, page_size=100, **query)["results"]

    def alerts(self):
        return self.get("alerts/", camera=self.camera)["results"]

    def row(self):
        return self.get(f"cameras/{self.camera}/")


@pytest.fixture(scope="module")
def subjects(stack):
    """All of them at once, recording since the first good pictures; each of its own camera."""
    with ExitStack() as cameras, stack.logged_in() as api:
        found = [Subject(trouble, api) for trouble in Trouble]
        cameras.enter_context(InBackground(*(one.real for one in found)))
        wishes = [("http", one.real.http_address, f"Trouble: {one.trouble}") for one in found]
        ids = stack.add_timelapses(wishes, seconds=86_400, follows=False, starts_in_s=4)
        for one, timelapse in zip(found, ids, strict=True):
            one.timelapse = timelapse
            one.camera = one.get(f"timelapses/{timelapse}/")["camera"]
            if one.trouble == Trouble.DARK:  # where the place is known, and the sun is up
                now = datetime.now(UTC)
                noon_at = {"latitude": 0, "longitude": 15 * (12 - now.hour - now.minute / 60)}
                answer = api.patch(f"/api/v1/cameras/{one.camera}/", json=noon_at)
                assert answer.status_code == 200, answer.text
            said = QUICK | {"quality_discard": one.trouble == DISCARDED}
            answer = api.patch(f"/api/v1/cameras/{one.camera}/settings/", json=said)
            assert answer.status_code == 200, answer.text
        yield found
        for one in found:
            assert api.post(f"/api/v1/timelapses/{one.timelapse}/pause/").status_code == 200


@contextmanager
def browsing(chromium, stack):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_context(viewport=DESKTOP).new_page()
        person = Visit(page, stack)
        person.log_in()
        yield person
        browser.close()
        assert person.complaints == []


def test_every_trouble_is_seen_named_acted_on_and_over(subjects, stack, chromium):
    for one in subjects:
        until(one, knows_its_scene)
        assert one.alerts() == [], one.trouble

    with browsing(chromium, stack) as person:
        for one in subjects:
            one.real.suffer(one.trouble)
        for one in subjects:
            until(one, is_told)
            EXPECTED[type_of(one)](one)
        see_the_troubles(person, subjects)

        for one in subjects:
            one.real.recover()
        for one in subjects:
            until(one, is_over)
        see_that_it_is_over(person, subjects)

    assert {one.trouble: told(stack, one) for one in subjects} == {
        one.trouble: {("alert_raised", one.alert): 1, ("alert_cleared", one.alert): 1} for one in subjects
    }


def until(one, condition):
    try:
        wait_for(lambda: condition(one), within_s=PATIENCE_S, every_s=0.3, what=condition.__name__)
    except AssertionError as error:
        seen = Counter((row["verdict"], row["action"], row["score"]) for row in one.evaluations())
        raise AssertionError(f"{one.trouble}: {error}; {seen}; {one.alerts()}") from None


def knows_its_scene(one):
    return len(good(one)) >= LEARNT


def good(one):
    return [row for row in one.evaluations() if row["verdict"] == "good" and row["score"] >= 90]


def is_told(one):
    return [(alert["kind"], alert["is_open"]) for alert in one.alerts()] == [(one.alert, True)]


def is_over(one):
    return [(alert["kind"], alert["is_open"]) for alert in one.alerts()] == [(one.alert, False)]


def told(stack, one):
    """How often each alert was said, as events and as decisions, which must agree."""
    events = stack.rows(
        "SELECT type, payload->>'kind' AS kind FROM media_jobs_event WHERE topic = %s AND type LIKE 'alert%%'",
        f"camera.{one.camera}",
    )
    decisions = stack.rows(
        "SELECT action AS type, facts->>'kind' AS kind FROM media_jobs_decision"
        " WHERE topic = %s AND action LIKE 'alert%%'",
        f"camera.{one.camera}",
    )
    counts = [Counter((row["type"], row["kind"]) for row in rows) for rows in (events, decisions)]
    assert counts[0] == counts[1]
    return dict(counts[0])


# --- in the API -----------------------------------------------------------------------------------------------------


def damaged_is_taken_once_more_and_flagged_or_discarded(one):
    """Each bad slot has two rows, the worse of which was only taken once more; its capture says what became of it.

    It is kept with a flag, or discarded where the settings say so, and restorable then.
    """
    action = "discarded" if one.trouble == DISCARDED else "flagged"
    row = newest(one, DAMAGE[one.trouble], action)
    assert row["sort"] == "damage"
    assert row["score"] < 70
    assert row["is_bad"]
    assert row["readings"]
    pair = one.evaluations(capture=row["capture"])
    assert sorted(each["action"] for each in pair) == sorted([action, "retried"])
    capture = one.get(f"captures/{row['capture']}/")
    assert capture["score"] == row["score"]
    if action == "flagged":
        assert (capture["state"], capture["is_flagged"]) == ("stored", True)
    else:
        assert capture["state"] == "discarded"
        assert one.get(f"cameras/{one.camera}/quality/")["restorable"] >= 1
    assert one.get(f"cameras/{one.camera}/quality/")["is_degraded"]


def not_seeing_is_named_and_kept(one):
    """A true picture is never called corrupt: named, above the threshold, not asked for again, not flagged."""
    row = newest(one, {SIGHT[one.trouble]}, "saved")
    assert row["sort"] in {"condition", "scene"}
    assert row["score"] >= 70
    capture = one.get(f"captures/{row['capture']}/")
    assert (capture["state"], capture["is_flagged"]) == ("stored", False)
    assert not one.get(f"cameras/{one.camera}/quality/")["is_degraded"]


def nobody_answers_and_the_slot_says_why(one):
    row = one.row()
    assert row["health"] == "offline"
    failed = one.get("captures/", timelapse=one.timelapse, state="failed")["results"]
    assert AWAY[one.trouble] in {each["reason"] for each in failed}


def newest(one, verdicts, action):
    rows = [row for row in one.evaluations(action=action) if row["verdict"] in verdicts]
    seen = Counter((row["verdict"], row["action"], row["score"]) for row in one.evaluations())
    assert rows, f"{one.trouble}: {seen}"
    return rows[0]


def type_of(one):
    return next(kind for kind, troubles in KINDS.items() if one.trouble in troubles)


KINDS = {"damage": DAMAGE, "sight": SIGHT, "away": AWAY}
EXPECTED = {
    "damage": damaged_is_taken_once_more_and_flagged_or_discarded,
    "sight": not_seeing_is_named_and_kept,
    "away": nobody_answers_and_the_slot_says_why,
}


# --- on the pages ---------------------------------------------------------------------------------------------------


def see_the_troubles(person, subjects):
    page = person.page
    page.goto(f"{person.stack.url}/quality/")
    for one in subjects:
        row = page.locator(f"[data-camera='{one.camera}']")
        if one.trouble in DAMAGE:
            expect(row).to_contain_text("Degraded")
            expect(row).to_contain_text(re.compile("|".join(DAMAGE[one.trouble]), re.I))
    person.keep("trouble-overview")
    for one in subjects:
        if one.trouble in AWAY:
            page.goto(f"{person.stack.url}/cameras/{one.camera}/")
            expect(page.locator("#part-state .pill").first).to_have_text("Offline")
            continue
        page.goto(f"{person.stack.url}/cameras/{one.camera}/quality/")
        if one.trouble in DAMAGE:
            expect(page.locator("#degraded")).to_contain_text("3 bad pictures in a row")
            failure = page.locator("#part-failures li").first
            expect(failure).to_have_attribute("data-verdict", re.compile("|".join(DAMAGE[one.trouble])))
            has_arrived = "() => document.querySelector('#part-failures li img')?.naturalWidth > 0"
            page.wait_for_function(has_arrived, timeout=PATIENCE_MS)
        else:
            expect(page.locator(f"[data-alert='{one.alert}']")).to_be_visible()
            expect(page.locator("#part-evaluations")).to_contain_text(re.compile(SIGHT[one.trouble], re.I))
        person.keep(f"trouble-{one.trouble}")


def see_that_it_is_over(person, subjects):
    """The last page that was open has heard of it by itself; the others say it when they are asked."""
    page = person.page
    for one in subjects:
        if one.trouble in AWAY:
            page.goto(f"{person.stack.url}/cameras/{one.camera}/")
            expect(page.locator("#part-state .pill").first).to_have_text("Recording")
        else:
            page.goto(f"{person.stack.url}/cameras/{one.camera}/quality/")
            expect(page.locator("#score-average")).to_be_visible()
            expect(page.locator("#degraded, [data-alert]")).to_have_count(0)
