"""The Animate tab as a person uses it: give a picture, see it move, take it again."""

from pathlib import Path

import numpy as np
import pytest
from by_hand import type_into
from PIL import Image
from playwright.sync_api import Page, expect

PLAYS = "() => document.querySelector('video.take')?.readyState >= 2"
CORNER = """video => {
    const pen = document.createElement("canvas").getContext("2d");
    pen.drawImage(video, 0, 0);
    return [...pen.getImageData(6, 6, 1, 1).data].slice(0, 3);
}"""
SIZE = "video => [video.videoWidth, video.videoHeight]"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A tall picture of a red block under an orange sky."""
    pixels = np.zeros((300, 200, 3), np.uint8)
    pixels[:150], pixels[150:] = (240, 160, 90), (60, 140, 50)
    pixels[110:200, 60:140] = (210, 30, 25)
    Image.fromarray(pixels).save(path := tmp_path / "block.png")
    return path


def test_a_picture_becomes_a_video_and_comes_back_with_its_recipe(page: Page, picture: Path) -> None:
    page.get_by_role("tab", name="Animate").click()
    expect(page.locator("#animate-contract")).to_contain_text("Give a first frame")
    page.locator("#first input[type=file]").set_input_files(picture)
    expect(page.locator("#animate-contract .promise")).to_contain_text("96×160")
    type_into(page, "#animate-prompt", "a red cube moves left on grass at sunset")
    page.locator("#animate-make").click()
    expect(page.locator(".screen.is-done figcaption q")).to_have_text("a red cube moves left on grass at sunset")
    page.wait_for_function(PLAYS)
    assert page.locator("video.take").evaluate(SIZE) == [96, 160]

    page.reload()
    page.get_by_role("button", name="Use again").click()
    expect(page.locator("#animate-prompt textarea")).to_have_value("a red cube moves left on grass at sunset")
    expect(page.locator("#first img").last).to_be_visible()
    expect(page.locator("#animate-seed input")).not_to_have_value("")


def test_what_is_transparent_becomes_white(page: Page, tmp_path: Path) -> None:
    logo = Image.new("RGBA", (128, 128), (0, 0, 0, 0))
    logo.paste((210, 30, 25, 255), (40, 40, 88, 88))
    logo.save(path := tmp_path / "logo.png")
    page.get_by_role("tab", name="Animate").click()
    page.locator("#first input[type=file]").set_input_files(path)
    expect(page.locator("#animate-contract .promise")).to_contain_text("128×128")
    type_into(page, "#animate-prompt", "a red cube rests on snow by day")
    page.locator("#animate-make").click()
    page.wait_for_function(PLAYS)
    page.locator("video.take").evaluate("video => { video.pause(); video.currentTime = 0 }")
    page.wait_for_function("() => !document.querySelector('video.take').seeking")
    assert min(page.locator("video.take").evaluate(CORNER)) > 160


def test_the_end_of_a_take_is_animated_on_one_click(page: Page) -> None:
    type_into(page, "#text-prompt", "a red ball stays on snow")
    page.locator("#text-make").click()
    page.wait_for_function(PLAYS)
    page.locator("#carry-animate").click()
    expect(page.get_by_role("tab", name="Animate")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#animate-prompt textarea")).to_have_value("a red ball stays on snow")
    expect(page.locator("#first img").last).to_be_visible()
    expect(page.locator("#animate-contract .promise")).to_contain_text("128×128")
    page.locator("#animate-make").click()
    expect(page.locator("#family .older .kin")).to_have_text("animated from")
    expect(page.locator(".screen.is-done")).to_be_visible()


def test_without_a_picture_it_asks_for_one(page: Page) -> None:
    page.get_by_role("tab", name="Animate").click()
    type_into(page, "#animate-prompt", "a red cube")
    page.locator("#animate-make").click()
    expect(page.locator("#animate-contract [role=alert]")).to_contain_text("There is no picture")
