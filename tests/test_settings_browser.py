"""The settings in a real browser: found, changed, kept, inherited again; the configuration out and in by its page."""

import json

import pytest
from playwright.sync_api import expect

from tests.test_browser import PHONE, visit  # noqa: F401 - a fixture

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def row(page, name):
    return page.locator(f"#setting-{name}")


def test_a_setting_is_found_changed_and_taken_back_and_a_file_is_tried(visit, stack, tmp_path):  # noqa: F811
    with visit(viewport=PHONE) as person:
        page = person.page
        person.log_in()
        page.goto(f"{stack.url}/settings/")

        page.get_by_placeholder("Find a setting").fill("good enough")
        expect(row(page, "quality_threshold")).to_be_visible()
        expect(row(page, "jpeg_quality")).to_be_hidden()
        page.get_by_label("Good enough from").fill("20000")
        expect(page.locator("[data-unsaved]")).to_have_text("One change is not saved.")
        page.get_by_role("button", name="Save").click()
        expect(row(page, "quality_threshold").get_by_role("alert")).to_contain_text("At most 100 points.")
        assert "422" in person.complaints.pop()
        page.get_by_label("Good enough from").fill("65")
        # Enter saves, whatever other buttons the page has.
        page.get_by_label("Good enough from").press("Enter")
        expect(page.get_by_text("One setting is changed")).to_be_visible()
        expect(row(page, "quality_threshold")).to_contain_text("Set here")
        expect(page.locator("#history")).to_contain_text("default → 65 points")
        page.get_by_label("Only those that are set here").check()
        expect(row(page, "jpeg_quality")).to_be_hidden()
        person.keep("settings-phone")

        file = tmp_path / "configuration.json"
        page.get_by_role("link", name="Export and import").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Export").click()
        download.value.save_as(file)
        document = json.loads(file.read_text())
        assert document["settings"] == {"quality_threshold": 65}
        file.write_text(json.dumps(document | {"settings": {}}))
        page.get_by_label("File").set_input_files(file)
        page.get_by_role("button", name="Look what it would do").click()
        expect(page.locator("#report")).to_contain_text("nothing was changed")
        expect(page.locator("#report")).to_contain_text("settings.quality_threshold")
        page.get_by_role("button", name="Import", exact=True).click()
        expect(page.locator("#report")).to_contain_text("Imported.")
        person.keep("configuration-phone")

        page.goto(f"{stack.url}/settings/")
        expect(page.get_by_label("Good enough from")).to_have_value("70")
