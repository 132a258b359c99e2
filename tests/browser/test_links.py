"""Takes that travel: links copied and opened elsewhere, files dropped back, and nothing ever runs by itself."""

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from by_hand import type_into
from playwright.sync_api import Browser, Locator, Page, expect
from test_layouts import film

from pipeline.video import read_frames

PLAYS = "() => document.querySelector('video.take')?.readyState >= 2"
DROP = """([name, bytes, at]) => {
  const files = new DataTransfer();
  files.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name));
  const target = document.querySelector(at);
  for (const kind of ['dragenter', 'dragover', 'drop']) {
    if (kind === 'drop') window.seen = document.querySelector('#drop-here').className;
    target.dispatchEvent(new DragEvent(kind, {dataTransfer: files, bubbles: true, cancelable: true}));
  }
}"""
NOTHING_MADE = "Every take you make is kept here."


@pytest.fixture
def fresh(browser: Browser) -> Iterator[Page]:
    """The page of somebody else, in a browser of their own; it has not gone anywhere yet."""
    with browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True) as context:
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        yield page
        assert not faults


def made(page: Page, words: str, **advanced: str) -> Locator:
    type_into(page, "#text-prompt", words)
    page.get_by_label("Portrait").check()
    page.locator("#text-advanced > button").click()
    for name, value in advanced.items():
        type_into(page, f"#text-{name}", value)
    page.locator("#text-make").click()
    done = page.locator(".screen.is-done figcaption q")
    expect(done).to_have_text(words)
    page.wait_for_function(PLAYS)
    return done


def copied(page: Page, label: str) -> str:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name=label).click()
    expect(page.locator("#links [role=status]")).to_contain_text("Copied.")
    return str(page.evaluate("navigator.clipboard.readText()"))


def saved(page: Page, path: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    download.value.save_as(path)
    return path


def drop(page: Page, file: Path, at: str = "#library") -> None:
    page.evaluate(DROP, [file.name, base64.b64encode(file.read_bytes()).decode(), at])


def expect_nothing_ran(page: Page) -> None:
    page.wait_for_timeout(1500)
    expect(page.locator("#library")).to_contain_text(NOTHING_MADE)
    expect(page.locator(".is-running")).to_have_count(0)
    expect(page.locator("#text-make")).to_be_enabled()


def expect_filled(page: Page, words: str) -> None:
    expect(page.locator("#text-prompt textarea")).to_have_value(words)
    expect(page.locator("#text-seed input")).to_have_value("18446744073709551615")
    expect(page.get_by_label("Portrait")).to_be_checked()
    expect(page.locator("#text-contract .promise")).to_contain_text("9 frames, 1.1 s, 96×160")
    page.locator("#text-advanced > button").click()
    expect(page.locator("#text-steps input").first).to_have_value("3")
    expect(page.locator("#text-frames input")).to_have_value("9")


def expect_seen_once_published(page: Page, fresh: Page, run: str, words: str) -> None:
    fresh.goto(run)
    expect(fresh.locator("#stage [role=alert]")).to_contain_text(
        "private or deleted. Ask whoever sent it to publish it"
    )
    expect_nothing_ran(fresh)
    page.goto(run)
    expect(page.locator(".screen.is-done figcaption q")).to_have_text(words)
    expect(page.get_by_role("button", name="Use again")).to_be_visible()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("#keeping")).to_contain_text("Published")
    page.get_by_role("button", name="Copy run link").click()
    expect(page.locator("#links [role=status]")).to_contain_text("Whoever opens it sees this take")
    fresh.reload()
    expect(fresh.locator(".screen.is-done figcaption q")).to_have_text(words)
    fresh.get_by_role("button", name="Make your own").click()
    expect_filled(fresh, words)
    expect_nothing_ran(fresh)
    page.get_by_role("button", name="Take back").click()
    expect(page.locator("#keeping")).to_contain_text("Only you see this take")


def test_links_and_files_lead_elsewhere_to_the_same_take(page: Page, fresh: Page, tmp_path: Path) -> None:
    words = "a red ball & a <b>cube</b>, 100% on snow?"
    made(page, words, seed="18446744073709551615", steps="3", frames="9")
    recipe, run = copied(page, "Copy recipe link"), copied(page, "Copy run link")
    expect(page.locator("#links [role=status]")).to_contain_text("for you alone")
    file = saved(page, tmp_path / "take.mp4")
    assert recipe.startswith(page.url + "?task=text&prompt=a+red+ball+%26")

    fresh.goto(recipe)
    told = "This page is filled in from a link. Nothing runs until you press the button."
    expect(fresh.locator("#opened p")).to_have_text(told)
    expect(fresh.locator("#opened li")).to_have_count(0)
    expect_filled(fresh, words)
    expect_nothing_ran(fresh)
    fresh.reload()
    expect(fresh.locator("#text-prompt textarea")).to_have_value(words)
    expect_nothing_ran(fresh)

    expect_seen_once_published(page, fresh, run, words)
    fresh.goto(page.url.partition("?")[0])
    fresh.locator("#text-contract .promise").wait_for()
    drop(fresh, file)
    assert "is-over" in fresh.evaluate("window.seen")
    expect(fresh.locator("#opened [role=status]")).to_contain_text("filled in from take.mp4")
    expect_filled(fresh, words)
    expect_nothing_ran(fresh)
    fresh.locator("#text-make").click()
    expect(fresh.locator(".screen.is-done figcaption q")).to_have_text(words)
    again = saved(fresh, tmp_path / "again.mp4")
    assert np.array_equal(list(read_frames(again)), list(read_frames(file)))
    # By its bytes it is a take of theirs now.
    drop(fresh, again)
    expect(fresh.locator("#opened")).to_contain_text("again.mp4 is a take of yours")


