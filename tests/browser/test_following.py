"""Jobs that outlive what looks at them: more of them at a time, a second tab, no network."""

import re

import pytest
from by_hand import type_into
from playwright.sync_api import Browser, BrowserContext, Page, expect

LONG = "a red cube turns on grass"
# The connection of a laptop that slept: open still, but nothing comes out of it any more.
DEAF = """
const real = window.fetch;
window.fetch = async (...asked) => {
  const answer = await real(...asked);
  if (!String(asked[0]?.url ?? asked[0]).includes('queue/data')) return answer;
  const heard = new TransformStream({ transform(piece, out) { if (!window.deaf) out.enqueue(piece); } });
  return new Response(answer.body.pipeThrough(heard), answer);
};
"""


def write(page: Page, words: str) -> None:
    page.locator("#text-prompt textarea").fill(words)


def make(page: Page, words: str, steps: int) -> None:
    if not page.locator("#text-steps").is_visible():
        page.locator("#text-advanced > button").click()
    type_into(page, "#text-steps", str(steps))
    write(page, words)
    page.locator("#text-make").click()


def begin(page: Page, words: str = LONG, steps: int = 100) -> None:
    """Make a take that goes on for a while, also where there is nothing else to do."""
    type_into(page, "#text-seconds", "6")
    make(page, words, steps)
    page.locator(".is-preview").wait_for()


def stop(page: Page, words: str = LONG) -> None:
    page.locator("#stop").click()
    expect(page.locator(".screen.is-done figcaption q")).to_have_text(words)


def cards(page: Page) -> list[str]:
    return page.locator(".job span").all_inner_texts()


@pytest.fixture
def context(page: Page) -> BrowserContext:
    return page.context


def test_more_is_asked_for_while_one_is_made(page: Page) -> None:
    begin(page)
    expect(page.locator("#text-make")).to_have_text("Make another")
    write(page, "a blue ball stays on snow")
    page.locator("#text-make").dblclick()
    expect(page.locator(".job.is-queued small")).to_have_text(re.compile(r"^1 before yours, in \d+ (s|min)$"))
    make(page, "a green cone stays on sand", 2)
    expect(page.locator(".job")).to_have_count(3)
    assert cards(page) == [LONG, "a blue ball stays on snow", "a green cone stays on sand"]
    expect(page.locator(".screen figcaption q")).to_have_text(LONG)
    page.get_by_role("button", name="Take out of the queue: a blue ball stays on snow").click()
    expect(page.locator(".job")).to_have_count(2)
    page.get_by_role("button", name="Watch: a green cone stays on sand").click()
    expect(page.locator("#progress")).to_have_text(re.compile(r"1 before yours · begins in \d+ (s|min)"))
    page.get_by_role("button", name=f"Watch: {LONG}").click()
    expect(page.locator("#progress")).to_contain_text(re.compile(r"Step \d+ of 100 · \d+ (s|min) left"))
    page.keyboard.press("Escape")
    expect(page.locator(".screen.is-done figcaption q")).to_have_text(LONG)
    expect(page.locator(".screen.is-done figcaption q")).to_have_text("a green cone stays on sand")
    expect(page.locator("#text-make")).to_have_text("Make video")
    expect(page.locator(".job")).to_have_count(0)


def test_other_tabs_find_the_take_and_another_visitor_does_not(
    page: Page, context: BrowserContext, browser: Browser, address: str
) -> None:
    begin(page)
    # A browser has six connections for them: with two for each page none were left.
    tabs = [context.new_page() for _ in range(2)]
    for tab in tabs:
        tab.goto(address)
        tab.locator(".is-preview").wait_for()
        expect(tab.locator("#progress")).to_contain_text(re.compile(r"Step \d+ of 100 · \d+ (s|min) left"))
    with browser.new_context() as elsewhere:
        other = elsewhere.new_page()
        other.goto(address)
        other.locator("#text-contract .promise").wait_for()
        expect(other.locator(".job")).to_have_count(0)
        expect(other.locator("#stop")).to_be_hidden()
    stop(tabs[1])
    expect(page.locator(".screen.is-done figcaption q")).to_have_text(LONG)
    for tab in tabs:
        tab.close()


def test_a_page_whose_stream_says_nothing_any_more_follows_all_the_same(context: BrowserContext, address: str) -> None:
    context.add_init_script(DEAF)
    page = context.new_page()
    page.goto(address)
    page.locator("#text-contract .promise").wait_for()
    begin(page)
    page.evaluate("window.deaf = true")
    step = page.locator(".is-preview").get_attribute("alt")
    expect(page.locator(".is-preview")).not_to_have_attribute("alt", step or "", timeout=15_000)
    expect(page.locator("#progress")).to_contain_text(re.compile(r"Step \d+ of 100 · \d+ (s|min) left"))
    stop(page)
    expect(page.locator(".job")).to_have_count(0)
    page.close()


def test_a_page_that_was_offline_finds_its_take_again(page: Page, context: BrowserContext) -> None:
    begin(page)
    write(page, "words that nobody has sent yet")
    context.set_offline(True)
    page.wait_for_timeout(4_000)
    context.set_offline(False)
    with page.expect_event("load"):
        pass
    page.locator(".is-preview").wait_for()
    expect(page.locator("#text-prompt textarea")).to_have_value("words that nobody has sent yet")
    stop(page)
