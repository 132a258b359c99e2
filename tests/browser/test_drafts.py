"""Drafts as a person uses them: many are begun, some are chosen and finished, and nothing of it is lost."""

import re

import numpy as np
import pytest
from app_server import Server
from by_hand import type_into
from gradio_client import Client  # type: ignore[import-untyped]
from playwright.sync_api import Locator, Page, Route, expect

from browser.test_look import CONTRAST, NAMELESS, box
from pipeline.store import Store
from pipeline.video import read_frames

SMALL = {"width": "64", "height": "64", "frames": "9"}


def write(page: Page, words: str, seeds: int, steps: int = 5) -> Locator:
    """Fill in a small take; return the line that promises its drafts."""
    if not page.locator("#text-steps").is_visible():
        page.locator("#text-advanced > button").click()
    for name, value in ({"steps": str(steps)} | SMALL).items():
        type_into(page, f"#text-{name}", value)
    page.locator("#text-seeds input").click()
    page.get_by_role("option", name=re.compile(f"^(✓ )?{seeds} seed")).click()
    page.locator("#text-prompt textarea").fill(words)
    page.locator("#text-seed input").focus()
    return page.locator("#text-drafts-promise")


def drafts(page: Page) -> Locator:
    return page.locator("[data-choose]")


def test_from_drafts_to_finals(page: Page, studio: Server) -> None:
    promise = write(page, "a {red|blue} ball bounces on snow", 2)
    expect(promise).to_contain_text("4 drafts, 2 prompts × 2 seeds, about ")
    expect(promise).to_contain_text("finishing one adds about ")
    page.locator("#text-drafts").click()
    expect(page.locator(".print")).to_have_count(4)
    page.reload()
    expect(drafts(page)).to_have_count(4)
    expect(page.locator(".named q")).to_have_text(["red", "red", "blue", "blue"])
    page.wait_for_function("[...document.querySelectorAll('video.still')].every(v => v.readyState >= 2 && !v.paused)")
    drafts(page).nth(1).click()
    drafts(page).nth(2).focus()
    page.keyboard.press("Space")
    expect(page.locator("[aria-pressed=true].frame")).to_have_count(2)
    page.get_by_role("button", name="Finish chosen (2)").click()
    expect(page.locator(".is-finished")).to_have_count(2)
    expect(page.locator(".print.is-draft")).to_have_count(2)
    expect(page.locator("#library-heading")).to_contain_text("4 drafts under Drafts")
    page.locator(".is-finished .frame").first.click()
    expect(page.locator(".screen.is-done figcaption q")).to_have_text("a red ball bounces on snow")
    page.get_by_role("button", name="Its drafts").click()
    expect(page.locator(".is-finished")).to_have_count(2)
    assert_as_if_never_stopped(studio)


def test_a_run_that_was_opened_is_not_put_away_by_a_late_answer(page: Page) -> None:
    write(page, "a red ball bounces on snow", 2)
    page.locator("#text-drafts").click()
    expect(drafts(page)).to_have_count(2)
    held = []

    def hold(route: Route) -> None:
        """Let nothing through that lays out the sheet anew, until the take is open."""
        asked = route.request.post_data_json or {}
        laying = [str(part)[:6] for part in asked["data"][1:]] == ["sheet "] and not isinstance(
            asked["event_data"], dict
        )
        if laying:
            held.append(route)
        else:
            route.continue_()

    page.route("**/run/predict*", hold)
    page.get_by_role("button", name=re.compile("^Finish: ")).first.click()
    expect(page.locator(".is-finished")).to_have_count(1)
    page.locator(".is-finished .frame").first.click()
    expect(page.locator(".screen.is-done")).to_be_visible()
    assert held
    for route in held:
        route.continue_()
    page.wait_for_timeout(1500)
    expect(page.get_by_role("button", name="Its drafts")).to_be_visible()


