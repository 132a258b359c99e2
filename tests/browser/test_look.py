"""The page's shape: desktop without scrolling, a phone, both themes, keyboard, names for every control."""

import re

import pytest
from playwright.sync_api import Browser, FloatRect, Page, expect

NAMELESS = """() => [...document.querySelectorAll('button, input, textarea, select, a[href], video')]
  .filter(e => e.checkVisibility() && !e.closest('[aria-hidden=true]'))
  .filter(e => !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim() || e.title))
  .map(e => e.outerHTML.slice(0, 120))"""
# WCAG contrast of every visible text against the nearest painted background, worst first.
CONTRAST = """() => {
  // What fades is read as it ends up; what goes on for ever cannot be finished.
  for (const fading of document.getAnimations()) try { fading.finish(); } catch {}
  const rgb = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = (c) => rgb(c).slice(0, 3).map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const under = (e) => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if ((rgb(c)[3] ?? 1) > .9) return c;
    }
    return 'rgb(255, 255, 255)';
  };
  const words = [...document.querySelectorAll('body *')].filter(e => e.checkVisibility()
    && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())
    && !e.closest(':disabled, script, style') && parseFloat(getComputedStyle(e).fontSize) > 0);
  return words.map(e => {
    const [a, b] = [light(getComputedStyle(e).color), light(under(e))].sort((x, y) => y - x);
    return [(a + .05) / (b + .05), e.textContent.trim().slice(0, 40)];
  }).sort((x, y) => x[0] - y[0]);
}"""


def box(page: Page, selector: str) -> FloatRect:
    found = page.locator(selector).bounding_box()
    assert found, selector
    return found


def test_nothing_important_needs_scrolling_on_a_desktop(page: Page) -> None:
    for selector in ("#text-prompt", "#text-make", "#text-drafts", "#text-drafts-promise", "#screen", "#library h2"):
        found = box(page, selector)
        assert found["y"] + found["height"] <= 800, selector


@pytest.mark.parametrize(
    ("task", "tabs"),
    [
        ("animate", ["Animate"]),
        ("restyle", ["Video"]),
        ("loop", ["Loop & transition"]),
        ("transition", ["Loop & transition", "Transition"]),
        ("extend", ["Extend"]),
        ("storyboard", ["Storyboard"]),
    ],
)
def test_every_tab_fits_a_desktop_and_a_phone(page: Page, task: str, tabs: list[str]) -> None:
    for tab in tabs:
        page.get_by_role("tab", name=tab, exact=True).click()
    make = box(page, f"#{task}-make")
    assert make["y"] + make["height"] <= 800
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(NAMELESS) == []
    worst, words = page.evaluate(CONTRAST)[0]
    assert worst >= 4.5, words


def test_on_a_phone_the_stage_comes_right_after_the_button(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    contract, stage = box(page, "#text-drafts-promise"), box(page, "#screen")
    assert 0 <= stage["y"] - (contract["y"] + contract["height"]) < 40
    assert stage["width"] > 340


def test_both_themes_are_legible_and_the_choice_is_kept(page: Page) -> None:
    papers = set()
    for theme in ("light", "dark"):
        page.reload()
        page.locator("#text-contract .promise").wait_for()
        assert ("dark" in (page.locator("body").get_attribute("class") or "")) == (theme == "dark")
        papers.add(page.locator(".gradio-container").evaluate("e => getComputedStyle(e).backgroundColor"))
        worst, words = page.evaluate(CONTRAST)[0]
        assert worst >= 4.5, f"{words!r} in {theme}: {worst:.2f}"
        page.get_by_role("button", name="Switch between light and dark").click()
    assert len(papers) == 2


def test_the_system_theme_is_followed(browser: Browser, address: str) -> None:
    with browser.new_context(color_scheme="dark") as context:
        page = context.new_page()
        page.goto(address)
        expect(page.locator("body")).to_have_class(re.compile(r"\bdark\b"))


def test_every_control_has_a_name(page: Page) -> None:
    page.locator("#text-advanced > button").click()
    assert page.evaluate(NAMELESS) == []


def test_focus_is_visible(page: Page) -> None:
    page.locator("#text-prompt textarea").focus()
    for _ in range(12):
        page.keyboard.press("Tab")
        ring = page.evaluate(
            """() => { const e = document.activeElement, at = e.closest('label') ?? e;
            return [e, at].map(x => getComputedStyle(x).outlineStyle) }"""
        )
        assert "solid" in ring, page.evaluate("document.activeElement.outerHTML")


def test_nothing_is_fetched_from_another_host(browser: Browser, address: str) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.locator("#text-contract .promise").wait_for()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def test_less_motion_means_no_motion_by_itself(browser: Browser, address: str) -> None:
    with browser.new_context(reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(address)
        page.locator("#text-contract .promise").wait_for()
        moving = "() => document.getAnimations().filter(a => a.playState === 'running').length"
        assert page.evaluate(moving) == 0
        assert page.locator("video").evaluate_all("videos => videos.every(video => video.paused)")


def test_a_clip_that_is_still_loading_stays_in_its_dark_room(browser: Browser, address: str) -> None:
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        page.route("**/*.mp4*", lambda _route: None)
        page.goto(address)
        page.locator("video.take").wait_for()
        room, clip = box(page, ".mat"), box(page, "video.take")
    assert clip["y"] + clip["height"] <= room["y"] + room["height"]
