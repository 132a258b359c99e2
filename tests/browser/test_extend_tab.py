"""The Extend tab as a person uses it: a take goes on on one click, a clip begins earlier, and both come back."""

from pathlib import Path

import pytest
from by_hand import type_into
from playwright.sync_api import Page, expect
from test_layouts import film

PLAYS = "() => document.querySelector('video.take')?.readyState >= 2"
LENGTH = "video => video.duration"


def test_a_take_goes_on_from_its_end_on_one_click_and_a_clip_begins_earlier(page: Page, tmp_path: Path) -> None:
    type_into(page, "#text-prompt", "a red ball rolls right on snow")
    page.locator("#text-make").click()
    page.wait_for_function(PLAYS)
    page.get_by_role("button", name="Go on from its end").click()
    expect(page.get_by_role("tab", name="Extend")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#extend-video")).to_contain_text(".mp4")
    expect(page.locator("#extend-prompt textarea")).to_have_value("a red ball rolls right on snow")
    expect(page.locator("#extend-contract .promise")).to_contain_text("33 frames, 4.1 s, 128×128")
    page.locator("#extend-make").click()
    expect(page.locator("#family .older .kin")).to_have_text("extended from")
    page.wait_for_function(PLAYS)
    assert page.locator("video.take").evaluate(LENGTH) == pytest.approx(33 / 8, abs=0.05)

    page.reload()
    page.get_by_role("tab", name="Extend").click()
    page.locator("#extend-video input[type=file]").set_input_files(film(tmp_path / "clip.mp4", 17))
    page.get_by_label("Before it begins").check()
    type_into(page, "#extend-seconds", "1")
    expect(page.locator("#extend-contract .promise")).to_contain_text("25 frames, 3.1 s")
    page.locator("#extend-make").click()
    expect(page.locator("#family .older .kin")).to_have_count(0)
    expect(page.locator(".screen.is-done figcaption")).to_contain_text("3.1 s")

    page.reload()
    page.get_by_role("button", name="Use again").click()
    expect(page.get_by_label("Before it begins")).to_be_checked()
    expect(page.locator("#extend-contract .promise")).to_contain_text("25 frames, 3.1 s")


def test_parts_of_a_long_take_are_watched_while_the_next_one_is_made_and_stop_keeps_them(page: Page) -> None:
    type_into(page, "#text-prompt", "a red ball stays on snow")
    type_into(page, "#text-seconds", "60")
    expect(page.locator("#text-contract")).to_contain_text("Made in 15 parts")
    page.locator("#text-advanced > button").click()
    for field, value in (("steps", "2"), ("width", "64"), ("height", "64")):
        type_into(page, f"#text-{field}", value)
    page.locator("#text-make").click()
    page.locator("#parts video").nth(1).wait_for()
    page.wait_for_function("() => document.querySelector('#parts video').readyState >= 1")
    expect(page.locator("#progress")).to_contain_text("of 15")
    page.locator("#stop").click()
    expect(page.locator("#details .notes")).to_contain_text("parts were done, of 15")
    expect(page.locator("#parts")).to_be_empty()
    page.wait_for_function(PLAYS)
    assert 6 < page.locator("video.take").evaluate(LENGTH) < 50
