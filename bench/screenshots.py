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
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageStat
from playwright.sync_api import Browser, Page, sync_playwright

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


def log_in(browser: Browser, stack: Stack, *, width: int, height: int, scheme: str) -> Page:
    page = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
    page.goto(stack.url)
    page.fill("[name=username]", stack.username)
    page.fill("[name=password]", stack.password)
    page.click("button.primary")
    page.wait_for_selector("#live-badge[data-status=live]")
    return page


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
        desktop = log_in(browser, stack, width=1280, height=760, scheme="light")
        phone = log_in(browser, stack, width=390, height=844, scheme="dark")
        film = log_in(browser, stack, width=1280, height=860, scheme="dark")
        film.goto(f"{stack.url}/timelapses/{harbour}/")
        film.wait_for_function(
            "least => Number(document.getElementById('image-count').textContent) >= least",
            arg=PICTURES_WANTED,
            timeout=PATIENCE_S * 1000,
        )
        wait_for_daylight(desktop)
        schedule = log_in(browser, stack, width=1280, height=900, scheme="light")
        schedule.goto(f"{stack.url}/timelapses/{harbour}/edit/")
        schedule.get_by_text("5 min", exact=True).click()
        schedule.get_by_text("From … to …", exact=True).last.click()
        schedule.get_by_label("From", exact=True).last.fill("06:00")
        schedule.get_by_label("To", exact=True).last.fill("20:00")
        schedule.locator("#preview", has_text="Every 5 min, 06:00 to 20:00").wait_for()
        month, day = stack.python(A_MONTH)
        kept = log_in(browser, stack, width=1280, height=900, scheme="light")
        kept.goto(f"{stack.url}/timelapses/{month}/?at={day}T09:00:00Z")
        operations = log_in(browser, stack, width=1280, height=1000, scheme="dark")
        operations.goto(f"{stack.url}/operations/")
        operations.wait_for_selector("[data-queue]")
        for page, name in (
            (desktop, "dashboard-light"),
            (phone, "dashboard-phone-dark"),
            (film, "timelapse-dark"),
            (schedule, "schedule-light"),
            (operations, "operations-dark"),
        ):
            page.screenshot(path=FOLDER / f"{name}.png")
            print(FOLDER / f"{name}.png")
        kept.locator("#kept").screenshot(path=FOLDER / "kept-light.png")
        print(FOLDER / "kept-light.png")
        browser.close()


if __name__ == "__main__":
    main()
