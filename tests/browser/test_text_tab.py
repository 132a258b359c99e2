"""The first tab as a person uses it: type, watch it develop, see the video, stop it, take it again."""

import re

import pytest
from by_hand import type_into
from playwright.sync_api import Page, expect

from pipeline.video import read_frames, read_recipe

SIZE = "video => [video.videoWidth, video.videoHeight]"
PLAYS = "() => document.querySelector('video.take')?.readyState >= 2"


def write(page: Page, words: str) -> None:
    page.locator("#text-prompt textarea").fill(words)


def advanced(page: Page, **values: str) -> None:
    page.locator("#text-advanced > button").click()
    for name, value in values.items():
        type_into(page, f"#text-{name}", value)


def make(page: Page) -> None:
    page.locator("#text-make").click()


def wait_for_clip(page: Page, words: str) -> None:
    expect(page.locator(".screen.is-done figcaption q")).to_have_text(words)
    page.wait_for_function(PLAYS)


def test_a_sentence_becomes_a_video(page: Page) -> None:
    write(page, "a green cube falls onto sand")
    page.get_by_label("Landscape").check()
    make(page)
    expect(page.locator(".is-preview")).to_have_attribute("src", re.compile("^data:image/webp"))
    expect(page.locator("#progress")).to_contain_text(re.compile(r"Step \d+ of 8 · \d+ s left"))
    expect(page.locator("#text-make")).to_have_text("Make another")
    wait_for_clip(page, "a green cube falls onto sand")
    assert page.locator("video.take").evaluate(SIZE) == [160, 96]
    assert page.locator("video.take").evaluate("video => !video.paused && video.loop && video.muted")
    expect(page.locator("#text-make")).to_have_text("Make video")
    expect(page.locator("#stop")).to_be_hidden()


def test_an_example_runs_on_one_click_and_downloads(page: Page) -> None:
    page.locator(".chip").first.click()
    wait_for_clip(page, "a red ball bounces on snow")
    with page.expect_download() as caught:
        page.get_by_role("link", name="Download").click()
    assert caught.value.suggested_filename.startswith("onetake-a-red-ball-bounces-on-snow-")
    assert len(list(read_frames(caught.value.path()))) == 17
    assert read_recipe(caught.value.path())["plan"]["segments"][0]["prompt"] == "a red ball bounces on snow"


def test_a_whole_minute_is_shown_as_it_was_made_and_can_be_made_again(page: Page) -> None:
    page.get_by_role("button", name="watch a whole minute").click()
    expect(page.locator(".screen.is-done figcaption q")).to_have_text("a yellow cube turns on grass by day")
    page.wait_for_function(PLAYS)
    assert page.locator("video.take").evaluate("video => video.duration") == pytest.approx(481 / 8, abs=0.1)
    expect(page.locator(".job")).to_have_count(0)
    page.get_by_role("button", name="Use again").click()
    expect(page.locator("#text-prompt textarea")).to_have_value("a yellow cube turns on grass by day")
    expect(page.locator("#text-seed input")).to_have_value("1")
    expect(page.locator("#text-contract")).to_contain_text("481 frames")
    expect(page.locator("#text-contract")).to_contain_text("Made in 15 parts")


def test_stop_keeps_what_is_there_and_says_so(page: Page) -> None:
    advanced(page, steps="100")
    write(page, "a white cone stays on grass")
    page.keyboard.press("Control+Enter")
    page.locator(".is-preview").wait_for()
    page.keyboard.press("Escape")
    wait_for_clip(page, "a white cone stays on grass")
    expect(page.locator("#details .notes")).to_contain_text(re.compile(r"Stopped after step \d+ of 100"))


