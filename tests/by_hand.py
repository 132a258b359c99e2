"""What a hand does on the page."""

from playwright.sync_api import Locator, Page

SETTLES_MS, TRIES = 300, 20


def type_into(page: Page, field: str, value: str) -> None:
    """Type until it stays: a field that just came into sight writes its first value a moment later."""
    found: Locator = page.locator(f"{field} input, {field} textarea").first
    for _ in range(TRIES):
        found.fill(value)
        page.wait_for_timeout(SETTLES_MS)
        if found.input_value() == value:
            return
    raise AssertionError(f"{value} does not stay in {field}")