def assert_as_if_never_stopped(studio: Server) -> None:
    """Compare the frames of what was finished last with those of a take of the same seed that never stopped."""
    store = Store(studio.home)
    final = next(run for run in store.list() if run.state == "done")
    assert final.finishes
    plan = final.plan
    asked = {"width": 64, "height": 64, "frames": 9, "steps": 5, "seed": plan.seed}
    _, whole = Client(studio.url, verbose=False).predict(plan.prompt, **asked, api_name="/text")
    one, other = (np.stack(list(read_frames(run.file))) for run in (final, store.get(whole["id"])))
    assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("words", "seeds", "says"),
    [
        ("a {red|blue ball", 1, "has no partner. Write alternatives as {red|blue}."),
        ("{a|b|c} {d|e|f}", 2, "9 prompts × 2 seeds are 18 takes, and 16 is the most."),
        ("a ball\na {ball|cube}", 1, "“a ball” comes twice."),
    ],
)
def test_what_cannot_be_drafted_is_refused_under_the_button(page: Page, words: str, seeds: int, says: str) -> None:
    promise = write(page, words, seeds)
    expect(promise.get_by_role("alert")).to_contain_text(says)
    page.locator("#text-drafts").click()
    page.wait_for_timeout(500)
    expect(promise.get_by_role("alert")).to_contain_text(says)
    expect(page.locator(".print, .job")).to_have_count(0)


def test_alternatives_that_are_being_typed_are_not_judged(page: Page) -> None:
    page.locator("#text-prompt textarea").press_sequentially("a {red|bl")
    page.wait_for_timeout(500)
    expect(page.locator("#text-drafts-promise")).to_contain_text("4 drafts, about ")
    page.locator("#text-seed input").focus()
    expect(page.locator("#text-drafts-promise [role=alert]")).to_contain_text("has no partner")


def test_what_the_button_was_refused_is_said_until_something_else_is_asked_for(page: Page) -> None:
    said = page.locator("#text-drafts-promise")
    page.locator("#text-drafts").click()
    expect(said.locator("[role=alert]")).to_contain_text("The prompt is empty")
    page.locator("#text-prompt textarea").focus()
    page.locator("#text-prompt textarea").blur()
    page.wait_for_timeout(600)  # Leaving the field asks for the promise again.
    expect(said.locator("[role=alert]")).to_contain_text("The prompt is empty")
    page.locator("#text-prompt textarea").fill("a red ball")
    expect(said).to_contain_text("drafts")
    expect(said.locator("[role=alert]")).to_have_count(0)


def test_stop_stops_the_rest_which_can_be_run_again_and_a_draft_is_finished_from_the_library(page: Page) -> None:
    # Eight of them last long enough for a slow browser to stop some.
    write(page, "a green cone stays on sand", 8, steps=50)
    page.locator("#text-drafts").click()
    drafts(page).first.wait_for()
    expect(page.locator(".job")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("#stop")).to_be_hidden()
    expect(page.locator(".job")).to_have_count(0)
    # The queue and the sheet answer on their own: either may be the first to tell that it is over.
    expect(page.locator("[data-choose], [data-again]")).to_have_count(8)
    left = page.locator("[data-again]").count()
    assert left > 0
    page.locator("[data-again]").first.click()
    expect(page.locator("[data-again]")).to_have_count(left - 1)
    expect(page.locator("#stop")).to_be_hidden(
        timeout=120_000
    )  # A draft takes seconds: too short a while to aim at Stop.
    page.get_by_role("radio", name="Drafts").check()
    page.locator(".shot", has=page.locator("em")).first.locator("[data-finish]").click()
    expect(page.locator(".screen.is-done figcaption q")).to_have_text("a green cone stays on sand")
    expect(page.locator(".shot em", has_text="Draft, finished").first).to_be_visible()


def test_a_sheet_fits_a_desktop_and_a_phone_in_both_themes(page: Page) -> None:
    write(page, "a {red|blue} ball", 4, steps=2)
    page.locator("#text-drafts").click()
    expect(drafts(page)).to_have_count(8)
    for place in range(8):
        found = drafts(page).nth(place).bounding_box()
        assert found
        assert found["y"] + found["height"] <= 800
        assert found["width"] >= 120
    assert box(page, "[data-finish-chosen]")["y"] < 800
    drafts(page).first.click()
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for _ in ("light", "dark"):
            page.get_by_role("button", name="Switch between light and dark").click()
            page.wait_for_timeout(300)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(NAMELESS) == []
            worst, words = page.evaluate(CONTRAST)[0]
            assert worst >= 4.5, words
