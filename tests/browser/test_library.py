"""The library as a person uses it: find a take, keep it, throw it away and regret it, see where it comes from."""

import re
import zipfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from by_hand import type_into
from playwright.sync_api import Locator, Page, expect
from seeded import keep_run, plan_of

from browser.test_look import CONTRAST, NAMELESS
from pipeline.library.runs import Run
from pipeline.store import Store
from pipeline.visitors import Parent

Keep = Callable[..., Run]
_numbers = count()


@pytest.fixture
def keep(store: Store) -> Keep:
    """Write runs of this machine under a word of their own, by which a test finds them among all others."""
    word = f"case{next(_numbers)}end"

    def make(words: str = "", parents: tuple[Parent, ...] = (), **asked: Any) -> Run:
        return keep_run(store, plan_of(f"{word} {words}".strip(), **asked), parents=parents, grey=next(_numbers) % 200)

    make.word = word  # type: ignore[attr-defined]
    return make


def found(page: Page, keep: Keep, number: int) -> Locator:
    """Search the library for a test's own runs and return their cards."""
    page.locator("#search textarea").fill(keep.word)  # type: ignore[attr-defined]
    shots = page.locator(".shot")
    expect(page.locator("#library-title span")).to_have_text(str(number))
    expect(shots).to_have_count(number)
    return shots


def select(shots: Locator, *numbers: int) -> None:
    for number in numbers:
        shots.nth(number).hover()
        shots.nth(number).get_by_role("checkbox").check()


def test_takes_are_found_sorted_starred_and_published(page: Page, keep: Keep, store: Store) -> None:
    short, long = keep("a short one"), keep("a long one", frames=17)
    shots = found(page, keep, 2)
    expect(shots.first).to_contain_text("a long one")
    page.locator("#sort input").click()
    page.get_by_role("option", name="Oldest first").click()
    expect(shots.first).to_contain_text("a short one")
    shots.first.hover()
    shots.first.get_by_role("button", name="Star: ").click()
    expect(shots.first.locator(".star")).to_have_attribute("aria-pressed", "true")
    assert store.marks(short.id).starred
    page.get_by_label("Starred", exact=True).check()
    expect(shots).to_have_count(1)
    page.get_by_label("Mine").check()
    expect(shots).to_have_count(2)
    shots.last.locator(".card").click()
    expect(page.locator(".screen figcaption q")).to_contain_text("a long one")
    expect(shots.last.locator(".card")).to_have_attribute("aria-pressed", "true")
    page.locator("#keeping").get_by_role("button", name="Star").click()
    expect(shots.last.locator(".star")).to_have_attribute("aria-pressed", "true")
    assert store.marks(long.id).starred
    keeping = page.locator("#keeping")
    expect(keeping).to_contain_text("Only you see this take.")
    keeping.get_by_role("button", name="Publish").click()
    expect(keeping).to_contain_text("Published: all who open this page see it.")
    assert store.marks(long.id).published
    page.get_by_label("Published here").check()
    expect(shots).to_have_count(1)
    expect(shots).to_contain_text("published")
    keeping.get_by_role("button", name="Take back").click()
    expect(page.locator(".nothing")).to_be_visible()
    assert not store.marks(long.id).published


def test_what_was_deleted_comes_back_by_the_keyboard(page: Page, keep: Keep, store: Store) -> None:
    runs = [keep(f"take {number}") for number in range(3)]
    shots = found(page, keep, 3)
    select(shots, 0, 1)
    bar = page.get_by_role("region", name="Selected takes")
    expect(bar).to_contain_text("2 selected")
    bar.get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    expect(shots).to_have_count(1)
    expect(bar).to_be_hidden()
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    assert [store.home.joinpath(run.id).exists() for run in runs] == [True, False, False]
    page.keyboard.press("Enter")
    expect(shots).to_have_count(3)
    expect(undo).to_have_count(0)
    shots.first.locator(".card").click()
    expect(page.locator(".screen figcaption q")).to_contain_text("take 2")
    page.locator("#keeping").get_by_role("button", name="Delete").click()
    expect(page.locator(".screen.is-empty")).to_be_visible()
    expect(shots).to_have_count(2)


def test_more_cards_come_on_a_click_and_those_selected_as_one_zip(page: Page, keep: Keep, tmp_path: Path) -> None:
    runs = [keep(f"take {number}", seed=number) for number in range(34)]
    page.locator("#search textarea").fill(keep.word)  # type: ignore[attr-defined]
    shots = page.locator(".shot")
    expect(page.locator("#library-title span")).to_have_text("34")
    expect(shots).to_have_count(32)
    select(shots, 1)
    page.get_by_role("button", name="Load more (2)").click()
    expect(shots).to_have_count(34)
    expect(shots.nth(1).get_by_role("checkbox")).to_be_checked()
    expect(page.locator("#more")).to_be_hidden()
    select(shots, 33)
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download zip").click()
    assert caught.value.suggested_filename == "onetake.zip"
    caught.value.save_as(tmp_path / "takes.zip")
    with zipfile.ZipFile(tmp_path / "takes.zip") as archive:
        clips = [archive.read(name) for name in archive.namelist() if name.endswith(".mp4")]
    assert clips == [runs[32].file.read_bytes(), runs[0].file.read_bytes()]
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("region", name="Selected takes")).to_be_hidden()


def test_the_tree_of_a_take_leads_from_one_to_the_next_and_on_from_its_end(page: Page, keep: Keep) -> None:
    root, other = keep("root"), keep("other")
    middle = keep("middle", (Parent(root.id, "blended from"), Parent(other.id, "blended from")))
    keep("leaf", (Parent(middle.id, "looped from"),))
    shots = found(page, keep, 4)
    shots.filter(has_text="middle").locator(".card").click()
    tree = page.locator("#family")
    expect(tree.locator(".older .kin")).to_have_text(["blended from", "blended from"])
    expect(tree.locator(".younger .kin")).to_have_text(["looped into"])
    tree.get_by_role("button", name=re.compile("root")).click()
    expect(page.locator(".screen figcaption q")).to_contain_text("root")
    expect(tree.locator(".younger .kin")).to_have_text(["blended into", "looped into"])
    shots.filter(has_text="other").locator(".card").hover()
    expect(shots.filter(has_text="other").locator("video")).to_have_count(1)
    page.locator("#go-on").click()
    expect(page.locator("#first img")).to_be_visible()
    page.locator("#animate-advanced > button").click()
    type_into(page, "#animate-steps", "2")
    page.locator("#animate-make").click()
    expect(tree.locator(".older .kin")).to_have_text("animated from")
    tree.locator(".older .kin").click()
    expect(page.locator(".card[aria-pressed=true]")).to_have_attribute("data-open", root.id)


def test_the_library_is_legible_and_named_on_a_desktop_and_a_phone(page: Page, keep: Keep) -> None:
    root = keep("root")
    keep("child", (Parent(root.id, "restyled from"),))
    shots = found(page, keep, 2)
    shots.first.locator(".card").click()
    expect(page.locator("#family .kin").first).to_be_visible()
    select(shots, 0, 1)
    for width, height in ((1280, 800), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(NAMELESS) == []
        for _ in ("light", "dark"):
            worst, words = page.evaluate(CONTRAST)[0]
            assert worst >= 4.5, words
            page.get_by_role("button", name="Switch between light and dark").click()
            page.wait_for_timeout(300)