def test_the_contract_follows_every_change(page: Page) -> None:
    contract = page.locator("#text-contract .promise")
    expect(contract).to_contain_text("17 frames, 2.1 s, 128×128")
    page.get_by_label("Portrait").check()
    expect(contract).to_contain_text("96×160")
    page.locator("#text-seconds input[type=range]").fill("4")
    expect(contract).to_contain_text("33 frames, 4.1 s")
    advanced(page, width="100", height="64", frames="20")
    expect(contract).to_contain_text("21 frames, 2.6 s, 96×64")
    expect(page.locator("#text-contract .notes")).to_contain_text("100×64 became 96×64")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("width", "16384", "A size needs both width and height"),
        ("frames", "0", "choose from 1 to 481"),
        ("seed", "18446744073709551616", "give a whole number from 0"),
        ("seed", "seven", "Type digits, or leave it empty"),
        ("steps", "101", "choose from 1 to 100"),
    ],
)
def test_what_cannot_be_made_is_refused_under_the_button(page: Page, field: str, value: str, words: str) -> None:
    advanced(page, **{field: value})
    alert = page.locator("#text-contract [role=alert]")
    expect(alert).to_contain_text(words)
    page.locator("#text-make").click()
    page.wait_for_timeout(500)
    expect(alert).to_have_count(1)
    expect(page.locator(".toast-wrap .toast-body")).to_have_count(0)


def test_an_empty_prompt_is_refused_when_it_is_sent(page: Page) -> None:
    make(page)
    expect(page.locator("#text-contract [role=alert]")).to_have_text(
        "The prompt is empty. Say in a sentence what the video shows."
    )


def test_unknown_words_are_named_while_they_are_typed(page: Page) -> None:
    page.locator("#text-prompt textarea").press_sequentially("a red dragon bal")
    expect(page.locator("#text-contract .notes")).to_contain_text(re.compile(r"unknown: dragon\.$"))
    page.locator("#text-seed input").focus()
    expect(page.locator("#text-contract .notes")).to_contain_text("unknown: dragon, bal.")


def test_a_reload_finds_the_running_take(page: Page) -> None:
    advanced(page, steps="60")
    write(page, "an orange ball rolls left on water")
    make(page)
    page.locator(".is-preview").wait_for()
    page.reload()
    page.locator(".is-preview").wait_for()
    expect(page.locator(".screen figcaption q")).to_have_text("an orange ball rolls left on water")
    page.locator("#stop").click()
    wait_for_clip(page, "an orange ball rolls left on water")
    page.reload()
    wait_for_clip(page, "an orange ball rolls left on water")


def test_use_again_sets_every_control(page: Page) -> None:
    seed = "18446744073709551615"
    advanced(page, seed=seed, steps="3", width="64", height="96")
    write(page, "a cyan cylinder stays on sand")
    make(page)
    wait_for_clip(page, "a cyan cylinder stays on sand")
    page.reload()
    wait_for_clip(page, "a cyan cylinder stays on sand")
    expect(page.locator("#text-seed input")).to_have_value("")
    page.get_by_role("button", name="Use again").click()
    expect(page.locator("#text-prompt textarea")).to_have_value("a cyan cylinder stays on sand")
    expect(page.locator("#text-seed input")).to_have_value(seed)
    expect(page.locator("#text-contract .promise")).to_contain_text("64×96")


def test_the_library_plays_opens_and_leads_back_to_the_running_take(page: Page) -> None:
    advanced(page, steps="3")
    write(page, "a blue ball stays on snow")
    make(page)
    wait_for_clip(page, "a blue ball stays on snow")
    page.locator("#text-steps input").first.fill("60")
    write(page, "a red cube turns on grass")
    make(page)
    page.locator(".is-preview").wait_for()
    earlier = page.locator(".card[data-open]").filter(has_text="a blue ball stays on snow").first
    earlier.hover()
    expect(earlier.locator("video")).to_have_count(1)
    earlier.click()
    wait_for_clip(page, "a blue ball stays on snow")
    page.locator(".job [data-follow]").click()
    expect(page.locator(".screen.is-running figcaption q")).to_have_text("a red cube turns on grass")
    page.locator("#stop").click()
    wait_for_clip(page, "a red cube turns on grass")


def test_markup_in_a_prompt_stays_text(page: Page) -> None:
    words = "<img src=x onerror=\"document.title='owned'\"> ball"
    advanced(page, steps="2", width="64", height="64")
    write(page, words)
    make(page)
    wait_for_clip(page, words)
    expect(page).to_have_title("Onetake")
    assert page.locator("#stage img, #library img[src=x]").count() == 0


def test_the_dice_rolls_a_seed(page: Page) -> None:
    page.get_by_role("button", name="Roll a seed").click()
    expect(page.locator("#text-seed input")).to_have_value(re.compile(r"^\d+$"))
