"""Takes the pictures of the pages for the README, from the demonstration's cameras: python -m bench.screenshots

Writes docs/images/dashboard-light.png, timelapse-dark.png, schedule-light.png, kept-light.png and operations-dark.png
(1280 wide), and dashboard-phone-dark.png (390 wide). The month in kept-light.png is made up: rows without pictures.
Takes about two minutes: films must grow, and the scene's sun must be up.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageStat
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from tests.servers import BROWSERS
from tests.stack import Stack, running_stack

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
ARGUMENTS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PICTURES_WANTED = 45
DAYLIGHT = 105  # mean of the newest picture's grey values, 0 to 255
PATIENCE_S = 240


# A month that was kept, but for a quarter of an hour, a morning, and two days.
A_MONTH = """
from datetime import timedelta
from captures.intervalometer import Plan, Timetable
from captures.models import Capture, Schedule, Timelapse
from cameras.models import Camera
from media_jobs import clock

now = clock.now()
start = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=33)
camera = Camera.objects.create(name="Orchard", address="rtsp://192.0.2.1/", is_enabled=False)
plan = Plan.from_document({
    "rules": [{"kind": "interval", "every_s": 300}],
    "window": {"kind": "clock", "start": "06:00", "end": "20:00"},
})
timelapse = Timelapse.objects.create(
    camera=camera, name="A year in the orchard", plan=plan.to_document(), time_zone="UTC", state="paused",
    started_at=start,
)
timetable = Timetable.of(plan, zone="UTC", place=None, seed="orchard", start=start)
Schedule.objects.create(timelapse=timelapse, document=timetable.to_document(), from_at=start)
rows = []
for slot in timetable.between(start, now):
    age, hour = (now - slot).days, slot.hour + slot.minute / 60
    reason = ""
    if age == 2 and 9 <= hour < 9.3:
        reason = "no_worker"
    elif age == 9 and hour < 12:
        reason = "scheduler_was_down"
    elif age in (16, 17):
        reason = "disk_full"
    row = Capture(timelapse=timelapse, slot=slot, give_up_at=slot, reason=reason)
    row.state = "missed" if reason else "stored"
    row.file, row.bytes, row.checksum = ("", 0, "") if reason else ("none.jpg", 1, "0")
    rows.append(row)
Capture.objects.bulk_create(rows, batch_size=500)
answer = [timelapse.pk, (now - timedelta(days=9)).date().isoformat()]
"""


@contextmanager
def visiting(
    browser: Browser, stack: Stack, path: str, *, width: int = 1280, height: int = 860, scheme: str = "light"
) -> Iterator[Page]:
    """One page at a time: each that is open draws what happens."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    page.goto(stack.url)
    page.fill("[name=username]", stack.username)
    page.fill("[name=password]", stack.password)
    page.click("button.primary")
    page.wait_for_selector("#live-badge[data-status=live]")
    page.goto(stack.url + path)
    yield page
    context.close()


def keep(seen: Page | Locator, name: str) -> None:
    seen.screenshot(path=FOLDER / f"{name}.png", timeout=PATIENCE_S * 1000)
    print(FOLDER / f"{name}.png")


def wait_for_daylight(page: Page) -> None:
    """Until the newest picture is bright: the demonstration's days are short."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        picture = Image.open(BytesIO(page.locator(".frame").first.screenshot())).convert("L")
        if ImageStat.Stat(picture).mean[0] > DAYLIGHT:
            return
        page.wait_for_timeout(500)
    sys.exit("The sun of the demonstration did not rise.")


def main() -> None:
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        sys.exit("No Chromium was found (apt install chromium).")
    FOLDER.mkdir(parents=True, exist_ok=True)
    database = Path(tempfile.mkdtemp()) / "timelapser.sqlite3"
    with running_stack(f"sqlite:///{database}") as stack, sync_playwright() as playwright:
        harbour = stack.add_timelapse("rtsp", stack.rtsp_address, name="Harbour", seconds=3600)
        stack.add_timelapse("http", stack.http_address, name="Lakeside", seconds=3600)
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        with visiting(browser, stack, f"/timelapses/{harbour}/", scheme="dark") as page:
            page.wait_for_function(
                "least => Number(document.getElementById('image-count').textContent) >= least",
                arg=PICTURES_WANTED,
                timeout=PATIENCE_S * 1000,
            )
        with visiting(browser, stack, "/", height=760) as page:
            wait_for_daylight(page)
            keep(page, "dashboard-light")
        with visiting(browser, stack, "/", width=390, height=844, scheme="dark") as page:
            keep(page, "dashboard-phone-dark")
        with visiting(browser, stack, f"/timelapses/{harbour}/", scheme="dark") as page:
            keep(page, "timelapse-dark")
        with visiting(browser, stack, f"/timelapses/{harbour}/edit/") as page:
            page.get_by_text("5 min", exact=True).click()
            page.get_by_text("From … to …", exact=True).last.click()
            page.get_by_label("From", exact=True).last.fill("06:00")
            page.get_by_label("To", exact=True).last.fill("20:00")
            page.locator("#preview", has_text="Every 5 min, 06:00 to 20:00").wait_for()
            page.evaluate("scrollTo(0, 0)")
            keep(page, "schedule-light")
        with visiting(browser, stack, "/operations/", height=1000, scheme="dark") as page:
            page.wait_for_selector("[data-queue]")
            keep(page, "operations-dark")
        month, day = stack.python(A_MONTH)
        with visiting(browser, stack, f"/timelapses/{month}/?at={day}T09:00:00Z") as page:
            keep(page.locator("#kept"), "kept-light")
        browser.close()


if __name__ == "__main__":
    main()
