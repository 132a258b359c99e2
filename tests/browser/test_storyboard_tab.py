"""The Storyboard tab as a person uses it: cards are put onto the timeline, moved, made into a take, and made again."""

import json
from pathlib import Path

from by_hand import type_into
from playwright.sync_api import Page, expect

SMALL = {"steps": "2", "width": "64", "height": "64"}


def open_board(page: Page) -> None:
    page.get_by_role("tab", name="Storyboard").click()
    page.locator("[data-card='0']").wait_for()


def press(page: Page, name: str, cards: int) -> None:
    """Press a button of the timeline, and wait until it has so many cards and rests."""
    page.locator(".board-op", has_text=name).click()
    expect(page.locator(".on-strip")).to_have_count(cards)
    page.wait_for_function("() => !document.querySelector('#storyboard .card-shows').inert")


def choose(page: Page, number: int) -> None:
    page.locator(f"[data-card='{number}']").click()
    expect(page.locator(".board-card b")).to_have_text(f"Card {number + 1}")
    page.wait_for_function("() => !document.querySelector('#storyboard .card-shows').inert")


def stands_at(page: Page, number: int, seconds: str) -> None:
    expect(page.locator(f"[data-card='{number}']")).to_have_attribute("data-at", seconds)


def two_cards(page: Page) -> None:
    open_board(page)
    page.locator("#card-words textarea").fill("a red ball rolls right on grass")
    press(page, "Add", 2)
    page.locator("#card-words textarea").fill("a blue cube turns on grass")
    expect(page.locator("[data-card='1'] span")).to_have_text("a blue cube turns on grass")


def test_cards_are_put_in_moved_and_taken_away_and_their_spacing_says_what_comes(page: Page) -> None:
    two_cards(page)
    stands_at(page, 1, "2")
    expect(page.locator(".board-card")).to_contain_text("led over to, for it is 1 s away or more")
    page.locator("[data-card='1']").focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    stands_at(page, 1, "0.75")
    expect(page.locator(".joint")).to_have_text("cut")
    expect(page.locator(".board-card")).to_contain_text("a cut, for it is closer than 1 s")
    place = page.locator("[data-card='1']").bounding_box()
    second = page.locator(".track").evaluate("t => t.clientWidth / Number(t.closest('.board').dataset.seconds)")
    assert place
    page.mouse.move(place["x"] + 12, place["y"] + 12)
    page.mouse.down()
    for share in (0.3, 1.0):
        page.mouse.move(place["x"] + 12 + 1.25 * second * share, place["y"] + 12, steps=3)
    page.mouse.up()
    stands_at(page, 1, "2")
    expect(page.locator(".joint")).to_have_text("→")

    press(page, "Duplicate", 3)
    expect(page.locator("#card-words textarea")).to_have_value("a blue cube turns on grass")
    press(page, "Delete", 2)
    page.locator("#card-begins").get_by_role("radio", name="Cut").check()
    choose(page, 1)
    expect(page.locator("[data-card='1'] span")).to_have_text("a blue cube turns on grass")
    expect(page.locator("#remake-why")).to_contain_text("First put a take of this storyboard on the stage")


def test_a_take_of_cards_is_made_one_of_them_again_and_the_board_goes_along_as_a_file(
    page: Page, tmp_path: Path
) -> None:
    two_cards(page)
    page.locator("#storyboard-advanced > button").click()
    for name, value in SMALL.items():
        type_into(page, f"#storyboard-{name}", value)
    expect(page.locator("#storyboard-contract .promise")).to_contain_text("64×64")
    page.locator("#storyboard-make").click()
    expect(page.locator(".screen.is-done figcaption")).to_contain_text("a red ball rolls right on grass")

    choose(page, 1)
    page.locator("#card-words textarea").fill("a green cone turns on grass")
    expect(page.locator("#remake")).to_be_enabled()
    page.locator("#remake").click()
    expect(page.locator(".screen.is-done figcaption")).to_contain_text("a green cone turns on grass")
    expect(page.locator("#family .older .kin")).to_have_text("remade from")

    with page.expect_download() as download:
        page.locator(".board-op", has_text="Export").click()
    download.value.save_as(file := tmp_path / "board.json")
    board = json.loads(file.read_text())
    assert [card["prompt"] for card in board["cards"]][1] == "a green cone turns on grass"
    assert (board["onetake"], board["width"], board["steps"]) == ("storyboard", 64, 2)

    page.reload()
    open_board(page)
    with page.expect_file_chooser() as chooser:
        page.locator(".board-op", has_text="Import").click()
    chooser.value.set_files(file)
    expect(page.locator(".on-strip")).to_have_count(2)
    expect(page.locator("[data-card='1'] span")).to_have_text("a green cone turns on grass")
    expect(page.locator("#storyboard-contract .promise")).to_contain_text("64×64")
