"""The tabs that begin with a clip, as a person uses them: drop one, press the button, watch; and from take to take."""

from pathlib import Path

import pytest
from by_hand import type_into
from playwright.sync_api import Page, expect
from test_layouts import film

PLAYS = "() => document.querySelector('video.take')?.readyState >= 2"
LENGTH = "video => video.duration"


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return film(tmp_path / "clip.mp4", 17)


def wait_for(page: Page, words: str) -> None:
    expect(page.locator(".screen.is-done figcaption q")).to_have_text(words)
    page.wait_for_function(PLAYS)


def test_a_clip_is_restyled_and_comes_back_with_its_recipe(page: Page, clip: str) -> None:
    page.get_by_role("tab", name="Video").click()
    expect(page.locator("#restyle-contract")).to_contain_text("Give a clip")
    page.locator("#restyle-video input[type=file]").set_input_files(clip)
    expect(page.locator(".clip-shown video").first).to_be_visible()
    type_into(page, "#restyle-prompt", "a red ball")
    page.locator("#styles > button").click()
    type_into(page, "#style-light", "at night")
    type_into(page, "#restyle-range", "0.5..1.5")
    expect(page.locator("#restyle-contract .promise")).to_contain_text("17 frames, 2.1 s, 128×128")
    page.get_by_label("Strong").check()
    page.locator("#restyle-make").click()
    wait_for(page, "a red ball, at night")
    expect(page.locator("#details .notes")).to_contain_text("What was made anew changed by")

    page.reload()
    page.get_by_role("button", name="Use again").click()
    expect(page.locator("#restyle-prompt textarea")).to_have_value("a red ball")
    expect(page.locator(".clip-shown video").first).to_be_visible()
    expect(page.get_by_label("Strong")).to_be_checked()
    page.locator("#styles > button").click()
    expect(page.locator("#restyle-range input, #restyle-range textarea")).to_have_value("0.5..1.5")
    expect(page.locator("#style-light input, #style-light textarea")).to_have_value("at night")


def test_a_style_of_ones_own_is_still_there_after_a_reload(page: Page) -> None:
    page.get_by_role("tab", name="Video").click()
    page.locator("#styles > button").click()
    type_into(page, "#style-theme", "on ice")
    type_into(page, "#style", "Mine")
    page.keyboard.press("Enter")
    page.locator("#keep-style").click()
    page.locator("#style input").click()
    page.get_by_role("option", name="Mine").click()
    page.reload()
    page.get_by_role("tab", name="Video").click()
    page.locator("#styles > button").click()
    page.locator("#style input").click()
    page.get_by_role("option", name="Mine").click()
    expect(page.locator("#style-theme input, #style-theme textarea")).to_have_value("on ice")


def test_two_clips_become_one(page: Page, clip: str, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Loop & transition").click()
    page.get_by_role("tab", name="Transition", exact=True).click()
    page.locator("#first-clip input[type=file]").set_input_files(clip)
    expect(page.locator("#transition-contract")).to_contain_text("Give two clips")
    page.locator("#second-clip input[type=file]").set_input_files(film(tmp_path / "second.mp4", 17))
    expect(page.locator("#transition-contract .promise")).to_contain_text("27 frames")
    page.get_by_label("Late").check()
    page.locator("#transition-make").click()
    expect(page.locator("#details .notes")).to_contain_text("larger seam")
    page.wait_for_function(PLAYS)
    assert page.locator("video.take").evaluate(LENGTH) == pytest.approx(27 / 8, abs=0.05)


def test_words_loop_and_a_take_goes_on_with_one_click(page: Page) -> None:
    page.get_by_role("tab", name="Loop & transition").click()
    type_into(page, "#loop-prompt", "a yellow cube turns on grass")
    expect(page.locator("#loop-contract .promise")).to_contain_text("16 frames, 2.0 s")
    page.locator("#loop-make").click()
    wait_for(page, "a yellow cube turns on grass")
    assert page.locator("video.take").evaluate("video => video.loop")

    for task, tab in (("restyle", "Video"), ("loop", "Loop & transition"), ("transition", "Loop & transition")):
        page.locator(f"#carry-{task}").click()
        expect(page.get_by_role("tab", name=tab, exact=True)).to_have_attribute("aria-selected", "true")
        field = {"restyle": "restyle-video", "loop": "loop-video", "transition": "first-clip"}[task]
        expect(page.locator(f"#{field}")).to_contain_text(".mp4")
        expect(page.locator(f"#{task}-prompt textarea")).to_have_value("a yellow cube turns on grass")
    page.get_by_role("tab", name="Loop", exact=True).click()
    page.locator("#loop-make").click()
    expect(page.locator("#family .older .kin")).to_have_text("looped from")
    expect(page.locator("#details .notes")).to_contain_text("seam")


@pytest.mark.parametrize(
    ("tabs", "words"),
    [
        (["Animate"], "the green cube turns"),
        (["Video"], "a blue ball rolls right on snow at night"),
        (["Loop & transition"], "a yellow cube turns on grass"),
        (["Loop & transition", "Transition"], "a ball becomes a cone"),
        (["Extend"], "a red ball bounces on snow by day"),
    ],
)
def test_an_example_runs_on_one_click(page: Page, tabs: list[str], words: str) -> None:
    for tab in tabs:
        page.get_by_role("tab", name=tab, exact=True).click()
    page.get_by_role("button", name=words, exact=True).click()
    wait_for(page, words)
