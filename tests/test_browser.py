"""The pages in a real browser, over the real thing: what a person does from the login to the film."""

import json
import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
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
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_text("2 s", exact=True).click()
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
        page.goto(f"{stack.url}/timelapses/{timelapse}/")
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


def test_theme_is_remembered_and_does_not_flash(visit):
    with visit(color_scheme="light") as person:
        page = person.page
        person.log_in()
        page.get_by_role("button", name="Light or dark").click()
        page.reload(wait_until="commit")
        page.wait_for_selector("body")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 17, 16)"
