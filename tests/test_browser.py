"""The pages in a real browser, over the real thing: what a person does from the login to the film."""

import json
import os
import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000  # on a machine that is busy with everything else
expect.set_options(timeout=PATIENCE_MS)
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


class Visit:
    """A page of its own, and everything that it complained about."""

    def __init__(self, page, stack):
        self.page = page
        self.stack = stack
        self.complaints = []
        self.events = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("websocket", lambda socket: socket.on("framereceived", self._receive))
        # A request that belongs to a page which was left is no complaint; an answer that says "broken" is.
        page.on("response", lambda answer: answer.status >= 500 and self.complaints.append(answer.url))

    def _hear(self, message):
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def _receive(self, frame):
        self.events += json.loads(frame).get("events", [])

    def log_in(self):
        self.page.goto(self.stack.url)
        expect(self.page).to_have_url(re.compile("/login/"))
        self.page.get_by_label("User name").fill(self.stack.username)
        self.page.get_by_label("Password").fill(self.stack.password)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("heading", name="Cameras")).to_be_visible()

    def picture(self):
        """The capture whose picture is shown, once it is really there."""
        self.page.wait_for_function(
            "() => document.querySelector('#frame-newest img:not(.mat)')?.naturalWidth > 0"
        )
        return self.page.locator("#frame-newest").get_attribute("data-shows")

    def next_picture(self, shown):
        self.page.wait_for_function(
            "shown => document.getElementById('frame-newest').dataset.shows !== shown", arg=shown
        )
        return self.picture()

    def keep(self, name):
        folder = os.environ.get("TIMELAPSER_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture
def visit(chromium, stack):
    """A function: a visit as a context, which fails at its end where the page has complained.

    The browser lives only as long as the test: Playwright's event loop would make Django refuse its database to others.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)

        @contextmanager
        def begin(*, is_socket_blocked=False, **options):
            context = browser.new_context(**{"viewport": DESKTOP} | options)
            page = context.new_page()
            if is_socket_blocked:
                page.route_web_socket("**/ws/**", lambda socket: socket.close(code=1011))
            one = Visit(page, stack)
            yield one
            context.close()
            assert one.complaints == []

        yield begin
        browser.close()


def test_from_the_login_to_the_film(visit, stack):
    with visit() as person:
        page = person.page
        person.log_in()
        add_and_test_camera(person, "Walk", stack.rtsp_address)
        start_timelapse(person, "A short walk")

        expect(page.locator("#live-badge")).to_have_attribute("data-status", "live")
        shown = [person.picture()]
        for _ in range(3):
            shown.append(person.next_picture(shown[-1]))
        assert len(set(shown)) == 4
        assert [event["type"] for event in person.events].count("capture_stored") >= 3
        page.wait_for_function("() => document.querySelectorAll('#strip li[data-slot]').length >= 3")
        person.keep("walk-recording")

        look_at_a_picture_large(person)
        newer_film_is_offered_to_who_watches(person)
        render(person, "My film")
        play(person)

        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#part-state .pill")).to_have_text("Paused")
        expect(page.locator(".countdown")).to_have_count(0)
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        person.keep("walk-paused")


def add_and_test_camera(person, name, address):
    page = person.page
    page.get_by_role("link", name=re.compile("^Add ")).first.click()
    page.get_by_label("Name", exact=True).fill(name)
    # Pasted as people have it, with its login inside.
    page.get_by_label("Address").fill(address.replace("://", "://somebody:a%2Fsecret@"))
    page.get_by_label("User name").focus()
    expect(page.get_by_label("Address")).to_have_value(address)
    expect(page.get_by_label("User name")).to_have_value("somebody")
    expect(page.get_by_label("Password")).to_have_value("a/secret")
    page.get_by_label("User name").fill("")
    page.get_by_label("Password").fill("")

    page.get_by_role("button", name="Test connection").click()
    expect(page.locator("[data-test=ok]")).to_be_visible()
    page.wait_for_function("() => document.querySelector('[data-test=ok] img').naturalWidth > 0")
    person.keep("walk-tested")
    page.get_by_role("button", name="Add camera").click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def start_timelapse(person, name):
    page = person.page
    page.get_by_role("link", name="New timelapse").click()
    expect(page.locator("#preview")).to_contain_text("Every 5 min")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_text("2 s", exact=True).click()
    expect(page.locator("#preview")).to_contain_text("Every 2 s")
    expect(page.locator("#preview")).to_contain_text("43\u202f200")
    page.locator("#start-timelapse").click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    expect(page.locator("#part-state .pill")).to_have_text("Recording")
    expect(page.locator(".countdown [data-words]")).to_have_text(re.compile(r"^(Now|\d s)$"))


def look_at_a_picture_large(person):
    page, dialog = person.page, person.page.locator("#viewer")
    page.locator("#strip a").last.click()
    expect(dialog).to_contain_text("Lateness")
    title = dialog.get_by_role("heading").inner_text()
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("heading")).not_to_have_text(title)
    page.keyboard.press("ArrowLeft")
    expect(dialog.get_by_role("heading")).to_have_text(title)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def newer_film_is_offered_to_who_watches(person):
    """Whoever has stopped in the middle keeps the film; the newer one comes when it is wanted."""
    page = person.page
    # The film by itself takes each newer one, until somebody stops in its middle.
    page.wait_for_function("() => document.querySelector('video').readyState >= 2")
    page.evaluate("() => { const v = document.querySelector('video'); v.currentTime = v.duration / 2 }")
    revision = page.locator("video").get_attribute("data-revision")
    offer = page.get_by_role("button", name="Play the newer film")
    expect(offer).to_be_visible()
    assert page.locator("video").get_attribute("data-revision") == revision
    offer.click()
    expect(offer).to_be_hidden()
    assert page.locator("video").get_attribute("data-revision") != revision
    page.wait_for_function("() => document.querySelector('video').ended")


def render(person, name):
    page = person.page
    page.get_by_text("Make a film", exact=True).click()
    page.locator("#render").get_by_label("Name").fill(name)
    page.locator("#render-film").click()
    # The bar is watched from its first sight on; a film of a few frames is quick, so its steps are read as events.
    row = page.locator("#part-jobs li", has_text=name)
    expect(row).to_be_visible()
    expect(row).to_contain_text("Done")
    steps = [
        event["payload"]["state"]
        for event in person.events
        if event["type"].startswith("job_") and name in event["payload"].get("title", "")
    ]
    assert "running" in steps
    assert steps[-1] == "done"
    film = page.locator("#part-films li", has_text=name)
    expect(film).to_contain_text("frames")
    film.get_by_role("link", name="Play").click()
    expect(page.locator("#part-film")).to_contain_text(name)


def play(person):
    page = person.page
    page.wait_for_function("() => document.querySelector('video').readyState >= 1")
    duration = page.evaluate("document.querySelector('video').duration")
    frames = int(re.search(r"(\d+) frames", page.locator("#part-film").inner_text()).group(1))
    assert duration == pytest.approx(frames / 24, abs=0.05)
    page.evaluate("document.querySelector('video').play()")
    page.wait_for_function("() => document.querySelector('video').currentTime > 0")
    page.wait_for_function("() => document.querySelector('video').ended")
    assert page.evaluate("document.querySelector('video').error") is None
    quality = page.evaluate("document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames")
    assert quality > 0


def test_the_page_lives_by_polling_where_the_socket_is_blocked(visit, stack):
    timelapse = stack.add_timelapse("http", stack.http_address, name="Polled", seconds=120, follows=False)
    with visit(is_socket_blocked=True) as person:
        person.log_in()
        person.page.goto(f"{stack.url}/timelapses/{timelapse}/")
        expect(person.page.locator("#live-badge")).to_have_attribute("data-status", "polling")
        shown = person.picture()
        second = person.next_picture(shown)
        assert person.next_picture(second) not in {shown, second}
        person.page.get_by_role("button", name="Pause").click()
        expect(person.page.locator("#part-state .pill")).to_have_text("Paused")
        assert person.events == []


def test_everything_that_matters_works_without_javascript(visit, stack):
    timelapse = stack.add_timelapse("http", stack.http_address, name="Plain", seconds=120, follows=False)
    with visit(java_script_enabled=False) as person:
        page = person.page
        person.log_in()
        page.goto(f"{stack.url}/timelapses/{timelapse}/edit/")
        page.get_by_role("button", name="Another rule").click()
        page.get_by_text("At times", exact=True).last.click()
        page.get_by_label("Times of the day").last.fill("08:00")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#preview")).to_contain_text("Every 1 s and at 08:00")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#part-versions")).to_contain_text("Every 1 s and at 08:00")
        page.get_by_label("Why was there no picture at").fill("00:00")
        page.get_by_role("button", name="Why?").click()
        expect(page.locator("#answer")).to_contain_text("The timelapse began at")
        page.get_by_role("link", name="Earlier month").click()
        expect(page.locator("#part-calendar .ahead")).to_have_count(0)
        page.get_by_role("button", name="Pause").click()
        expect(page.locator("#part-state .pill")).to_have_text("Paused")
        expect(page.locator("#toasts")).to_contain_text("“Plain” is paused.")
        page.get_by_role("button", name="Complete").click()
        expect(page.locator("#part-state .pill")).to_have_text("Completed")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone_and_every_button_can_be_hit(visit, stack, scheme):
    timelapse = stack.add_timelapse(
        "http", stack.http_address, name=f"Phone {scheme}", seconds=120, follows=False
    )
    with visit(viewport=PHONE, color_scheme=scheme, has_touch=True) as person:
        page = person.page
        person.log_in()
        page.goto(f"{stack.url}/timelapses/{timelapse}/")
        person.picture()
        camera = page.locator(".crumb").get_attribute("href")
        for name, address in {
            "dashboard": "/",
            "camera": camera,
            "timelapse": f"/timelapses/{timelapse}/",
            "edit": f"{camera}edit/",
            "geometry": f"{camera}geometry/",
            "start": f"{camera}start/",
            "schedule": f"/timelapses/{timelapse}/edit/",
            "operations": "/operations/",
            "quality": "/quality/",
            "quality-camera": f"{camera}quality/",
            "quality-test": "/quality/test/",
            "audit": "/audit/",
            "add": "/cameras/add/",
            "missing": "/nothing/",
        }.items():
            page.goto(stack.url + address)
            wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wide == 0, name
            low = page.evaluate(
                "[...document.querySelectorAll('button, .button, nav a, summary')]"
                ".filter(element => element.offsetParent && element.getBoundingClientRect().height < 44)"
                ".map(element => element.outerHTML)"
            )
            assert low == [], name
            person.keep(f"phone-{scheme}-{name}")
        person.complaints = [words for words in person.complaints if "/nothing/" not in words]


def test_running_timelapse_is_edited_with_its_preview_beside_it(visit, stack):
    timelapse = stack.add_timelapse("http", stack.http_address, name="Edited", seconds=86_400, follows=False)
    with visit() as person:
        page, preview = person.page, person.page.locator("#preview")
        person.log_in()
        page.goto(f"{stack.url}/timelapses/{timelapse}/")
        person.picture()
        page.get_by_role("link", name="Edit", exact=True).click()
        expect(preview).to_contain_text("Every 1 s")
        page.get_by_text("10 s", exact=True).click()
        expect(preview).to_contain_text("Every 10 s")

        page.get_by_role("button", name="Another rule").click()
        page.get_by_text("Cron", exact=True).last.click()
        page.get_by_label("Cron expression").last.fill("0 12 *")
        expect(preview).to_contain_text("Not complete yet")
        page.get_by_label("Cron expression").last.fill("0 12 * * *")
        expect(preview).to_contain_text("Every 10 s and cron 0 12 * * *")
        page.get_by_label("Remove").last.check()
        expect(preview).not_to_contain_text("cron")

        opens = datetime.now(UTC) + timedelta(hours=3)
        page.get_by_text("From … to …", exact=True).last.click()
        page.get_by_label("From", exact=True).last.fill(f"{opens:%H:%M}")
        page.get_by_label("To", exact=True).last.fill(f"{opens + timedelta(hours=1):%H:%M}")
        expect(preview).to_contain_text("left out")
        expect(preview.locator("time").first).to_have_text(re.compile(f"^{opens:%H:%M}"))
        person.keep("schedule-edited")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#part-state .pill")).to_have_text(
            re.compile(f"^Sleeping until .*{opens:%H:%M}$")
        )
        expect(page.locator("#part-versions")).to_contain_text(f"Every 10 s, {opens:%H:%M} to")
        expect(page.locator("#part-decisions")).to_contain_text("Schedule changed")

        page.locator("#part-decisions").get_by_role("link", name="what came of it").first.click()
        expect(page.get_by_role("heading", name="What came of it")).to_be_visible()
        expect(page.locator(".thread .decision")).to_contain_text("Schedule changed")


HOLES = """
from datetime import datetime, time, timedelta
from cameras.models import Camera
from captures.intervalometer import Place, Plan, Timetable
from captures.models import Capture, Schedule, Timelapse
from media_jobs import clock

now = clock.now()
midnight = datetime.combine(now.date() - timedelta(days=1), time(), tzinfo=now.tzinfo)
camera = Camera.objects.create(name=given[0], address="rtsp://192.0.2.1/")
plan = {
    "rules": [{"kind": "interval", "every_s": 600, "on_the_clock": True}],
    "window": {"kind": "clock", "start": "06:00", "end": "18:00"},
}
timelapse = Timelapse.objects.create(
    camera=camera, name=given[0], plan=Plan.from_document(plan).to_document(), time_zone="UTC", state="completed",
    started_at=midnight, completed_at=midnight + timedelta(days=1),
)
timetable = Timetable.of(timelapse.plan_value, zone="UTC", place=None, seed="", start=midnight)
end = midnight + timedelta(days=1)
Schedule.objects.create(timelapse=timelapse, document=timetable.to_document(), from_at=midnight, until_at=end)
for slot in timetable.between(midnight, end):
    is_lost = 9 <= slot.hour < 11 or slot.hour == 14
    state = "missed" if is_lost else "stored"
    Capture.objects.create(
        timelapse=timelapse, slot=slot, give_up_at=slot, state=state,
        reason="scheduler_was_down" if is_lost else "",
        detail="The scheduler was down at that time." if is_lost else "",
        file="" if is_lost else f"{slot:%H%M}.jpg", bytes=1, checksum="0",
    )
answer = [timelapse.pk, midnight.date().isoformat()]
"""


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_holes_are_seen_in_the_month_and_the_day_and_explained_in_a_click(visit, stack, size):
    timelapse, day = stack.python(HOLES, f"Holes {size['width']}")
    with visit(viewport=size, has_touch=size is PHONE) as person:
        page, answer = person.page, person.page.locator("#answer")
        person.log_in()
        page.goto(f"{stack.url}/timelapses/{timelapse}/?day=2001-01-01")
        page.goto(f"{stack.url}/timelapses/{timelapse}/?month={day[:7]}")
        cell = page.locator(f"#day-{day}")
        expect(cell).to_have_class(re.compile("some"))
        cell.focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Shift+Tab")
        expect(cell.locator(".tip")).to_contain_text("55 of 73 wanted kept")
        expect(cell.locator(".tip")).to_contain_text("Nothing was planned then")
        cell.click()
        expect(page.locator("#part-day")).to_contain_text("55 of 73 wanted pictures kept")
        expect(page.locator(".ribbon .fill-missed")).to_have_count(2)

        ribbon = page.locator(".ribbon")
        box = ribbon.bounding_box()
        ribbon.click(position={"x": box["width"] * 10.03 / 24, "y": 20})
        expect(answer).to_contain_text("The scheduler was down at that time.")
        expect(answer).to_contain_text("The picture of 10:00:00 was missed.")
        expect(page.locator(".marker")).to_have_count(1)

        page.get_by_role("link", name="Next gap").click()
        expect(answer).to_contain_text("The picture of 14:00:00 was missed.")
        page.get_by_role("link", name="Next gap").click()
        expect(answer).to_contain_text("There is no later gap.")
        page.goto(f"{stack.url}/timelapses/{timelapse}/?at={day}T13:00:00Z")
        page.get_by_role("link", name="Previous gap").click()
        expect(answer).to_contain_text("The picture of 09:00:00 was missed.")

        page.get_by_label("Why was there no picture at").fill("05:10")
        page.get_by_role("button", name="Why?").click()
        expect(answer).to_contain_text("No picture was owed then.")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0
        person.keep(f"holes-{size['width']}")
        # The pictures of these rows are none.
        person.complaints = [words for words in person.complaints if "/media/" not in words]


def test_operations_are_live(visit, stack):
    with visit() as person:
        page = person.page
        person.log_in()
        page.get_by_role("link", name="Operations").click()
        for queue in ("planner", "capture", "thumbnail", "video", "upkeep"):
            expect(page.locator(f"[data-queue={queue}]")).to_contain_text("1 alive")
        expect(page.locator("[data-worker^=planner]")).to_contain_text("0.1.0")
        hand = page.locator('[data-entry="captures.plan"]')
        expect(hand).not_to_contain_text("late")
        # By itself, without a click: the planner's count of runs grows.
        runs = hand.locator("td.number").last
        before = runs.inner_text()
        expect(runs).not_to_have_text(before)
        tidy = page.locator('[data-entry="videos.tidy"]')
        tidy.get_by_role("button", name="Run now").click()
        expect(page.locator("#toasts")).to_contain_text("videos.tidy is being run.")
        expect(tidy).to_contain_text(f"by {stack.username}")
        person.keep("operations")


def test_theme_is_remembered_and_does_not_flash(visit):
    with visit(color_scheme="light") as person:
        page = person.page
        person.log_in()
        page.get_by_role("button", name="Light or dark").click()
        page.reload(wait_until="commit")
        page.wait_for_selector("body")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 17, 16)"


def test_mask_is_drawn_tried_and_hides_from_the_next_picture_on(visit, stack):
    timelapse = stack.add_timelapse("http", stack.http_address, name="Masked", seconds=120, follows=False)
    with visit() as person:
        page = person.page
        person.log_in()
        page.goto(f"{stack.url}/timelapses/{timelapse}/")
        person.picture()
        page.goto(stack.url + page.locator(".crumb").get_attribute("href"))
        page.get_by_role("link", name="Geometry").click()
        page.get_by_role("button", name="Take a test shot").click()
        page.wait_for_function("() => document.querySelector('[data-shot=ok] img')?.naturalWidth > 0")

        lines, stage = page.locator("[name=mask]"), page.locator("#stage")
        page.get_by_role("button", name="Add a mask").click()
        expect(lines).to_have_value("40 40, 60 40, 60 60, 40 60")
        corner = stage.locator("[data-grab=point-0-0] .knob").bounding_box()
        box = stage.bounding_box()
        page.mouse.move(corner["x"] + corner["width"] / 2, corner["y"] + corner["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] - 50, box["y"] - 50, steps=3)  # beyond the picture: its corner
        page.mouse.up()
        expect(lines).to_have_value("0 0, 60 40, 60 60, 40 60")
        stage.get_by_role("button", name="Mask 1, corner 2").focus()
        page.keyboard.press("Shift+ArrowUp")
        page.keyboard.press("ArrowRight")
        expect(lines).to_have_value("0 0, 60.5 35, 60 60, 40 60")
        page.get_by_role("button", name="Undo").click()
        page.get_by_role("button", name="Undo").click()
        expect(lines).to_have_value("0 0, 60 40, 60 60, 40 60")
        page.get_by_text("90° right").click()
        expect(page.locator("#result-size")).to_have_text(re.compile(r": \d+ × \d+"))

        page.get_by_role("button", name="Take a test shot").click()
        after = page.locator("[data-shot=ok] figcaption", has_text="After")
        expect(after).to_have_text("After · 720 × 1280")
        person.keep("geometry")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#toasts")).to_contain_text("It counts from the next picture on.")

        page.goto(f"{stack.url}/timelapses/{timelapse}/")
        page.wait_for_function(
            "() => [...document.querySelectorAll('#frame-newest img:not(.mat)')]"
            ".some(picture => picture.naturalHeight > picture.naturalWidth)"
        )
        shown = page.locator("#frame-newest").get_attribute("data-shows")
        picture = page.request.get(f"{stack.url}/media/captures/{shown}/full.jpg").body()
        pixels = Image.open(BytesIO(picture)).convert("L")
        # Turned right, the middle of the picture is still its middle, and the mask's corner is above at the right.
        assert pixels.getpixel((pixels.width // 2, pixels.height // 2)) < 8
        assert pixels.getpixel((pixels.width - 3, 2)) < 8
        assert pixels.getextrema()[1] > 60
