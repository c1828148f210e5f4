"""Takes the pictures of the pages for the README, from the demonstration's cameras: python -m bench.screenshots

Writes docs/images/dashboard-light.png and timelapse-dark.png (1280 wide), and dashboard-phone-dark.png (390 wide).
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
        for page, name in (
            (desktop, "dashboard-light"),
            (phone, "dashboard-phone-dark"),
            (film, "timelapse-dark"),
        ):
            page.screenshot(path=FOLDER / f"{name}.png")
            print(FOLDER / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