def test_what_was_made_is_found_by_a_reload_and_not_what_the_address_led_to(fresh: Page, address: str) -> None:
    fresh.goto(f"{address}/?prompt=a+red+ball&size=160x160&steps=100&__theme=light")
    expect(fresh.locator("#text-prompt textarea")).to_have_value("a red ball")
    expect(fresh.locator("#text-contract .promise")).to_contain_text("160×160")
    fresh.locator("#text-make").click()
    fresh.locator(".is-preview").wait_for()
    assert fresh.url == f"{address}/?__theme=light"
    fresh.goto(f"{address}/?prompt=a+blue+cube")
    expect(fresh.locator("#text-prompt textarea")).to_have_value("a blue cube")
    expect(fresh.locator(".screen figcaption q")).to_have_text("a red ball")
    fresh.locator("#stop").click()
    expect(fresh.locator(".screen.is-done figcaption q")).to_have_text("a red ball")


IMAGE = "%3Cimg%20src=x%20onerror=alert(1)%3E"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (
            f"?prompt=a&app=0.0.1&model=tabletop&weights=0123&shape=square&size=96x96&steps=500&v=2&{IMAGE}",
            [
                "made by a newer Onetake than this one",
                "Left out, for it is not known here: <img src.",
                "steps 500 is left out: Tabletop takes 1 to 100.",
                "Square was 96×96, which is set: today it is 128×128.",
                "Tabletop has other weights now than when this was made",
                "It comes from Onetake 0.0.1",
            ],
        ),
        (
            f"?task=restyle&prompt={IMAGE}&model=sora&video=clip.mp4",
            ["'sora' is not offered for this here. Tabletop is selected", "clip.mp4 was used too, and is not here"],
        ),
        ("?task=loop&video=run:0a1b&fit=pad", ["made from the take 0a1b, which is private", "no field for it, so it"]),
        (f"?steps={IMAGE}", ["steps is '<img src=x onerror=alert(1)>' in this link: give a whole number of steps."]),
    ],
)
def test_what_changed_and_what_is_odd_is_told_as_text(fresh: Page, address: str, query: str, told: list[str]) -> None:
    fresh.goto(address + "/" + query)
    for words in told:
        expect(fresh.locator("#opened")).to_contain_text(words)
    assert fresh.locator("#opened img").count() == 0
    fresh.get_by_role("button", name="Close this note").click()
    expect(fresh.locator("#opened section")).to_have_count(0)


def test_without_a_clipboard_the_link_stands_in_a_field(fresh: Page, address: str) -> None:
    fresh.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    fresh.goto(address)
    fresh.get_by_role("button", name="Copy recipe link").click()
    field = fresh.get_by_label("The link: copy it from here")
    expect(field).to_be_focused()
    assert field.input_value().startswith(f"{address}/?task=text&prompt=a+purple+ball")
    expect(fresh.locator("#links [role=status]")).to_contain_text("take it from here")


def test_a_file_of_somebody_else_is_refused_in_words(page: Page, tmp_path: Path) -> None:
    foreign = Path(film(tmp_path / "holiday.mp4", 9))
    # Choosers are caught from when somebody listens, and the browser hears of that only before the next round trip.
    page.on("filechooser", lambda _: None)
    page.locator("#open-file").focus()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(foreign)
    alert = page.locator("#opened [role=alert]")
    expect(alert).to_contain_text("holiday.mp4 holds no recipe")
    (tmp_path / "notes.txt").write_text("hello")
    drop(page, tmp_path / "notes.txt")
    expect(alert).to_contain_text("notes.txt holds no recipe")
    page.get_by_role("button", name="Close this note").click()
    expect(alert).to_have_count(0)
    drop(page, tmp_path / "notes.txt")
    expect(alert).to_contain_text("notes.txt holds no recipe")
    expect(page.locator(".toast-wrap .toast-body")).to_have_count(0)
    # A field of the page keeps what is meant for it.
    page.get_by_role("tab", name="Video").click()
    drop(page, foreign, "#restyle-video button")
    expect(page.locator("#restyle-video")).to_contain_text("holiday")
    expect(alert).to_contain_text("notes.txt")
