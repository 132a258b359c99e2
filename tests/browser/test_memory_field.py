"""Where weights lie, as the page offers it: where there is a card to choose for."""

import re
from pathlib import Path

from app_server import running_app
from playwright.sync_api import Browser, Page, expect


def test_it_is_offered_where_there_is_a_card_and_reaches_the_contract(browser: Browser, tmp_path: Path) -> None:
    with running_app(tmp_path, ONETAKE_DEVICE="cuda") as server:
        page = browser.new_page()
        page.goto(server.url)
        page.locator("#text-advanced > button").click()
        page.locator("#text-memory input").click()
        page.get_by_role("option", name="Weights brought block by block").click()
        # Where the card that was promised is not there after all, it says so.
        expect(page.locator("#text-contract")).to_contain_text(re.compile("brought block by block|group is for a card"))
        page.locator("#text-memory input").click()
        page.get_by_role("option", name="What fits").click()
        expect(page.locator("#text-contract .promise")).to_contain_text("MB")
        page.close()


def test_without_a_card_there_is_nothing_to_choose(page: Page) -> None:
    page.locator("#text-advanced > button").click()
    expect(page.locator("#text-deliver")).to_be_visible()
    expect(page.locator("#text-memory")).to_have_count(0 if not Path("/dev/nvidiactl").exists() else 1)
