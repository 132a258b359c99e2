"""Takes side by side: they play in step, one timeline moves all of them, and what differs is bold."""

import pytest
from playwright.sync_api import Page, expect
from seeded import keep_run, plan_of

from browser.test_library import select
from browser.test_look import CONTRAST, NAMELESS
from pipeline.store import Store

TIMES = "() => [...document.querySelectorAll('dialog.compare video')].map(video => video.currentTime)"
PAUSED = "() => [...document.querySelectorAll('dialog.compare video')].map(video => video.paused)"


@pytest.fixture
def word(store: Store) -> str:
    for plan in (
        plan_of("sidebyside red", seed=1, frames=33),
        plan_of("sidebyside red", seed=2, frames=17),
        plan_of("sidebyside blue", seed=2, frames=33, steps=9),
        plan_of("sidebyside still", seed=2, frames=1),
        plan_of("sidebyside fifth", seed=5),
    ):
        keep_run(store, plan)
    return "sidebyside"


def compare(page: Page, word: str, *numbers: int) -> None:
    """Search the runs, oldest last, select some and compare them."""
    page.locator("#search textarea").fill(word)
    expect(page.locator("#library-title span")).to_have_text("5")
    expect(page.locator(".shot")).to_have_count(5)
    select(page.locator(".shot"), *numbers)
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("dialog.compare")).to_be_visible()


def test_takes_of_different_lengths_play_in_step(page: Page, word: str) -> None:
    compare(page, word, 3, 4)
    page.wait_for_function("() => document.querySelector('.transport input').value > 0.5")
    short, long = page.evaluate(TIMES)
    assert abs(short - long) < 0.25
    page.get_by_role("button", name="Pause").click()
    page.wait_for_function("() => [...document.querySelectorAll('dialog video')].every(video => video.paused)")
    slider = page.get_by_label("Time in seconds")
    slider.fill("1.2")
    page.wait_for_function("() => [...document.querySelectorAll('dialog video')].every(video => !video.seeking)")
    assert page.evaluate(TIMES) == [pytest.approx(1.2, abs=0.02)] * 2
    slider.fill("3.5")
    page.wait_for_function("() => [...document.querySelectorAll('dialog video')].every(video => !video.seeking)")
    short, long = page.evaluate(TIMES)
    assert (short, long) == (pytest.approx(17 / 8, abs=0.1), pytest.approx(3.5, abs=0.02))
    expect(page.locator("figure.is-over")).to_have_count(1)
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("() => document.querySelector('.transport input').value < 1")
    page.wait_for_function("() => [...document.querySelectorAll('dialog video')].every(video => !video.paused)")
    page.keyboard.press("Escape")
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("button", name="Play").wait_for()
    page.wait_for_timeout(300)
    assert (page.evaluate(PAUSED), page.evaluate(TIMES)) == ([True, True], [0, 0])


def test_what_differs_is_bold_and_up_to_four_fit_a_phone(page: Page, word: str) -> None:
    compare(page, word, 2, 3)
    bold = page.locator("dialog.compare figure").first.locator("b")
    expect(bold).to_have_text(["sidebyside blue", "33 frames at 8 a second", "9"])
    page.keyboard.press("Escape")
    expect(page.locator("dialog.compare")).to_be_hidden()
    assert page.evaluate(PAUSED) == [True, True]
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("dialog.compare")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.locator("dialog.compare")).to_be_hidden()
    select(page.locator(".shot"), 0, 1)
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("dialog.compare :is(video, img)")).to_have_count(4)
    for size in ({"width": 1280, "height": 800}, {"width": 390, "height": 844}):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.wait_for_timeout(300)
        box = page.locator("dialog.compare").bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size["width"]
        assert box["height"] <= size["height"]
        assert page.evaluate(NAMELESS) == []
        worst, words = page.evaluate(CONTRAST)[0]
        assert worst >= 4.5, words
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 1280, "height": 800})
    select(page.locator(".shot"), 4)
    expect(page.get_by_role("button", name="Compare")).to_be_disabled()
